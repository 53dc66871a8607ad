"""How much of an animal a rig sees: the gaps between its cameras, in words that the audit and the report share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FULL_RIG = 6  # cameras at which the figures of this project were measured
WIDE_GAP = 100.0  # degrees: a view in its middle lies further from a camera than any that a fit is judged on there


def ring_gaps(azimuths: Sequence[float]) -> list[float]:
    """Degrees between neighbours around the ring, in rising order of their azimuths (degrees); they sum to 360."""
    order = np.sort(np.asarray(azimuths, np.float64) % 360.0)
    return np.diff(np.append(order, order[0] + 360.0)).tolist()


def say_coverage(azimuths: Sequence[float]) -> str:
    """What a rig cannot see, "" for one of FULL_RIG cameras or more without a wide gap."""
    gap, count = max(ring_gaps(azimuths)), len(azimuths)
    if count >= FULL_RIG and gap <= WIDE_GAP:
        return ""
    return (
        f"{count} cameras leave a gap of {gap:.0f} degrees: a view in its middle is {gap / 2:.0f} degrees from the "
        "nearest camera, its far side and hollows are guessed, and one bad mask is harder to find "
        "(docs/real_recordings.md: what fewer cameras cost)"
    )
