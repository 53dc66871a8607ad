"""Multi-view consistency: could these views be views of one body?

Pure functions on masks, points and cameras; numpy in, plain floats out. A consistency number is only ever shown beside
a fidelity and a diversity number: a constant image is perfectly consistent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from mousefacelift.core.cameras import Camera, project, unproject
from mousefacelift.core.silhouette_scores import silhouette_scores


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


def depth_warp_error(
    rgb: np.ndarray, alpha: np.ndarray, depth: np.ndarray, cameras: Sequence[Camera], tolerance: float = 0.05
) -> dict[str, float]:
    """Photometric reprojection between neighbouring renders of one scene: mean absolute colour error, and the share of
    opaque pixels that agree in depth and so could be compared.

    Every view is compared with the next one in order (the last with the first).

    Args:
        rgb: [V, H, W, 3]. alpha, depth: [V, H, W], depth along the camera axis. tolerance: of depth, world units.
    """
    errors, compared, opaque = [], 0, 0
    for i, camera in enumerate(cameras):
        j = (i + 1) % len(cameras)
        rows, columns = np.nonzero(alpha[i] > 0.5)
        opaque += len(rows)
        points = unproject(camera, np.stack([columns + 0.5, rows + 0.5], -1), depth[i][rows, columns])
        pixels, z = project(cameras[j], points)
        column, row = np.floor(pixels).astype(int).T
        inside = (z > 0) & (column >= 0) & (row >= 0) & (column < camera.width) & (row < camera.height)
        row, column = row.clip(0, camera.height - 1), column.clip(0, camera.width - 1)
        same = inside & (alpha[j][row, column] > 0.5) & (np.abs(depth[j][row, column] - z) < tolerance)
        compared += int(same.sum())
        errors.append(np.abs(rgb[i][rows, columns] - rgb[j][row, column]).mean(-1)[same])
    found = np.concatenate(errors)
    return {
        "depth_warp": float(found.mean()) if len(found) else float("nan"),
        "depth_warp_share": compared / max(opaque, 1),
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
