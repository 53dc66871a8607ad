"""The numbers of an audit as they stand in rig.json."""

from __future__ import annotations

import numpy as np

from mousefacelift.capture.align import Alignment
from mousefacelift.capture.refine import Refinement, mean_pair_error
from mousefacelift.capture.tangency import Poses, pair_errors, tangency


def report_audit(
    recording, clip, scores, convention, k_transposed, unit_and_size, alignment: Alignment, volume, poses, width, faults
) -> dict:
    """Everything that the audit measured, JSON types only; lengths in mm, shifts in px of the videos."""
    unit, size = unit_and_size
    silhouettes, correction = alignment.silhouettes, alignment.correction
    own, common = split_common_movement(correction, poses, volume["center"])
    found = tangency(silhouettes.outlines, silhouettes.usable, poses)
    errors = pair_errors(found)
    cameras = [
        {
            "name": camera.name,
            "tangency_px": _median(np.delete(errors[i], i)),
            "ray_agreement": float(volume["ray_agreement"][i]),
            "hull_iou": float(volume["hull_iou"][i]),
            "shift_px": own[i].tolist(),
            "applied_shift_px": applied_shift(correction, poses)[i].tolist(),
            "rotation_deg": np.degrees(correction.rotation[i]).tolist(),
            "mask_growth_px": float(alignment.growth[i]),
            "azimuth": volume["azimuth"][i],
            "elevation": volume["elevation"][i],
            "distance_mm": volume["distance"][i] * size,
            "mask_excess": number(faults.excess[i]),
            "mask_missing": number(faults.missing[i]),
            "mask_static": number(faults.static[i]),
            "masks": faults.says[i],
            "frames": clip.frames[i],
        }
        for i, camera in enumerate(recording.cameras)
    ]
    return {
        "calibration": recording.calibration.name,
        "format": recording.calibration_format,
        "convention": str(convention),
        "K_transposed": bool(k_transposed),
        "unit": unit,
        "conventions": [
            {"name": str(s.convention), "tangency": s.tangency if np.isfinite(s.tangency) else None} for s in scores
        ],
        "tangency": mean_pair_error(found) / width,
        "pairs_px": [[None if np.isnan(e) else float(e) for e in row] for row in errors],
        "refinement": {
            "kind": correction.kind,
            "common_movement_mm": float(np.linalg.norm(common) * size),
            "held_out_before_px": number(correction.before),
            "held_out_after_px": number(correction.after),
        },
        "sync": alignment.sync,
        "cameras": cameras,
        "frames_used": len(silhouettes.frames),
        "distinct_poses": faults.poses,
        "animal": {
            "center_mm": (volume["center"] * size).tolist(),
            "length_mm": volume["length"] * size,
            "hull_volume_cm3": volume["volume"] * size**3 / 1000,
        },
        "ring_order": [recording.cameras[i].name for i in np.argsort(volume["azimuth"])],
    }


def applied_shift(correction: Refinement, poses: Poses) -> np.ndarray:
    """[V, 2] px by which the correction moves the middle of each picture; a small rotation moves it by f times its
    angle."""
    turned = np.stack([correction.rotation[:, 1], -correction.rotation[:, 0]], 1) * poses.focal[:, None]
    return correction.shift + turned


def split_common_movement(correction: Refinement, poses: Poses, center: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shifts [V, 2] px without what one movement of the world explains, and that movement [3], camera units.

    Silhouettes of an animal at `center` cannot see whether all cameras moved together, so that part of a correction
    says nothing about any of them.
    """
    shift = applied_shift(correction, poses)
    local = np.einsum("vij,vj->vi", poses.rotation, center - poses.center)
    depth = local[:, 2:3, None]
    across = poses.rotation[:, :2] - (local[:, :2] / local[:, 2:])[..., None] * poses.rotation[:, 2:]
    jacobian = (poses.focal[:, None, None] / depth * across).reshape(-1, 3)
    movement = np.linalg.lstsq(jacobian, shift.ravel(), rcond=None)[0]
    return shift - (jacobian @ movement).reshape(-1, 2), movement


def _median(values: np.ndarray) -> float | None:
    """Median of what is known; None for a camera that never shows the animal whole."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else None


def number(value: float) -> float | None:
    """The value, or None where it is not known."""
    return None if np.isnan(value) else float(value)
