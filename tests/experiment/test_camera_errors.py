"""What a level of `cameras` changes, and what it leaves alone."""

import numpy as np
import pytest

from mousefacelift.core.cameras import Camera, canonical_fxfycxcy, orbit, project
from mousefacelift.errors import CameraError
from mousefacelift.experiment.camera_errors import tell_cameras

SIZE = 64
CAMERAS = [
    orbit(azimuth, up, distance, canonical_fxfycxcy(SIZE), SIZE, SIZE)
    for azimuth, up, distance in ((0, 10, 2.1), (70, 20, 2.7), (150, 15, 3.3))
]
W2C = np.stack([[camera.w2c for camera in CAMERAS]] * 2)
LENS = np.stack([[camera.fxfycxcy for camera in CAMERAS]] * 2)
POINT = np.array([0.2, -0.1, 0.15])


def moved_px(level, seed=3):
    """Pixels of a 512 px picture by which the told cameras misplace a point, [F, V]."""
    w2c, lens = tell_cameras(level, W2C, LENS, SIZE, seed)
    return np.array(
        [
            [
                np.linalg.norm(project(Camera(w2c[f, v], lens[f, v], SIZE, SIZE), POINT)[0] - project(camera, POINT)[0])
                for v, camera in enumerate(CAMERAS)
            ]
            for f in range(2)
        ]
    ) * (512 / SIZE)


def test_exact_cameras_are_told_as_they_are():
    assert moved_px("exact").max() == 0


@pytest.mark.parametrize("pixels", [2, 10, 50])
def test_a_principal_point_error_moves_every_pixel_by_its_size_in_a_direction_of_each_camera(pixels):
    moved = moved_px(f"px{pixels}")
    np.testing.assert_allclose(moved, pixels, rtol=1e-6)
    shifts = tell_cameras(f"px{pixels}", W2C, LENS, SIZE, 3)[1][0] - LENS[0]
    assert len(np.unique(shifts[:, 2].round(6))) == 3  # not one common shift, which a moved world would explain
    np.testing.assert_array_equal(tell_cameras(f"px{pixels}", W2C, LENS, SIZE, 3)[1][0], shifts + LENS[1])


def test_an_audited_rig_is_off_by_about_a_pixel():
    assert 0.2 < moved_px("audited").mean() < 3


def test_rescaling_brings_every_camera_to_one_distance_and_keeps_lens_and_direction():
    w2c, lens = tell_cameras("rescaled", W2C, LENS, SIZE, 0)
    np.testing.assert_allclose(np.linalg.norm(w2c[..., :3, 3], axis=-1), 2.7)
    np.testing.assert_array_equal(lens, LENS)
    np.testing.assert_array_equal(w2c[..., :3, :3], W2C[..., :3, :3])
    assert moved_px("rescaled")[0, 1] == pytest.approx(0, abs=1e-6) and moved_px("rescaled")[0, 0] > 5


def test_a_mirrored_camera_has_the_animal_behind_it_and_the_readers_would_refuse_it():
    w2c, _ = tell_cameras("mirrored", W2C, LENS, SIZE, 0)
    assert np.allclose(np.linalg.det(w2c[..., :3, :3]), -1) and (w2c[..., 2, 3] < 0).all()
    with pytest.raises(CameraError, match="mirrors"):
        Camera(w2c[0, 0], LENS[0, 0], SIZE, SIZE)
