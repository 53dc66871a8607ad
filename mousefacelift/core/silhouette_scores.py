"""How far silhouettes can be those of one body: every view against the visual hull of the others, and of all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mousefacelift.core.cameras import Camera
from mousefacelift.core.hull import Votes, cast_silhouettes, check_masks, draw_depth


def silhouette_scores(
    masks: np.ndarray | Sequence[np.ndarray],
    cameras: Sequence[Camera],
    center: np.ndarray,
    half_extent: float | np.ndarray,
    resolution: int = 96,
    tolerance: int = 0,
    min_views: int = 2,
    margin: float = 0.5,
) -> dict[str, np.ndarray]:
    """How far a set of silhouettes can be the silhouettes of one body (arguments as in `carve_hull`).

    `containment` is the sharper alarm: the share of a view's mask covered by the hull of all *other* views. `hull_iou`
    compares the mask with the hull of all views; the grid biases it, so compare it only with the same rig's own values.

    Returns:
        containment [V], hull_iou [V], both float64 in [0, 1].
    """
    votes = cast_silhouettes(masks, cameras, center, half_extent, resolution, margin, tolerance + 1)
    return score_silhouettes(votes, check_masks(masks, cameras), cameras, tolerance, min_views)


def score_silhouettes(
    votes: Votes, masks: np.ndarray, cameras: Sequence[Camera], tolerance: int, min_views: int
) -> dict[str, np.ndarray]:
    """`silhouette_scores` of votes that are already cast, with a limit of `tolerance` + 1 or more."""
    whole, without = votes.surfaces(len(cameras), tolerance, min_views)
    containment, hull_iou = np.zeros(len(cameras)), np.zeros(len(cameras))
    for view, camera in enumerate(cameras):
        others = np.isfinite(draw_depth(without[view], votes.voxel, camera))
        every = np.isfinite(draw_depth(whole, votes.voxel, camera))
        mask = masks[view]
        containment[view] = np.count_nonzero(mask & others) / np.count_nonzero(mask)
        hull_iou[view] = np.count_nonzero(mask & every) / np.count_nonzero(mask | every)
    return {"containment": containment, "hull_iou": hull_iou}
