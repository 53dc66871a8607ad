"""What one frame tells about the animal; made by `locate`, gathered by `track`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Place:
    """One frame: centre [3] mm (None when not found), per-view numbers, and the outlines for the zoom.

    Attributes:
        hull_iou, ray_agreement, area, border: [V].
        outlines: [V, P, 2] undistorted points on the plane z = 1.
        change: 1 - mean IoU of the masks with those of the previous frame read; NaN for the first.
    """

    frame: int
    center: np.ndarray | None
    hull_iou: np.ndarray
    ray_agreement: np.ndarray
    area: np.ndarray
    border: np.ndarray
    outlines: np.ndarray
    change: float
