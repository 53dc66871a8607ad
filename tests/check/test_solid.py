"""Against the true body: each measure has a case that must be best, one that must be worst, and a failure to ignore."""

import numpy as np
import pytest
import torch

from mousefacelift.check.align import best_turn_and_scale, seen_as, turn_and_scale
from mousefacelift.check.ladder import silhouette_cone, spread_colours, visual_hull
from mousefacelift.check.single_summary import verdict
from mousefacelift.check.solid import (
    Truth,
    depth_normals,
    draw_on_faces,
    face_normals,
    normal_error,
    part_recall,
    surface_points,
    surface_scores,
    swaps,
    volume_iou,
)
from mousefacelift.core.cameras import angle_between, project, ring
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.images import mask_iou
from mousefacelift.core.render import render_published
from mousefacelift.core.samples import View

CAMERAS = ring(12, 64)


def cloud(points, radius, rgb=0.3):
    """Opaque balls at points [N, 3]."""
    means = torch.from_numpy(np.asarray(points)).float()
    count = len(means)
    quats = torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1)
    return Gaussians.from_rgb(
        means, quats, torch.full((count, 3), radius), torch.full((count,), 0.95), torch.full((count, 3), rgb)
    )


def animal_points(part):
    """Points of a toy animal along +x: trunk 0, tail 1 (bent to the left), ears 2, limbs 3 (only on the right)."""
    t = np.linspace(0, 1, 40)
    return {
        0: np.stack([0.5 * t - 0.25, 0 * t, 0 * t], -1),
        1: np.stack([-0.3 - 0.3 * t, 0.3 * t**2, 0 * t], -1),
        2: np.stack([0.28 + 0 * t, 0.1 - 0.2 * t, 0.15 + 0 * t], -1),
        3: np.stack([0.1 + 0 * t, -0.15 - 0.1 * t, -0.1 - 0.1 * t], -1),
    }[part]


POINTS = np.concatenate([animal_points(part) for part in range(4)])
LABELS = np.repeat(np.arange(4), 40)
TRUTH = Truth(POINTS, LABELS, np.zeros((1, 2, 2), np.uint8), np.zeros(3), np.array([1.0, 0.0]))


@pytest.mark.parametrize(
    "move,expected",
    [
        ([1, 1, 1], (0.0, 0.0)),
        ([-1, -1, 1], (1.0, 0.0)),
        ([1, -1, 1], (0.0, 1.0)),
    ],
)
def test_an_animal_the_wrong_way_round_is_told_and_a_right_one_is_not(move, expected):
    found = swaps(POINTS * move, TRUTH)
    assert (found["head_tail_swap"], found["left_right_swap"]) == expected


def test_a_body_without_thin_parts_is_no_swap_and_neither_is_a_blur():
    rng = np.random.default_rng(0)
    assert sum(swaps(animal_points(0), TRUTH).values()) == 0
    assert sum(swaps(rng.normal(0, 0.25, (100_000, 3)), TRUTH).values()) == 0
    assert sum(swaps(np.zeros((0, 3)), TRUTH).values()) == 0


def test_surface_scores_are_best_on_the_surface_and_fall_with_distance():
    best = surface_scores(POINTS, TRUTH.points)
    assert best["f1"] == 1 and best["chamfer"] == 0
    near = surface_scores(POINTS + [0, 0, 0.02], TRUTH.points)
    far = surface_scores(POINTS + [0, 0, 0.2], TRUTH.points)
    assert near["f1"] == 1 and far["f1"] < 0.1 and far["chamfer"] > near["chamfer"]
    half = surface_scores(animal_points(0), TRUTH.points)
    assert half["precision"] == 1 and half["surface_recall"] < 0.5
    assert surface_scores(np.zeros((0, 3)), TRUTH.points)["f1"] == 0


def test_part_recall_sees_the_part_that_is_missing_and_forgives_two_pixels():
    own = np.full((1, 128, 128), 255, np.uint8)
    own[0, 40:60, 40:90], own[0, 50:52, 90:120] = 0, 1
    whole = (own != 255).astype(np.float32)
    assert part_recall(whole, own)["recall_tail"] == part_recall(whole, own)["recall_trunk"] == 1
    assert np.isnan(part_recall(whole, own)["recall_ears"])
    without = whole.copy()
    without[0, :, 90:] = 0
    assert part_recall(without, own)["recall_tail"] < 0.1 and part_recall(without, own)["recall_trunk"] == 1
    assert part_recall(np.roll(whole, 2, 1), own)["recall_tail"] == 1
    assert part_recall(np.roll(whole, 5, 1), own)["recall_tail"] < 0.2
    assert part_recall(0 * whole, own)["recall_trunk"] == 0


def test_volume_iou_is_one_for_the_body_itself_whatever_its_colour_and_falls_when_it_swells():
    thin, _ = render_published(cloud(animal_points(0), 0.06), CAMERAS)
    bright, _ = render_published(cloud(animal_points(0), 0.06, 0.9), CAMERAS)
    fat, _ = render_published(cloud(animal_points(0), 0.12), CAMERAS)
    assert volume_iou(bright[..., 3], thin[..., 3], CAMERAS) == 1
    assert volume_iou(fat[..., 3], thin[..., 3], CAMERAS) < 0.6
    assert volume_iou(0 * thin[..., 3], thin[..., 3], CAMERAS) == 0


def test_surface_points_lie_where_the_splat_is():
    rgba, depth = render_published(cloud([[0.2, 0.1, 0.0]], 0.1), CAMERAS)
    points = surface_points(rgba[..., 3], depth, CAMERAS)
    assert np.abs(points - [0.2, 0.1, 0.0]).max() < 0.2 and len(points) > 100


@pytest.mark.parametrize("turn,scale", [(75.0, 1.25), (200.0, 1.8)])
def test_the_best_turn_and_scale_undo_a_turn_and_a_scale(turn, scale):
    animal = cloud(np.concatenate([animal_points(0), animal_points(1), animal_points(3)]), 0.05)
    true_move = turn_and_scale(turn, scale)
    truth = [
        View(rgba, camera)
        for rgba, camera in zip(render_published(animal, [seen_as(c, true_move) for c in CAMERAS])[0], CAMERAS)
    ]
    found_turn, found_scale = best_turn_and_scale(animal, truth)
    assert (found_turn - turn + 180) % 360 - 180 == pytest.approx(0, abs=3) and found_scale == pytest.approx(
        scale, rel=0.05
    )


def test_one_silhouette_gives_a_cone_that_repeats_its_picture_and_bounds_the_body():
    rgba, _ = render_published(cloud(animal_points(0), 0.06), CAMERAS)
    view = View(rgba[3], CAMERAS[3])  # from the side
    cone = silhouette_cone(view)
    again = visual_hull(cone, [view], CAMERAS[3])
    assert mask_iou(again[..., 3] > 0.5, rgba[3][..., 3] > 0.5) > 0.85
    side = next(i for i in range(12) if 80 < angle_between(CAMERAS[i], CAMERAS[3]) < 100)
    seen = visual_hull(cone, [view], CAMERAS[side])[..., 3] > 0.5
    true = rgba[side][..., 3] > 0.5
    assert (seen & true).sum() > 0.9 * true.sum() and seen.sum() > 1.3 * true.sum()
    pixels, depth = project(CAMERAS[side], cone.points())
    assert (depth > 0).all() and np.isfinite(pixels).all()


def bed(gain, low, high, findings=()):
    numbers = {name: {"mean": 0.5} for name in ("iou", "full_psnr", "coverage")}
    return {
        "frames": {
            "known": {"model": numbers, "nearest": numbers},
            "paired": {"iou": {"mean": gain, "low": low, "high": high, "n": 4}},
            "collapse": {"findings": list(findings)},
        }
    }


@pytest.mark.parametrize(
    "beds,answer",
    [
        (bed(0.1, 0.02, 0.2), "yes"),
        (bed(0.1, -0.02, 0.2), "undecided"),
        (bed(0.1, float("nan"), float("nan")), "undecided"),
        (bed(-0.1, -0.2, -0.02), "no"),
        (bed(0.1, 0.02, 0.2, ["overfilled"]), "no"),
        ({}, "undecided"),
    ],
)
def test_the_verdict_needs_an_interval_beyond_the_nearest_pose_and_no_collapse(beds, answer):
    assert verdict(beds)["answer"] == answer


def test_colours_spread_from_the_silhouette_and_do_not_change_it():
    rgba = np.zeros((8, 8, 4), np.float32)
    rgba[..., :3], rgba[2:5, 2:5] = 0.9, (0.2, 0.3, 0.4, 1.0)
    spread = spread_colours(View(rgba, ring(3, 8)[0])).rgba
    np.testing.assert_allclose(spread[..., :3], np.broadcast_to(np.float32([0.2, 0.3, 0.4]), (8, 8, 3)))
    np.testing.assert_array_equal(spread[..., 3], rgba[..., 3])


def ball_views(radius, shift=0.0, tilt=0.0):
    """Alpha and depth [V, H, W] of a ball of `radius` at x = `shift`, cast exactly; `tilt` is added to the depth, in
    units per pixel column."""
    alphas, depths = [], []
    for camera in CAMERAS:
        column, row = np.meshgrid(np.arange(64) + 0.5, np.arange(64) + 0.5)
        fx, fy, cx, cy = camera.fxfycxcy
        direction = np.stack([(column - cx) / fx, (row - cy) / fy, np.ones_like(column)], -1) @ camera.R
        offset = camera.center - np.array([shift, 0, 0])
        a, b = (direction**2).sum(-1), (direction * offset).sum(-1)
        root = b**2 - a * (offset @ offset - radius**2)
        hit = root > 0
        depths.append(np.where(hit, (-b - np.sqrt(root.clip(0))) / a, 0) + tilt * column * hit)
        alphas.append(hit.astype(np.float32))
    return np.stack(alphas), np.stack(depths)


def test_normals_of_the_right_surface_are_right_and_those_of_a_wall_of_depth_are_not():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(20_000, 3))
    truth /= np.linalg.norm(truth, axis=1, keepdims=True)
    right = depth_normals(*ball_views(0.5), CAMERAS)
    assert normal_error(*right, 0.5 * truth, truth) < 6  # a pixel is 3 degrees wide on this ball
    assert normal_error(right[0], rng.permutation(right[1]), 0.5 * truth, truth) > 45
    assert 80 < normal_error(right[0], unit(rng.normal(size=right[1].shape)), 0.5 * truth, truth) < 100
    tilted = depth_normals(*ball_views(0.5, tilt=0.03), CAMERAS)
    assert normal_error(*tilted, 0.5 * truth, truth) > 15
    larger = depth_normals(*ball_views(0.6), CAMERAS)
    assert normal_error(*larger, 0.5 * truth, truth) < 6  # a size that is wrong is Chamfer's to tell
    assert np.isnan(normal_error(np.zeros((0, 3)), np.zeros((0, 3)), truth, truth))


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_points_on_faces_are_even_by_area_and_know_their_face():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [3, 0, 1], [0, 3, 1.0]])
    faces = np.array([[0, 1, 2], [3, 4, 5]])
    points, chosen = draw_on_faces(vertices, faces, 4000, seed=0)
    assert abs((chosen == 1).mean() - 0.9) < 0.02 and (points[chosen == 1, 2] == 1).all()
    assert (points[:, :2] >= 0).all() and (points[chosen == 0, :2].sum(1) <= 1).all()
    np.testing.assert_allclose(face_normals(vertices, faces), [[0, 0, 1], [0, 0, 1]])
