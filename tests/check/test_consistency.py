"""Consistency metrics: right cameras are best, moved cameras are found out, harmless changes are ignored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mousefacelift.check.consistency import (
    camera_error,
    chamfer,
    depth_warp_error,
    epipolar_consistency,
    epipolar_distance,
    fundamental_matrix,
    refit_score,
    silhouette_consistency,
)
from mousefacelift.core.cameras import canonical_fxfycxcy, orbit, project, rays
from mousefacelift.errors import DataError

SIZE = 64


def cameras(count=6):
    return [orbit(i * 360 / count, 10 + 10 * (i % 2), 2.7, canonical_fxfycxcy(SIZE), SIZE, SIZE) for i in range(count)]


def ball(camera, radius=0.5):
    """Colour by place, depth and mask of a ball, exact."""
    origin, directions = rays(camera)
    b = directions @ origin
    root = b**2 - (origin @ origin - radius**2)
    mask = root > 0
    distance = -b - np.sqrt(np.maximum(root, 0))
    points = origin + directions * distance[..., None]
    return np.where(mask[..., None], 0.5 + points * 0.8, 1.0), (points - camera.center) @ camera.R[2], mask


def test_epipolar_distance_is_zero_for_one_point_and_grows_with_a_camera_error(rng):
    a, b = cameras()[:2]
    points = rng.uniform(-0.5, 0.5, (30, 3))
    first, second = project(a, points)[0], project(b, points)[0]
    assert epipolar_distance(first, second, fundamental_matrix(a, b)).max() < 1e-8
    moved = orbit(64, 20, 2.7, canonical_fxfycxcy(SIZE), SIZE, SIZE)
    good = epipolar_consistency([(first, second, a, b)])
    bad = epipolar_consistency([(first, second, a, moved)])
    assert good["tsed"] == 1 and good["sed_median"] < 1e-8 < bad["sed_median"]
    none = np.zeros((0, 2))
    assert epipolar_consistency([(none, none, a, b)])["tsed"] == 0
    with pytest.raises(DataError):
        epipolar_consistency([])


def test_depth_warp_is_near_zero_for_one_body_and_ignores_the_background():
    views = cameras(12)
    rgb, depth, masks = zip(*(ball(c) for c in views))
    right = depth_warp_error(rgb, depth, masks, views)
    assert right["warp_l1"] < 0.02 and right["warp_visible"] > 0.1
    noisy = [
        np.where(m[..., None], c, np.random.default_rng(i).random(c.shape)) for i, (c, m) in enumerate(zip(rgb, masks))
    ]
    assert depth_warp_error(noisy, depth, masks, views)["warp_l1"] == pytest.approx(right["warp_l1"])
    swapped = [rgb[{0: 4, 4: 0, 7: 2, 2: 7}.get(i, i)] for i in range(12)]
    assert depth_warp_error(swapped, depth, masks, views)["warp_l1"] > 5 * right["warp_l1"]


def test_silhouettes_of_a_ball_agree_until_a_camera_moves():
    views = cameras()
    masks = [ball(c)[2] for c in views]
    right = silhouette_consistency(masks, views, resolution=48)
    assert right["containment_worst"] > 0.97
    moved = [replace(views[0], fxfycxcy=views[0].fxfycxcy + [0, 0, 8, 0]), *views[1:]]
    assert silhouette_consistency(masks, moved, resolution=48)["containment_worst"] < 0.9


def test_refit_fits_the_kept_and_scores_the_left_out():
    calls = []

    def fit(kept, shown):
        calls.append((kept, shown))
        return np.zeros((len(shown), 1))

    assert refit_score(fit, 6, [1, 4], lambda render, view: 10.0 + view) == 12.5
    assert calls == [([0, 2, 3, 5], [1, 4])]
    with pytest.raises(DataError):
        refit_score(fit, 2, [0, 1], lambda r, v: 0.0)


def test_chamfer_and_camera_error_of_known_moves(rng):
    points = rng.normal(size=(500, 3))
    assert chamfer(points, points)["chamfer"] == 0
    half = chamfer(points[:250], points)
    assert half["accuracy"] == 0 and half["completeness"] > 0
    a, b = orbit(0, 0, 2.7, canonical_fxfycxcy(8), 8, 8), orbit(10, 0, 2.7, canonical_fxfycxcy(8), 8, 8)
    error = camera_error(a, b)
    assert error["rotation_degrees"] == pytest.approx(10) and error["center_distance"] == pytest.approx(
        5.4 * np.sin(np.radians(5))
    )
