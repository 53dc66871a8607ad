"""Consistency metrics: right cameras are best, moved cameras are found out, harmless changes are ignored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mousefacelift.check.consistency import chamfer, depth_warp_error, silhouette_consistency
from mousefacelift.core.cameras import canonical_fxfycxcy, orbit, rays

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


def test_silhouettes_of_a_ball_agree_until_a_camera_moves():
    views = cameras()
    masks = [ball(c)[2] for c in views]
    right = silhouette_consistency(masks, views, resolution=48)
    assert right["containment_worst"] > 0.97
    moved = [replace(views[0], fxfycxcy=views[0].fxfycxcy + [0, 0, 8, 0]), *views[1:]]
    assert silhouette_consistency(masks, moved, resolution=48)["containment_worst"] < 0.9


def test_chamfer_of_known_sets(rng):
    points = rng.normal(size=(500, 3))
    assert chamfer(points, points)["chamfer"] == 0
    half = chamfer(points[:250], points)
    assert half["accuracy"] == 0 and half["completeness"] > 0
    assert chamfer(points + [0.01, 0, 0], points)["chamfer"] <= 0.01


def test_renders_of_one_body_agree_when_depth_is_carried_over_and_a_wrong_depth_or_colour_is_told():
    """A ball: best when right, worst when painted by view; brightness common to all views is not its business."""
    rig = cameras(12)
    rgb, depth, mask = map(np.stack, zip(*[ball(camera) for camera in rig]))
    right = depth_warp_error(rgb, mask, depth, rig)
    assert right["depth_warp"] < 0.03 and right["depth_warp_share"] > 0.5
    assert depth_warp_error(0.5 * rgb, mask, depth, rig)["depth_warp"] < 0.03
    painted = rgb * np.linspace(0.2, 1, 12)[:, None, None, None]
    assert depth_warp_error(painted, mask, depth, rig)["depth_warp"] > 2 * right["depth_warp"]
    assert depth_warp_error(rgb, mask, depth - 0.3, rig)["depth_warp_share"] < right["depth_warp_share"]
    nothing = depth_warp_error(rgb, 0 * mask, depth, rig)
    assert np.isnan(nothing["depth_warp"]) and nothing["depth_warp_share"] == 0
