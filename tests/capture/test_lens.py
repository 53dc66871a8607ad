"""Lenses: the compiled model equals OpenCV's, and undistortion inverts it."""

import cv2
import numpy as np
import pytest

from mousefacelift.capture.lens import Lens
from mousefacelift.capture.readers import read_calibration
from mousefacelift.errors import CalibrationError

K = np.array([[1600.0, 0, 600], [0, 1610, 500], [0, 0, 1]])


def grid(width=1152, height=1024, n=25):
    return np.stack(np.meshgrid(np.linspace(0, width, n), np.linspace(0, height, n)), -1).reshape(-1, 2)


@pytest.mark.parametrize(
    "distortion", [[-0.16, 0.94, -0.001, -0.004, -2.7], [0.1, -0.05, 0.001, 0.002, 0.01, 0.02, -0.01, 0.003]]
)
def test_brown_model_equals_opencv(distortion, rng):
    plane = rng.uniform(-0.35, 0.35, (200, 2))
    points = np.concatenate([plane, np.ones((200, 1))], 1)
    expected = cv2.projectPoints(points, np.zeros(3), np.zeros(3), K, np.array(distortion))[0][:, 0]
    np.testing.assert_allclose(Lens(K, distortion).distort(plane), expected, atol=1e-9)


def test_fisheye_model_equals_opencv(rng):
    plane = rng.uniform(-1, 1, (200, 2))
    distortion = np.array([0.05, -0.02, 0.01, -0.003])
    expected = cv2.fisheye.distortPoints(plane[:, None], K, distortion)[:, 0]
    np.testing.assert_allclose(Lens(K, distortion, "fisheye").distort(plane), expected, atol=1e-8)


def test_skew_moves_u_by_y():
    skewed = K.copy()
    skewed[0, 1] = -5.8
    moved = Lens(skewed).distort(np.array([[0.1, 0.2]])) - Lens(K).distort(np.array([[0.1, 0.2]]))
    np.testing.assert_allclose(moved, [[-5.8 * 0.2, 0]], atol=1e-12)


def test_undistortion_inverts_the_real_lenses_over_the_whole_picture(shared):
    cameras, _ = read_calibration(shared / "data/rig_markerless_mouse/cameras_opencv.json")
    for camera in cameras:
        lens = Lens(camera.K, camera.distortion)
        pixels = grid()
        np.testing.assert_allclose(lens.distort(lens.undistort(pixels)), pixels, atol=1e-4)


def test_a_lens_that_cannot_be_inverted_is_nan_not_wrong():
    lens = Lens(K, [-3.0, 0, 0, 0, 0])  # folds back inside the picture
    plane = lens.undistort(np.array([[600.0, 500.0], [5000.0, 500.0]]))
    assert np.isfinite(plane[0]).all() and np.isnan(plane[1]).all()


@pytest.mark.parametrize("bad", [K.T, K * np.nan, np.zeros((3, 3)), 2 * K])
def test_a_matrix_that_is_no_camera_matrix_is_refused(bad):
    with pytest.raises(CalibrationError):
        Lens(bad)
