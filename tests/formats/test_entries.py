"""Keys of a camera are accounted for, names sort as people count, and made-up sizes are not believed."""

import numpy as np
import pytest

from mousefacelift.capture.readers.opencv_entry import camera_from_entry
from mousefacelift.errors import CalibrationError
from mousefacelift.formats.entries import Entry, camera_names, count_of, image_size, lens_model, natural_key

CAMERA = {"K": [[500, 0, 100.3], [0, 500, 80.1], [0, 0, 1]], "R": np.eye(3).tolist(), "t": [0, 0, 1]}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("distortion_parameters", [0.1, 0, 0, 0, 0]),
        ("k1", -0.2),
        ("xi", 1.2),
        ("binning", 2),
        ("crop_x", 64),
        ("roi", [10, 20, 300, 200]),
        ("offset", [100, 60]),
        ("rotation_count_deg", 180),
        ("distortion_model", "double_sphere"),
        ("camera_model", "mei"),
        ("skew_px", 3.0),
        ("flip_horizontal", True),
        ("distortion_center", [500.0, 400.0]),
        ("fx", 510.0),
    ],
)
def test_a_key_that_may_move_points_is_an_error_that_names_it(key, value):
    with pytest.raises(CalibrationError) as caught:
        camera_from_entry({**CAMERA, key: value}, "c", "file")
    assert key in str(caught.value) or str(value) in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("reprojection_error", 0.3),
        ("distortion_std", [0.1] * 5),
        ("serial", 123456),
        ("date", "2024-01-01"),
        ("xi", [0.0]),
        ("binning", 1),
        ("crop", [0, 0]),
        ("camera_model", "PINHOLE"),
        ("comment", "wide lens"),
        ("center", [1.0, 2.0, 3.0]),
        ("azimuth_deg", 30.0),
        ("fx", 500.0),
    ],
)
def test_a_key_that_moves_no_point_is_let_through(key, value):
    assert camera_from_entry({**CAMERA, key: value}, "c", "file").name == "c"


def test_two_values_for_one_thing_must_agree():
    with pytest.raises(CalibrationError, match="twice"):
        camera_from_entry({**CAMERA, "dist": [0.1], "distortion": [0.2]}, "c", "file")
    with pytest.raises(CalibrationError, match="differ"):
        camera_from_entry({**CAMERA, "rvec": [0, 0, 1.0]}, "c", "file")
    assert Entry({"a": [1], "b": [1.0]}, "e").take("a", "b") == [1]


def test_lens_models_by_their_many_names():
    assert {lens_model(word, "c") for word in ("OPENCV", "plumb_bob", "Brown-Conrady", "", "radtan")} == {"brown"}
    assert {lens_model(word, "c") for word in ("fisheye", "KANNALA_BRANDT", "equidistant")} == {"fisheye"}
    with pytest.raises(CalibrationError, match="omnidirectional"):
        lens_model("omnidirectional", "c")


def test_camera_10_comes_after_camera_2():
    names = ["Camera10", "Camera2", "Camera1", "cam"]
    assert sorted(names, key=natural_key) == ["Camera1", "Camera2", "Camera10", "cam"]


def test_missing_names_take_those_of_their_sections():
    assert camera_names(["None", None, "top"], ["cam_0", "cam_1", "cam_2"]) == ["cam_0", "cam_1", "top"]


def test_a_size_of_twice_the_principal_point_was_made_up():
    K = np.array([[500, 0, 565.3], [0, 500, 506.5], [0, 0, 1]])
    assert image_size([1130.6, 1013.0], K, "c") == (0, 0)
    assert image_size([1131, 1013], K, "c") == (0, 0)
    assert image_size([1152, 1024], K, "c") == (1152, 1024)
    assert image_size(None, K, "c") == (0, 0)
    K[:2, 2] = 576, 512
    assert image_size([1152, 1024], K, "c") == (1152, 1024)
    with pytest.raises(CalibrationError, match="np.int64"):
        image_size(["np.int64(1152)", "np.int64(1024)"], K, "c")


@pytest.mark.parametrize("value", [float("inf"), float("nan"), -1, 2**40, "wide", None, [8, 8]])
def test_a_count_that_is_none_is_an_error(value):
    with pytest.raises(CalibrationError, match="'w' of frame 3 is no number of pixels"):
        count_of(value, "'w' of frame 3")


def test_counts_are_whole():
    assert [count_of(value, "w") for value in (0, 8, 8.0, "8", 8.5)] == [0, 8, 8, 8, 8]


def test_a_picture_without_end_is_an_error():
    with pytest.raises(CalibrationError, match="no number of pixels"):
        image_size([float("inf"), 8], np.eye(3), "camera 1")
