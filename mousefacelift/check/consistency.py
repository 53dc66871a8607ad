"""Multi-view consistency: could these views be views of one body?

Pure functions on images, masks, depths, matches and cameras; numpy in, plain floats (and arrays per item) out. A
consistency number is only ever shown beside a fidelity and a diversity number: a constant image is perfectly
consistent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.spatial import cKDTree

from mousefacelift.core.cameras import Camera, project, unproject
from mousefacelift.core.hull import silhouette_scores
from mousefacelift.errors import DataError

MATCHES_MIN, SED_MAX = 10, 2.0  # of TSED (Yu et al. 2023): matches that a pair needs, median distance in pixels


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


def fundamental_matrix(first: Camera, second: Camera) -> np.ndarray:
    """F [3, 3] with x2^T F x1 = 0 for pixels of one point in the first and second camera."""
    rotation = second.R @ first.R.T
    translation = second.t - rotation @ first.t
    cross = np.array(
        [
            [0, -translation[2], translation[1]],
            [translation[2], 0, -translation[0]],
            [-translation[1], translation[0], 0],
        ]
    )
    return np.linalg.inv(second.K).T @ cross @ rotation @ np.linalg.inv(first.K)


def epipolar_distance(first: np.ndarray, second: np.ndarray, fundamental: np.ndarray) -> np.ndarray:
    """Symmetric epipolar distance [P] in pixels: mean of the two point-to-line distances of matches [P, 2]."""
    x1, x2 = (np.concatenate([x, np.ones((len(x), 1))], 1) for x in (first, second))
    line2, line1 = x1 @ fundamental.T, x2 @ fundamental
    distance2 = np.abs((x2 * line2).sum(1)) / np.linalg.norm(line2[:, :2], axis=1)
    distance1 = np.abs((x1 * line1).sum(1)) / np.linalg.norm(line1[:, :2], axis=1)
    return 0.5 * (distance1 + distance2)


def epipolar_consistency(pairs: Sequence[tuple[np.ndarray, np.ndarray, Camera, Camera]]) -> dict[str, float]:
    """Matches of view pairs under their cameras: sed_median (pixels), matches (mean of a pair) and tsed.

    `tsed` is the share of pairs with at least 10 matches and a median distance under 2 pixels; a pair without matches
    counts against it, so on textureless fur it mostly measures texture: read `matches` first.
    """
    distances = [epipolar_distance(a, b, fundamental_matrix(c, d)) for a, b, c, d in pairs if len(a)]
    counts = [len(a) for a, _, _, _ in pairs]
    if not pairs:
        raise DataError("epipolar consistency needs at least one pair of views")
    good = sum(len(d) >= MATCHES_MIN and np.median(d) < SED_MAX for d in distances)
    return {
        "sed_median": float(np.median(np.concatenate(distances))) if distances else float("nan"),
        "matches": float(np.mean(counts)),
        "tsed": good / len(pairs),
    }


def depth_warp_error(
    rgb: Sequence[np.ndarray],
    depth: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    cameras: Sequence[Camera],
    tolerance: float = 0.03,
) -> dict[str, float]:
    """Photometric disagreement of views warped into each other through their depth, foreground only.

    Args:
        rgb: V images [H, W, 3] in [0, 1]; depth: V maps [H, W] of camera z, world units; masks: V bool [H, W].
        tolerance: a point counts as visible in the other view when its depth there agrees within this share.
    Returns:
        warp_l1: mean absolute colour difference over visible points, over ordered pairs; warp_visible: their share of
            foreground.
    """
    errors, visible, total = 0.0, 0, 0
    for i, camera in enumerate(cameras):
        rows, columns = np.nonzero(masks[i])
        points = unproject(camera, np.stack([columns + 0.5, rows + 0.5], 1), depth[i][rows, columns])
        for j, other in enumerate(cameras):
            if i == j:
                continue
            pixels, z = project(other, points)
            index = np.floor(pixels).astype(int)
            inside = (z > 0) & (index >= 0).all(1) & (index[:, 0] < other.width) & (index[:, 1] < other.height)
            column, row = index[inside].T
            seen = masks[j][row, column] & (np.abs(depth[j][row, column] - z[inside]) <= tolerance * z[inside])
            source = rgb[i][rows, columns][inside][seen]
            errors += float(np.abs(source - rgb[j][row[seen], column[seen]]).mean(1).sum())
            visible += int(seen.sum())
            total += len(rows)
    return {"warp_l1": errors / visible if visible else float("nan"), "warp_visible": visible / max(total, 1)}


def refit_score(
    fit_and_render: Callable[[list[int], list[int]], np.ndarray],
    count: int,
    held_out: Sequence[int],
    psnr: Callable[[np.ndarray, int], float],
) -> float:
    """PSNR of views left out of a fit, dB: a body that explains the others should explain them too (3DiM's idea,
    cheaply).

    Args:
        fit_and_render: (views to fit, views to render) -> renders; the caller brings the fitter.
        count: number of views; held_out: views left out.
        psnr: (render, view) -> dB.
    """
    kept = [view for view in range(count) if view not in held_out]
    if not kept or not held_out:
        raise DataError("a refit needs views to fit and views to leave out", got=f"{len(kept)} and {len(held_out)}")
    renders = fit_and_render(kept, list(held_out))
    return float(np.mean([psnr(render, view) for render, view in zip(renders, held_out)]))


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


def camera_error(camera: Camera, truth: Camera) -> dict[str, float]:
    """Rotation error in degrees and distance of the centres in world units; oracle only."""
    cosine = (np.trace(camera.R @ truth.R.T) - 1) / 2
    return {
        "rotation_degrees": float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))),
        "center_distance": float(np.linalg.norm(camera.center - truth.center)),
    }
