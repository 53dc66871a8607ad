"""One view per angle: exact circular clustering of camera angles, and the consensus that picks a winner.

Pure functions on angles (degrees) and images. A cluster holds angles that all lie within the tolerance of one another,
in azimuth (on the circle) and in elevation; the partition has the fewest clusters possible.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from mousefacelift.core.cameras import circular_difference
from mousefacelift.errors import ConfigError

# Above this three points 120 degrees apart are pairwise "close" without sharing an arc: clusters stop being arcs.
MAX_TOLERANCE = 119.0
ANGLE_EPS = 1e-9  # degrees; keeps 10.000000000000002 inside a tolerance of 10


def cluster_angles(azimuths: Sequence[float], elevations: Sequence[float] | float, tolerance: float) -> np.ndarray:
    """Labels [N] of the partition of N angles into the fewest clusters of diameter at most `tolerance`.

    The smallest partition is a smallest cover by boxes (an arc of azimuth times an interval of elevation), because a
    subset of a cluster is a cluster; the cover is solved exactly as an integer program. Clusters are numbered by
    ascending azimuth then elevation, so labels do not depend on the order of the input except through the points.

    Args:
        azimuths: [N] degrees, any branch.
        elevations: [N] degrees or one number for all.
        tolerance: degrees, 0 <= tolerance < 120; 0 means equal to 1e-9 degrees.
    Raises:
        ConfigError: the tolerance is negative, not finite or 120 degrees or more.
    """
    azimuths = np.asarray(azimuths, np.float64) % 360.0
    elevations = np.broadcast_to(np.asarray(elevations, np.float64), azimuths.shape)
    if not (np.isfinite(tolerance) and 0 <= tolerance <= MAX_TOLERANCE):
        raise ConfigError("the dedupe tolerance is not usable", got=tolerance, expected=f"0 to {MAX_TOLERANCE} degrees")
    if azimuths.size == 0:
        return np.zeros(0, np.int64)
    order = np.lexsort((elevations, azimuths))  # canonical order: the answer cannot depend on the caller's
    boxes = _maximal_boxes(azimuths[order], elevations[order], tolerance + ANGLE_EPS)
    chosen = boxes[_smallest_cover(boxes)]
    labels = np.empty(azimuths.size, np.int64)
    labels[order] = _renumber(_assign(chosen, azimuths[order], elevations[order]))
    return labels


def _maximal_boxes(azimuths: np.ndarray, elevations: np.ndarray, tolerance: float) -> np.ndarray:
    """Bool [boxes, N]: members of every box whose lower corner is set by points, without boxes inside others.

    Azimuths within ANGLE_EPS below the corner count as on it, so that equal angles never straddle 0/360.
    """
    forward = (azimuths[None, :] - azimuths[:, None] + ANGLE_EPS) % 360.0 <= tolerance + ANGLE_EPS
    upward = elevations[None, :] - elevations[:, None]
    upward = (upward >= -ANGLE_EPS) & (upward <= tolerance)
    boxes = np.unique((forward[:, None, :] & upward[None, :, :]).reshape(-1, azimuths.size), axis=0)
    boxes = boxes[boxes.any(1)]
    counts = boxes.astype(np.int64) @ boxes.T.astype(np.int64)  # counts[i, j] = size of the intersection
    size = counts.diagonal()
    inside = (counts == size[:, None]) & (size[:, None] < size[None, :])
    return boxes[~inside.any(1)]


def _smallest_cover(boxes: np.ndarray) -> np.ndarray:
    """Indices of a smallest set of rows of `boxes` that together cover every column."""
    rows = boxes.shape[0]
    result = milp(
        np.ones(rows),
        constraints=LinearConstraint(boxes.T.astype(np.float64), lb=1.0),
        integrality=np.ones(rows),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0.0},
    )
    if not result.success:
        raise RuntimeError(f"the cover of {boxes.shape[1]} angles was not solved: {result.message}")
    return np.flatnonzero(result.x > 0.5)


def _assign(boxes: np.ndarray, azimuths: np.ndarray, elevations: np.ndarray) -> np.ndarray:
    """Each point's box: of those that hold it, the one whose middle is nearest."""
    middles = np.array([circular_middle(azimuths[box]) for box in boxes])
    heights = np.array([(elevations[box].min() + elevations[box].max()) / 2 for box in boxes])
    distance = np.maximum(
        np.abs(circular_difference(azimuths[None, :], middles[:, None])), np.abs(elevations[None, :] - heights[:, None])
    )
    return np.where(boxes, distance, np.inf).argmin(0)


def circular_middle(azimuths: np.ndarray) -> float:
    """Middle, in [0, 360), of the shortest arc that holds all `azimuths` (degrees)."""
    ordered = np.sort(np.asarray(azimuths, np.float64) % 360.0)
    gaps = np.diff(np.append(ordered, ordered[0] + 360.0))
    start = (int(gaps.argmax()) + 1) % ordered.size
    return float((ordered[start] + (360.0 - gaps.max()) / 2) % 360.0)


def _renumber(labels: np.ndarray) -> np.ndarray:
    """The same partition with labels 0, 1, ... in order of first appearance."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def count_distinct(azimuths: Sequence[float], elevations: Sequence[float] | float, tolerance: float) -> int:
    """Number of distinct angles: the size of the smallest partition of `cluster_angles`."""
    labels = cluster_angles(azimuths, elevations, tolerance)
    return int(labels.max()) + 1 if labels.size else 0


def nearest_real(azimuth: float, elevation: float, real: Sequence[tuple[float, float]], tolerance: float) -> int | None:
    """Index of the real camera (azimuth, elevation) nearest to an angle, if one lies within `tolerance` of it."""
    if not len(real):
        return None
    real = np.asarray(real, np.float64)
    distance = np.maximum(np.abs(circular_difference(azimuth, real[:, 0])), np.abs(elevation - real[:, 1]))
    best = int(distance.argmin())
    return best if distance[best] <= tolerance + ANGLE_EPS else None


def check_tolerance(tolerance: float, azimuths: Sequence[float], elevations: Sequence[float], what: str) -> None:
    """Refuse a tolerance that would merge angles that one generator call tells apart.

    Raises:
        ConfigError: two of the angles lie within `tolerance` of one another.
    """
    azimuths, elevations = np.asarray(azimuths, np.float64), np.asarray(elevations, np.float64)
    apart = np.maximum(
        np.abs(circular_difference(azimuths[:, None], azimuths[None, :])),
        np.abs(elevations[:, None] - elevations[None, :]),
    )
    spacing = apart[~np.eye(azimuths.size, dtype=bool)].min() if azimuths.size > 1 else np.inf
    if tolerance >= spacing:
        raise ConfigError(
            f"the dedupe tolerance merges different views of {what}",
            got=f"tolerance {tolerance} degrees",
            expected=f"less than their spacing of {spacing:.1f} degrees",
            hint="lower distill.views.dedupe.tolerance or ask for fewer angles",
        )


def image_agreement(rgba_a: np.ndarray, rgba_b: np.ndarray) -> float:
    """Likeness of two RGBA images [H, W, 4] in [0, 1]: 1 - mean absolute difference of premultiplied colour and alpha
    over the union of their masks; 1 for identical images, 0 when there is no foreground in either."""
    union = (rgba_a[..., 3] > 0.5) | (rgba_b[..., 3] > 0.5)
    if not union.any():
        return 0.0
    a, b = (np.concatenate([x[..., :3] * x[..., 3:], x[..., 3:]], -1)[union] for x in (rgba_a, rgba_b))
    return float(1.0 - np.abs(a - b).mean())


def consensus_scores(
    agreement: np.ndarray, hull_iou: np.ndarray, angle_from_input: np.ndarray, weights: tuple[float, float, float]
) -> np.ndarray:
    """How far each of N duplicates may be believed, [N] in [0, 1]; the highest wins its angle, never an average.

    The weighted mean of the agreement with the others (nothing is known of it for a single view, which is judged by the
    rest), IoU with the hull, and closeness to the photo, 1 - angle / 180.

    Args:
        agreement: [N, N] pairwise `image_agreement`; the diagonal is not read.
        hull_iou: [N] silhouette agreement with the hull of the real masks.
        angle_from_input: [N] degrees between the view and the photo it was generated from.
        weights: of the three.
    """
    count = len(hull_iou)
    others = ~np.eye(count, dtype=bool)
    rest = weights[1] * np.asarray(hull_iou) + weights[2] * (1.0 - np.asarray(angle_from_input) / 180.0)
    if count == 1:
        return rest / (weights[1] + weights[2])
    mean_agreement = np.array([np.mean(agreement[i, others[i]]) for i in range(count)])
    return (weights[0] * mean_agreement + rest) / sum(weights)
