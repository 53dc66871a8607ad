import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mousefacelift.core.cameras import (
    Camera,
    aim_at,
    angle_between,
    azimuth_elevation,
    canonical_fxfycxcy,
    circular_difference,
    find_pixels,
    look_at,
    orbit,
    project,
    rays,
    ring,
    signed_degrees,
    unproject,
)
from mousefacelift.core.similarity import Similarity
from mousefacelift.errors import CameraError

angles = st.floats(0, 359.9), st.floats(-80, 80), st.floats(0.5, 10)


@settings(max_examples=50, deadline=None)
@given(*angles)
def test_orbit_and_azimuth_elevation_are_inverse(azimuth, elevation, distance):
    camera = orbit(azimuth, elevation, distance, canonical_fxfycxcy(64), 64, 64, target=(0.3, -0.2, 0.1))
    a, e, d = azimuth_elevation(camera, (0.3, -0.2, 0.1))
    assert abs(circular_difference(a, azimuth)) < 1e-6 and abs(e - elevation) < 1e-6 and abs(d - distance) < 1e-9


def test_projection_and_unprojection_are_inverse(rng):
    camera = orbit(40, 15, 2.7, np.array([560, 548.99, 201.3, 290.7]), 512, 480)
    points = rng.uniform(-1, 1, (100, 3))
    pixels, depth = project(camera, points)
    assert np.abs(unproject(camera, pixels, depth) - points).max() < 1e-12


def test_the_ray_of_a_pixel_projects_to_its_centre():
    camera = orbit(200, 10, 2.7, np.array([60.0, 70, 30, 33]), 64, 60)
    origin, directions = rays(camera)
    pixels, _ = project(camera, origin + 2 * directions[17, 23])
    assert np.abs(pixels - [23.5, 17.5]).max() < 1e-9


def test_up_in_the_world_is_up_in_the_picture():
    camera = orbit(90, 0, 2.7, canonical_fxfycxcy(64), 64, 64)
    assert project(camera, np.array([0, 0, 0.5]))[0][1] < 32


def test_aiming_moves_pixels_by_the_homography_and_keeps_the_centre(rng):
    camera = Camera(look_at(np.array([2.0, 1, 1]), np.array([0.2, 0.1, 0])), [500, 510, 240, 260], 512, 512)
    new, homography = aim_at(camera, np.zeros(3), canonical_fxfycxcy(128), 128, 128)
    points = rng.uniform(-0.3, 0.3, (50, 3))
    old_pixels, new_pixels = project(camera, points)[0], project(new, points)[0]
    moved = np.c_[old_pixels, np.ones(50)] @ homography.T
    assert np.abs(moved[:, :2] / moved[:, 2:] - new_pixels).max() < 1e-9
    assert np.abs(new.center - camera.center).max() < 1e-12
    assert np.abs(project(new, np.zeros(3))[0] - 64).max() < 1e-9


def test_a_similarity_leaves_every_pixel_unchanged(rng):
    camera = orbit(10, 20, 300, np.array([1600.0, 1610, 600, 500]), 1152, 1024, target=(50, 60, 20))
    move = Similarity(0.00844, look_at(np.array([1.0, 2, 3]), np.zeros(3))[:3, :3], np.array([0.1, -2, 3]))
    points = rng.normal(size=(40, 3)) * 30 + [50, 60, 20]
    before, after = project(camera, points)[0], project(move.apply_camera(camera), move.apply(points))[0]
    assert np.abs(before - after).max() < 1e-8
    assert np.abs(move.inverse().apply(move.apply(points)) - points).max() < 1e-9
    assert np.abs(move.then(move.inverse()).apply(points) - points).max() < 1e-9


def test_the_published_ring_has_its_published_numbers():
    cameras = ring(32, 512)
    assert abs(cameras[0].fxfycxcy[0] - 548.9938) < 1e-4
    assert abs(angle_between(cameras[0], cameras[16]) - 140.0) < 1e-9  # two sides at elevation 20
    assert [round(azimuth_elevation(c)[0], 2) for c in cameras[:3]] == [0.0, 11.25, 22.5]


@pytest.mark.parametrize(
    "break_camera, word",
    [
        (lambda m: m * [1, 1, 1, 1] * np.array([[-1], [1], [1], [1]]), "mirrors"),
        (lambda m: m * 2, "rigid"),
        (lambda m: m * np.nan, "finite"),
        (lambda m: m[:3], "shapes"),
    ],
)
def test_what_is_not_a_camera_is_refused(break_camera, word):
    good = orbit(0, 0, 2.7, canonical_fxfycxcy(64), 64, 64)
    with pytest.raises(CameraError, match=word):
        Camera(break_camera(np.array(good.w2c)), good.fxfycxcy, 64, 64)


def test_aiming_behind_is_refused():
    with pytest.raises(CameraError, match="behind"):
        aim_at(orbit(0, 0, 2.7, canonical_fxfycxcy(64), 64, 64), np.array([10.0, 0, 0]))


def test_signed_degrees_have_one_name_for_each_direction():
    assert [signed_degrees(a) for a in (0.0, 190.0, -190.0, 180.0, -180.0, 540.0)] == [0, -170, 170, 180, 180, 180]


def test_points_fall_into_the_pixels_that_they_project_to_and_others_are_outside():
    camera = orbit(30.0, 10.0, 2.7, (60.0, 60.0, 16.0, 12.0), 32, 24)
    axis = camera.R[2]
    points = np.array([[0.0, 0, 0], 5 * axis - 3 * camera.R[0], camera.center - axis])  # middle, left of it, behind
    found = find_pixels(camera, points)
    assert found.inside.tolist() == [True, False, False]
    assert (found.rows[0], found.columns[0]) == (12, 16) and found.depth[0] == pytest.approx(2.7)
    assert found.rows[1:].tolist() == found.columns[1:].tolist() == [0, 0] and found.depth[2] < 0
