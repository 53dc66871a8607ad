"""What else is in the pictures: each switch does what it says, in its camera, and nothing when it is off."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import label

from mousefacelift.virtual import degrade
from mousefacelift.virtual.config import NO_DEFECTS
from mousefacelift.virtual.disturb import disturb
from mousefacelift.virtual.rig import ARENA_CENTER, build_rig, move_back, project, undistorted_rig

WIDTH, HEIGHT = 192, 160
TETRAHEDRON = np.array([[0, 0, 0], [30, 0, 0], [0, 30, 0], [0, 0, 30.0]]) + [*ARENA_CENTER, 6.0]
FACES = np.array([[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]])


def film(camera, **switches):
    lens = undistorted_rig(build_rig("ring", 5, WIDTH, HEIGHT))[camera]
    nothing = np.zeros((HEIGHT, WIDTH), np.float32)
    pixels, _ = project(lens, TETRAHEDRON)
    column, row = np.rint(pixels.mean(0)).astype(int)
    alpha = nothing.copy()
    alpha[row - 10 : row + 10, column - 10 : column + 10] = 1.0
    image = np.full((HEIGHT, WIDTH, 3), 0.7, np.float32)
    return alpha, *disturb(image, alpha.copy(), (TETRAHEDRON, FACES), lens, camera, replace(NO_DEFECTS, **switches))


def test_nothing_is_added_when_all_is_off_or_in_another_camera():
    for switches in ({}, {"floor_mirror_camera": 3}, {"occluder_camera": 0}, {"glass_reflection_camera": 4}):
        alpha, image, changed = film(1, **switches)
        assert np.array_equal(alpha, changed) and (image == np.float32(0.7)).all()


@pytest.mark.parametrize("switches", [{"bedding": True}, {"second_animal": True}, {"glass_reflection_camera": 2}])
def test_what_lies_apart_is_a_second_piece_of_the_mask_and_is_seen(switches):
    camera = switches.get("glass_reflection_camera", 0)
    alpha, image, changed = film(camera, **switches)
    assert (changed >= alpha).all() and label(changed > 0.5)[1] >= 2
    assert (image != np.float32(0.7)).any(-1)[(changed > 0.5) & (alpha < 0.5)].all()


def test_the_floor_mirrors_below_the_animal():
    alpha, _, changed = film(2, floor_mirror_camera=2)
    rows = np.nonzero((changed > 0.5) & (alpha < 0.5))[0]
    assert len(rows) > 20 and rows.mean() > np.nonzero(alpha)[0].mean()


def test_the_post_hides_the_animal():
    alpha, _, changed = film(2, occluder_camera=2)
    assert changed.sum() < alpha.sum() and (changed <= alpha).all()


def test_a_rig_that_is_moved_back_sees_the_middle_where_and_as_large_as_before():
    near = undistorted_rig(build_rig("markerless_mouse", 6, 1152, 1024))
    far = move_back(near, 1500.0)
    middle = np.array([*ARENA_CENTER, 20.0])
    assert np.mean([np.linalg.norm(lens.center - middle) for lens in far]) == pytest.approx(1500.0)
    for a, b in zip(near, far):
        assert project(b, middle)[0] == pytest.approx(project(a, middle)[0], abs=1e-6)
        side = middle + 10 * a.rotation[0]
        assert np.linalg.norm(project(b, side)[0] - project(b, middle)[0]) == pytest.approx(
            np.linalg.norm(project(a, side)[0] - project(a, middle)[0]), rel=0.02
        )


def test_the_wrong_matrix_is_that_of_the_distorted_pictures():
    distorted = build_rig("markerless_mouse", 6, 1152, 1024)
    stated = degrade.with_matrix_of(undistorted_rig(distorted), distorted)
    for lens, own in zip(stated, distorted):
        assert np.array_equal(lens.intrinsics[:4], own.intrinsics[:4]) and not lens.distortion.any()


def test_colour_offsets_differ_between_cameras_and_stay_within_their_bound():
    offsets = np.stack([degrade.colour_offset(camera, 0.04, 3) for camera in range(20)])
    assert np.abs(offsets).max() <= 0.04 and offsets.std(0).min() > 0.01
