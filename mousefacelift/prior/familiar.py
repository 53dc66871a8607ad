"""Whether a picture is like anything that the single-picture model knows: how well it was explained, and how far its
pose lies from the poses of the training data."""

from __future__ import annotations

from mousefacelift.prior.reconstruct import Reconstruction

# 99% of the pictures of 24 unseen procedural mice lie below these (`benchmarks/prior.py`)
USUAL_RESIDUAL = 0.014
USUAL_DISTANCE = 1.3


def describe_familiarity(found: Reconstruction) -> dict:
    """{"pose_distance": RMS of the standardised shape code, about 1 for a usual pose; "warning": text or ""}."""
    distance = float(found.code.square().mean().sqrt())
    reasons = []
    if found.residual > USUAL_RESIDUAL:
        reasons.append(
            f"no mouse of the model explains it well (residual {found.residual:.4f}, usually below {USUAL_RESIDUAL})"
        )
    if distance > USUAL_DISTANCE:
        reasons.append(f"its pose is unlike the known ones (distance {distance:.2f}, usually below {USUAL_DISTANCE})")
    return {"pose_distance": round(distance, 3), "warning": "; ".join(reasons)}
