"""The hull of known bodies: spheres have closed-form silhouettes."""

import cv2
import numpy as np
import pytest

from mousefacelift.core.cameras import orbit, project
from mousefacelift.core.hull import (
    Hull,
    carve_hull,
    carve_hull_tight,
    cast_silhouettes,
    hull_depth,
    project_hull,
)
from mousefacelift.core.silhouette_scores import silhouette_scores
from mousefacelift.errors import DataError

SIZE = 96
FXFYCXCY = (103.0, 103.0, SIZE / 2, SIZE / 2)


def ring(count, elevation=20.0):
    return [orbit(360.0 * k / count, elevation * (-1) ** k, 2.7, FXFYCXCY, SIZE, SIZE) for k in range(count)]


def sphere_mask(camera, center, radius):
    """Exact silhouette of a sphere: the ray passes within `radius` of the centre."""
    rows, columns = np.mgrid[: camera.height, : camera.width] + 0.5
    fx, fy, cx, cy = camera.fxfycxcy
    directions = np.stack([(columns - cx) / fx, (rows - cy) / fy, np.ones_like(rows)], -1)
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    c = camera.w2c[:3, :3] @ np.asarray(center) + camera.w2c[:3, 3]
    along = directions @ c
    return (c @ c - along**2 <= radius**2) & (along > 0)


def sphere_scene(count=8, radius=0.5, center=(0.1, -0.05, 0.08)):
    cameras = ring(count)
    return np.stack([sphere_mask(c, center, radius) for c in cameras]), cameras


def test_hull_of_a_sphere_contains_it_and_is_little_larger():
    masks, cameras = sphere_scene(12)
    hull = carve_hull(masks, cameras, (0, 0, 0), 1.0, 64)
    truth = 4 / 3 * np.pi * 0.5**3
    assert truth * 0.97 < hull.volume() < truth * 1.35
    inside = np.random.default_rng(0).normal(size=(500, 3))
    inside = inside / np.linalg.norm(inside, axis=1, keepdims=True) * 0.45 + (0.1, -0.05, 0.08)
    assert hull.contains(inside).mean() > 0.99


def test_hull_projects_back_onto_the_masks():
    masks, cameras = sphere_scene(8)
    hull = carve_hull(masks, cameras, (0, 0, 0), 1.0, 96)
    for mask, camera in zip(masks, cameras, strict=True):
        drawn = project_hull(hull, camera)
        assert (mask & drawn).sum() / (mask | drawn).sum() > 0.95


def test_scaling_the_world_scales_the_hull_only():
    masks, cameras = sphere_scene(6)
    millimetres = 117.0
    scaled = []
    for camera in cameras:
        w2c = camera.w2c.copy()
        w2c[:3, 3] *= millimetres
        scaled.append(type(camera)(w2c, camera.fxfycxcy, camera.width, camera.height))
    small = carve_hull(masks, cameras, (0, 0, 0), 1.0, 48)
    large = carve_hull(masks, scaled, (0, 0, 0), millimetres, 48)
    assert (small.occupancy == large.occupancy).mean() > 0.9999
    assert large.volume() == pytest.approx(small.volume() * millimetres**3, rel=1e-3)


def test_out_of_frame_is_unknown_and_never_empty():
    masks, cameras = sphere_scene(8)
    cut = type(cameras[0])(
        cameras[0].w2c, (103.0, 103.0, SIZE / 2 + 40, SIZE / 2), SIZE, SIZE
    )  # animal leaves on the right
    masks = masks.copy()
    masks[0] = sphere_mask(cut, (0.1, -0.05, 0.08), 0.5)
    assert masks[0].any() and masks[0][:, -1].any()
    whole = carve_hull(masks[1:], cameras[1:], (0, 0, 0), 1.0, 64)
    with_cut = carve_hull(masks, [cut, *cameras[1:]], (0, 0, 0), 1.0, 64)
    assert with_cut.volume() > 0.9 * whole.volume()


def test_tolerance_forgives_one_broken_mask():
    masks, cameras = sphere_scene(8)
    broken = masks.copy()
    broken[3][:, : SIZE // 2] = False
    strict = carve_hull(broken, cameras, (0, 0, 0), 1.0, 48)
    tolerant = carve_hull(broken, cameras, (0, 0, 0), 1.0, 48, tolerance=1)
    right = carve_hull(masks, cameras, (0, 0, 0), 1.0, 48)
    assert strict.volume() < 0.75 * right.volume()
    assert tolerant.volume() > 0.99 * right.volume()


def test_margin_keeps_parts_thinner_than_a_voxel():
    cameras = ring(6)
    masks = np.stack([sphere_mask(c, (0.013, 0.021, 0.017), 0.02) for c in cameras])
    assert carve_hull(masks, cameras, (0, 0, 0), 1.0, 24).empty
    assert not carve_hull(masks, cameras, (0, 0, 0), 1.0, 24, margin=0.5).empty


def test_tight_grid_is_finer_and_of_the_same_body():
    masks, cameras = sphere_scene(8, radius=0.2)
    wide = carve_hull(masks, cameras, (0, 0, 0), 1.0, 128)
    tight = carve_hull_tight(masks, cameras, (0, 0, 0), 1.0, 64)
    assert tight.voxel < 0.6 * wide.voxel
    assert tight.volume() == pytest.approx(wide.volume(), rel=0.05)


def narrow_scene(centers):
    """Spheres of radius 0.1 in six cameras, four of which have x = 0.9 out of frame."""
    cameras = [orbit(60.0 * k, 0.0, 2.7, (200.0, 200.0, SIZE / 2, SIZE / 2), SIZE, SIZE) for k in range(6)]
    return np.stack([np.any([sphere_mask(c, center, 0.1) for center in centers], 0) for c in cameras]), cameras


def test_a_separate_part_that_other_views_cannot_refute_is_a_ghost():
    masks, cameras = narrow_scene([(0, 0, 0), (0.9, 0, 0)])
    ghost, body = np.array([0.9, 0, 0]), np.zeros(3)
    assert carve_hull(masks, cameras, (0, 0, 0), 1.2, 64).contains(ghost)
    tight = carve_hull_tight(masks, cameras, (0, 0, 0), 1.2, 64)
    assert tight.contains(body) and not tight.contains(ghost)
    assert np.abs(tight.points()).max() < 0.2


def test_a_tail_that_leaves_the_frame_of_some_views_is_no_ghost():
    chain = [(x, 0, 0) for x in np.arange(0, 0.95, 0.1)]
    masks, cameras = narrow_scene(chain)
    assert carve_hull_tight(masks, cameras, (0, 0, 0), 1.2, 64).contains(np.array(chain)).all()


def test_depth_of_the_hull_is_the_near_side_of_the_sphere():
    masks, cameras = sphere_scene(12, center=(0, 0, 0))
    depth = hull_depth(carve_hull(masks, cameras, (0, 0, 0), 1.0, 96), cameras[0])
    assert depth[SIZE // 2, SIZE // 2] == pytest.approx(2.2, abs=0.06)
    assert np.isinf(depth[0, 0])


def test_right_silhouettes_are_contained_and_mixed_frames_are_not():
    masks, cameras = sphere_scene(6)
    right = silhouette_scores(masks, cameras, (0, 0, 0), 1.0, 84)
    other = np.stack([sphere_mask(c, (-0.25, 0.3, 0.0), 0.5) for c in cameras])
    mixed = silhouette_scores(np.concatenate([masks[:3], other[3:]]), cameras, (0, 0, 0), 1.0, 84)
    assert right["containment"].min() > 0.995
    assert right["hull_iou"].min() > 0.93
    assert mixed["containment"].min() < 0.85
    assert mixed["hull_iou"].mean() < right["hull_iou"].mean() - 0.1


def test_leave_one_out_equals_carving_without_the_view():
    masks, cameras = sphere_scene(6)
    masks[2] = np.roll(masks[2], 9, axis=1)
    scores = silhouette_scores(masks, cameras, (0, 0, 0), 1.0, 48, margin=0.0)
    for view in range(6):
        rest = [k for k in range(6) if k != view]
        hull = carve_hull(masks[rest], [cameras[k] for k in rest], (0, 0, 0), 1.0, 48)
        drawn = project_hull(hull, cameras[view])
        assert scores["containment"][view] == (drawn & masks[view]).sum() / masks[view].sum()


def brute_votes(masks, cameras, half_extent, resolution, margin):
    """Every voxel centre against every silhouette, nothing skipped: seen and missed, bool [V, X, Y, Z]."""
    voxel = 2 * half_extent / resolution
    axis = (np.arange(resolution) + 0.5) * voxel - half_extent
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    seen, missed = [], []
    for mask, camera in zip(masks, cameras, strict=True):
        pixels, depth = project(camera, points)
        inside = (depth > 1e-9) & (pixels >= 0).all(-1) & (pixels < [camera.width, camera.height]).all(-1)
        column, row = np.where(inside[..., None], pixels, 0).astype(int).transpose(3, 0, 1, 2)
        away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)[row, column]
        seen.append(inside)
        missed.append(inside & (away > margin * voxel * camera.fxfycxcy[0] / np.where(inside, depth, 1)))
    return np.stack(seen), np.stack(missed)


@pytest.mark.parametrize(
    ("views", "tolerance", "margin", "elongated"),
    [(6, 0, 1.0, 1.0), (6, 1, 0.0, 0.0), (14, 1, 0.5, 2.0), (3, 0, 0.0, 1.0)],
)
def test_skipped_blocks_and_inner_voxels_change_no_hull_and_no_score(views, tolerance, margin, elongated):
    rng = np.random.default_rng(views)
    cameras = [orbit(*rng.uniform((0, -40, 1.4), (360, 70, 3.5)), FXFYCXCY, SIZE, SIZE) for _ in range(views)]
    masks = np.stack(
        [
            sphere_mask(c, (0.1, 0.2, 0.0), 0.4) | sphere_mask(c, (0.1 - 0.4 * elongated, 0.2, 0.1), 0.05)
            for c in cameras
        ]
    )
    masks[1] = np.roll(masks[1], 7, axis=1)
    seen, missed = brute_votes(masks, cameras, 1.5, 40, margin)
    hulls = [
        (seen[keep].sum(0) >= 2) & (missed[keep].sum(0) <= tolerance)
        for keep in ([*range(views)], *([k for k in range(views) if k != v] for v in range(views)))
    ]
    votes = cast_silhouettes(masks, cameras, np.zeros(3), 1.5, 40, margin, tolerance + 1)
    assert np.array_equal(votes.hull(tolerance, 2).occupancy, hulls[0]) and hulls[0].any()
    surfaces = votes.surfaces(views, tolerance, 2)
    scores = silhouette_scores(masks, cameras, np.zeros(3), 1.5, 40, tolerance, 2, margin)
    for view in range(-1, views):
        hull = Hull(hulls[view + 1], votes.origin, votes.voxel)
        found = surfaces[0] if view < 0 else surfaces[1][view]
        assert np.array_equal(found, hull.surface_points())
        if view >= 0:
            drawn = project_hull(hull, cameras[view])
            assert scores["containment"][view] == (drawn & masks[view]).sum() / masks[view].sum()


def test_an_empty_hull_is_reported_as_empty():
    cameras = ring(6)
    apart = np.stack([sphere_mask(c, (0.5 * np.cos(k), 0.5 * np.sin(k), 0.0), 0.1) for k, c in enumerate(cameras)])
    hull = carve_hull(apart, cameras, (0, 0, 0), 1.0, 48)
    assert hull.empty and hull.volume() == 0.0 and hull.points().shape == (0, 3)
    assert not project_hull(hull, cameras[0]).any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m, c: (m[:1], c[:1]), "two views"),
        (lambda m, c: (m[:, ::2], c), "do not fit"),
        (lambda m, c: (np.where(np.arange(8)[:, None, None] == 4, False, m), c), "no foreground"),
        (lambda m, c: (np.where(m, np.nan, 0.0), c), "NaN"),
    ],
)
def test_bad_silhouettes_are_named(change, words):
    masks, cameras = change(*sphere_scene(8))
    with pytest.raises(DataError, match=words):
        carve_hull(masks, cameras, (0, 0, 0), 1.0, 16)


def test_a_body_seen_from_its_voxels_corners_has_no_pinholes():
    """Squares of neighbouring voxels leave gaps there: many pixels a voxel, and every face seen obliquely."""
    camera = orbit(45.0, 35.0, 2.7, tuple(4 * k for k in FXFYCXCY), 4 * SIZE, 4 * SIZE)
    grid = np.stack(np.meshgrid(*[np.arange(24) - 11.5] * 3, indexing="ij"), -1)
    ball = Hull(np.linalg.norm(grid, axis=-1) < 11, np.full(3, -0.6), 0.05)
    depth = hull_depth(ball, camera)
    seen = np.isfinite(depth).astype(np.uint8)
    contours, _ = cv2.findContours(seen, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    assert np.array_equal(seen, cv2.drawContours(np.zeros_like(seen), contours, -1, 1, cv2.FILLED))
    inside = depth[seen > 0]
    assert inside.min() == pytest.approx(2.7 - 0.55, abs=0.06) and inside.max() < 2.7 + 0.1
    ring = Hull(
        ball.occupancy & (np.abs(grid[..., 2]) < 2) & (np.linalg.norm(grid[..., :2], axis=-1) > 6), ball.origin, 0.05
    )
    above = orbit(0.0, 89.0, 2.7, tuple(4 * k for k in FXFYCXCY), 4 * SIZE, 4 * SIZE)
    assert np.isinf(hull_depth(ring, above)[2 * SIZE, 2 * SIZE])  # a true hole stays one
