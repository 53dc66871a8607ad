"""Calibrations that real tools wrote, of one rig whose projections are known: read right, or refused with the cause."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from mousefacelift.capture.conventions import raw_lenses
from mousefacelift.capture.readers import read_calibration
from mousefacelift.capture.rig import RigCamera
from mousefacelift.errors import CalibrationError


@pytest.fixture(scope="module")
def files(shared):
    return shared / "fixtures" / "real_files"


@pytest.fixture(scope="module")
def truth(files):
    return np.load(files / "truth.npz")


def projection_error(cameras, truth, key, order=None):
    """[V] largest distance, px, between the points' true pixels and those through the cameras as the file states
    them."""
    lenses, _ = raw_lenses(cameras)
    errors = []
    for index, (camera, lens) in enumerate(zip(cameras, lenses)):
        w2c = np.eye(4)
        w2c[:3, :3], w2c[:3, 3] = camera.R, camera.t * (camera.unit or 1.0)
        rig_camera = RigCamera(camera.name, w2c, lens, max(camera.width, 1), max(camera.height, 1))
        pixels, _ = rig_camera.project(truth["points"])
        errors.append(np.abs(pixels - 0.5 - truth[key][index if order is None else order[index]]).max())
    return np.array(errors)


READ = [
    ("01_unknown_distortion_key/cameras.json", "uv_brown", "opencv_json"),
    ("03_crop_offset/calibration.toml", "uv_off", "anipose_toml"),
    ("04_opencv_yaml_fisheye", "uv_fish", "opencv_yaml"),
    ("05_calibcam_fisheye_and_omni/fisheye_equidistant.yml", "uv_fish3", "calibcam"),
    ("05_calibcam_fisheye_and_omni/fisheye_equidistant.npy", "uv_fish3", "calibcam"),
    ("09_jarvis_folder", "uv_brown", "jarvis"),
    ("10_caliscope_own_file/camera_array.toml", "uv_brown", "caliscope_toml"),
    ("10_caliscope_own_file/fisheye.toml", "uv_fish", "caliscope_toml"),
    ("11_colmap_folder_per_camera/folders1_txt", "uv_brown4", "colmap"),
    ("11_colmap_folder_per_camera/folders3_txt", "uv_brown4", "colmap"),
    ("11_colmap_folder_per_camera/rig3_bin", "uv_brown4", "colmap"),
    ("17_opencv_json_filestorage/one.json", "uv_brown", "opencv_json"),
    ("17_opencv_json_filestorage/dir_json", "uv_brown", "opencv_json"),
    ("19_anipose_small/noname.toml", "uv_brown", "anipose_toml"),
]


@pytest.mark.parametrize(("path", "key", "name"), READ)
def test_what_the_tool_wrote_is_read_to_a_millionth_of_a_pixel(files, truth, path, key, name):
    cameras, found = read_calibration(files / path)
    assert found == name and len(cameras) == 6
    assert projection_error(cameras, truth, key).max() < 1e-6


def test_easymocap_is_as_exact_as_its_six_decimals(files, truth):
    cameras, name = read_calibration(files / "12_easymocap")
    assert name == "easymocap" and [camera.name for camera in cameras] == list("123456")
    assert projection_error(cameras, truth, "uv_brown").max() < 5e-3  # 1e-6 m at 0.4 m and 1,600 px
    assert read_calibration(files / "12_easymocap", "opencv_yaml")[0][0].unit == 1.0


def test_a_jarvis_folder_is_read_under_the_name_of_its_file_kind_too(files, truth):
    cameras, _ = read_calibration(files / "09_jarvis_folder", "opencv_yaml")
    assert projection_error(cameras, truth, "uv_brown").max() < 1e-6


def test_caliscope_cameras_without_a_pose_are_left_out_and_named(files, truth, caplog):
    cameras, _ = read_calibration(files / "10_caliscope_own_file/ignored.toml")
    assert [camera.name for camera in cameras] == ["0", "1", "2", "3", "5"] and "4" in caplog.text
    assert projection_error(cameras, truth, "uv_brown", order=[0, 1, 2, 3, 5]).max() < 1e-6


def test_pose_splatters_group_of_three_arrays_is_the_rig_without_names_and_lenses(truth, tmp_path):
    """As its loader (src/utils.py, get_cam_params, at 34adf50) reads it: P = intrinsic [rotation | translation]."""
    h5py = pytest.importorskip("h5py", reason="HDF5 formats need the extra 'files'")
    with h5py.File(tmp_path / "camera_params.h5", "w") as file:
        group = file.create_group("camera_parameters")
        group["rotation"], group["translation"], group["intrinsic"] = truth["R"], truth["t"], truth["K"]
    cameras, name = read_calibration(tmp_path / "camera_params.h5")
    assert name == "camera_hdf5" and [camera.name for camera in cameras] == list("012345")
    assert projection_error(cameras, truth, "uv_pin").max() < 1e-6


def test_cameras_are_ordered_as_people_count(files, truth):
    mat, _ = read_calibration(files / "07_string_order_ten_cameras/calibration")
    assert [camera.name for camera in mat] == [f"hires_cam{i}_params" for i in range(1, 13)]
    assert projection_error(mat[:6], truth, "uv_brown4").max() < 1e-6
    colmap, _ = read_calibration(files / "07_string_order_ten_cameras/sparse")
    assert [camera.name for camera in colmap] == [f"Camera{i}" for i in range(1, 13)]


def test_a_colmap_rig_is_named_by_its_folders(files):
    cameras, _ = read_calibration(files / "s_colmap_rig_names/model")
    assert [camera.name for camera in cameras] == [f"cam{i}" for i in range(1, 7)]


def test_what_opencv_says_of_a_file_is_passed_on(files):
    with pytest.raises(CalibrationError, match="Tabs are prohibited"):
        read_calibration(files / "17_opencv_json_filestorage/tabs.yml")


def test_sizes_that_numpy_2_wrote_as_text_are_explained(files):
    with pytest.raises(CalibrationError, match="numpy"):
        read_calibration(files / "19_anipose_small/npsize.toml")


def test_what_would_be_another_camera_is_refused_by_name(files, tmp_path):
    text = (files / "05_calibcam_fisheye_and_omni/fisheye_equidistant.yml").read_text()
    for change, word in (
        (("xi: [0.0]", "xi: [1.1]"), "omnidirectional"),
        (("fisheye_equidistant", "omnidir"), "omnidir"),
        (("0.03, -0.02, 0.0, 0.0", "0.03, -0.02, 0.001, 0.0"), "tangential"),
    ):
        (tmp_path / "c.yml").write_text(text.replace(*change))
        with pytest.raises(CalibrationError, match=word):
            read_calibration(tmp_path / "c.yml")
    document = json.loads((files / "01_unknown_distortion_key/cameras.json").read_text())
    for camera in document.values():
        camera["distortionParameters"] = camera.pop("distortion_coefs")
    (tmp_path / "cameras.json").write_text(json.dumps(document))
    with pytest.raises(CalibrationError, match="distortionParameters"):
        read_calibration(tmp_path / "cameras.json")
    yaml = (files / "04_opencv_yaml_fisheye/Camera1.yaml").read_text()
    (tmp_path / "rig").mkdir()
    (tmp_path / "rig" / "Camera1.yaml").write_text(yaml.replace('"fisheye"', '"double_sphere"'))
    with pytest.raises(CalibrationError, match="double_sphere"):
        read_calibration(tmp_path / "rig")


def test_a_colmap_camera_that_moves_is_named(files, tmp_path):
    shutil.copytree(files / "11_colmap_folder_per_camera/folders3_txt", tmp_path / "model", copy_function=shutil.copy)
    path = tmp_path / "model/images.txt"
    path.chmod(0o644)
    path.write_text(path.read_text().replace("-2.4604180480501303 -2.3527", "-22.4604180480501303 -2.3527", 1))
    with pytest.raises(CalibrationError, match="camera Camera1 .* moves"):
        read_calibration(tmp_path / "model")


def test_colmap_models_of_the_fisheye_family_and_those_that_are_refused(files, truth, tmp_path):
    for name in ("images.txt", "points3D.txt"):
        shutil.copy(files / "11_colmap_folder_per_camera/folders1_txt" / name, tmp_path / name)
    numbers = " ".join(f"{v:.17g}" for v in (1600, 1610, 565.3, 506.5))

    def read(model):
        (tmp_path / "cameras.txt").write_text("".join(f"{i} {model}\n" for i in range(1, 7)))
        return read_calibration(tmp_path)[0]

    for model, expected in (
        (f"FISHEYE 1152 1024 {numbers}", [0, 0, 0, 0]),
        ("RADIAL_FISHEYE 1152 1024 1600 565.3 506.5 0.03 -0.02", [0.03, -0.02, 0, 0]),
        (f"THIN_PRISM_FISHEYE 1152 1024 {numbers} 0.03 -0.02 0 0 0.01 0.004 0 0", [0.03, -0.02, 0.01, 0.004]),
    ):
        camera = read(model)[0]
        assert camera.model == "fisheye" and camera.distortion[:4].tolist() == expected
    for model in (
        f"FOV 1152 1024 {numbers} 0.9",
        f"EUCM 1152 1024 {numbers} 0.5 1",
        f"THIN_PRISM_FISHEYE 1152 1024 {numbers} 0.03 -0.02 0.001 0 0.01 0.004 0 0",
    ):
        with pytest.raises(CalibrationError, match=model.split()[0]):
            read(model)
