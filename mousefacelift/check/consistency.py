"""Multi-view consistency: could these views be views of one body?

Pure functions on masks, points and cameras; numpy in, plain floats out. A consistency number is only ever shown beside
a fidelity and a diversity number: a constant image is perfectly consistent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from mousefacelift.core.cameras import Camera
from mousefacelift.core.hull import silhouette_scores


def silhouette_consistency(
    masks: Sequence[np.ndarray], cameras: Sequence[Camera], half_extent: float = 1.0, resolution: int = 96
) -> dict[str, float]:
    """Leave-one-out containment (worst, mean) and hull IoU (mean) of V masks [H, W] under their cameras.

    Containment is the sharper alarm; the IoU depends on the grid and is only to be compared with the same rig's real
    views.
    """
    scores = silhouette_scores(masks, cameras, np.zeros(3), half_extent, resolution)
    return {
        "containment_worst": float(scores["containment"].min()),
        "containment_mean": float(scores["containment"].mean()),
        "hull_iou": float(scores["hull_iou"].mean()),
    }


def chamfer(points: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Chamfer distance of point sets [P, 3] and [Q, 3], world units: accuracy, completeness and their mean; oracle
    only."""
    accuracy = cKDTree(truth).query(points)[0].mean()
    completeness = cKDTree(points).query(truth)[0].mean()
    return {
        "accuracy": float(accuracy),
        "completeness": float(completeness),
        "chamfer": float((accuracy + completeness) / 2),
    }
