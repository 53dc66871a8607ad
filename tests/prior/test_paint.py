import numpy as np

from mousefacelift.core.cameras import project
from mousefacelift.prior.individuals import draw_individual
from mousefacelift.prior.paint import make_pose, paint_square, paint_view, random_camera, turn_z
from mousefacelift.prior.template import build_template


def test_surface_points_project_into_the_painted_animal_and_fill_the_crop():
    pose = make_pose(draw_individual(2, 800), 1, build_template())
    world = turn_z(pose.points, pose.heading) + pose.origin
    for seed in range(3):
        camera, _, _ = random_camera(pose, np.random.default_rng(seed), 96, (-10, 60))
        alpha = paint_square(pose.scene, camera)[..., 3]
        pixels, _ = project(camera, world)
        inside = (pixels > 1).all(1) & (pixels < 95).all(1)
        x, y = pixels[inside].astype(int).T
        near = np.max([alpha[y + dy, x + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)], axis=0)
        assert inside.mean() > 0.97 and (near > 0.5).mean() > 0.98
        shown = np.flatnonzero((alpha > 0.5).any(0))
        rows = np.flatnonzero((alpha > 0.5).any(1))
        assert 0.7 * 96 < max(np.ptp(shown), np.ptp(rows)) < 96


def test_a_view_says_where_its_points_are_in_the_frame_of_its_crop():
    pose = make_pose(draw_individual(2, 300), 0, build_template())
    view = paint_view(pose, np.random.default_rng(1), 48, (0, 40))
    own = turn_z((pose.points - view.anchor) / view.unit, view.heading)  # x along the view, origin at the anchor
    offset = np.array([-view.facts[1], 0.0, view.facts[0]]) * 5 / view.facts[2]  # of the camera, from its facts
    pixels, _ = project(view.camera, turn_z(pose.points, pose.heading) + pose.origin)
    forward = -offset / np.linalg.norm(offset)
    right = np.array([0.0, -1.0, 0.0])
    down = np.cross(forward, right)
    depth = (own - offset) @ forward
    focal = 24 * np.linalg.norm(offset)
    expected = np.stack([24 + focal * (own - offset) @ right / depth, 24 + focal * (own - offset) @ down / depth], -1)
    np.testing.assert_allclose(pixels, expected, atol=0.05)
