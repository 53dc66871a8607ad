"""Every calibration format returns the cameras that were written, and refuses what is no calibration."""

import json
import os
import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest

from mousefacelift.capture.readers import FORMATS, colmap, read_calibration
from mousefacelift.cli import main
from mousefacelift.errors import CalibrationError, ConfigError
from mousefacelift.formats.raw_camera import RawCamera

FILES = {
    "mammal_pickle": "new_cam.pkl",
    "dannce_mat": "label3d_dannce.mat",
    "anipose_toml": "calibration.toml",
    "calibcam": "multicam_calibration.npz",
    "colmap": "sparse",
    "facelift_json": "opencv_cameras.json",
    "nerfstudio_json": "transforms.json",
    "opencv_json": "cameras.json",
    "opencv_yaml": "cameras.yml",
    "caliscope_toml": "camera_array.toml",
    "jarvis": "jarvis",
    "easymocap": "easymocap",
    "camera_hdf5": "calibration.h5",
    "sleap_slp": "session.slp",
    "multicamselfcal": "mcsc",
    "beast3d": "session",
}
FOLDERS = ("colmap", "jarvis", "easymocap", "multicamselfcal", "beast3d")
NEEDS_H5PY = ("camera_hdf5", "sleap_slp")
NO_DISTORTION = ("mammal_pickle", "facelift_json")
NO_SIZE = ("mammal_pickle", "dannce_mat", "calibcam", "jarvis", "camera_hdf5")
NO_SKEW = ("colmap", "facelift_json", "nerfstudio_json")
NO_NAME = ("mammal_pickle", "caliscope_toml", "calibcam")


def make_cameras(count=4, seed=0, unit=1.0):
    rng = np.random.default_rng(seed)
    cameras = []
    for index in range(count):
        R = cv2.Rodrigues(rng.normal(0, 1, 3))[0]
        K = np.array([[1600 + rng.normal() * 20, -5.8, 600.0], [0, 1610.0, 510.0], [0, 0, 1]])
        cameras.append(
            RawCamera(
                f"cam{index}",
                K,
                R,
                rng.normal(0, 300, 3),
                np.array([-0.16, 0.94, -0.001, -0.004, -2.7]),
                "brown",
                1152,
                1024,
                unit,
            )
        )
    return cameras


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_format_returns_what_was_written(name, tmp_path):
    if name in NEEDS_H5PY:
        pytest.importorskip("h5py", reason="HDF5 formats need the extra 'files'")
    path = tmp_path / FILES[name]
    written = [replace(c, distortion=c.distortion * (name not in NO_DISTORTION)) for c in make_cameras()]
    FORMATS[name].write(path, written)
    cameras, found = read_calibration(path)
    assert found == name and len(cameras) == len(written)
    if name not in NO_NAME:
        assert [camera.name for camera in cameras] == [camera.name for camera in written]
    for camera, truth in zip(cameras, written):
        K = np.array(truth.K)
        K[0, 1] *= name not in NO_SKEW
        np.testing.assert_allclose(camera.K, K, atol=1e-9)
        np.testing.assert_allclose(camera.R, truth.R, atol=1e-9)
        np.testing.assert_allclose(camera.t, truth.t, atol=1e-9)
        np.testing.assert_allclose(np.pad(camera.distortion, (0, 8))[:5], truth.distortion, atol=1e-12)
        assert (camera.width, camera.height) == ((0, 0) if name in NO_SIZE else (1152, 1024))


def test_colmap_binary_equals_text(tmp_path):
    cameras = make_cameras()
    colmap.write(tmp_path / "text", cameras)
    colmap.write(tmp_path / "binary", cameras, binary=True)
    for a, b in zip(colmap.read(tmp_path / "text"), colmap.read(tmp_path / "binary"), strict=True):
        np.testing.assert_allclose(a.K, b.K)
        np.testing.assert_allclose(a.R, b.R, atol=1e-12)
        np.testing.assert_allclose(a.t, b.t)


def test_calibcam_yaml_equals_npz(tmp_path):
    for suffix in ("npz", "yml"):
        FORMATS["calibcam"].write(tmp_path / f"c.{suffix}", make_cameras())
    npz, yml = (read_calibration(tmp_path / f"c.{s}")[0] for s in ("npz", "yml"))
    for a, b in zip(npz, yml, strict=True):
        np.testing.assert_allclose(a.K, b.K)
        np.testing.assert_allclose(a.t, b.t)


def test_calibcam_object_npy_is_read_without_trusting_it(tmp_path):
    calibs = [
        {"A": np.eye(3) * [[500.0], [500.0], [1]], "k": np.zeros(5), "rvec_cam": np.zeros(3), "tvec_cam": np.ones(3)}
    ]
    np.save(tmp_path / "multicam_calibration.npy", {"calibs": calibs}, allow_pickle=True)
    cameras, _ = read_calibration(tmp_path / "multicam_calibration.npy")
    np.testing.assert_allclose(cameras[0].t, 1)


def test_dannce_numbers_become_the_opencv_ones(shared):
    mat, _ = read_calibration(shared / "data/rig_markerless_mouse/markerless_mouse_1_label3d_dannce.mat")
    opencv, name = read_calibration(shared / "data/rig_markerless_mouse/cameras_opencv.json")
    assert name == "opencv_json"
    for a, b in zip(mat, opencv, strict=True):
        np.testing.assert_allclose(a.K, b.K, atol=1e-9)
        np.testing.assert_allclose(a.R, b.R, atol=1e-12)
        np.testing.assert_allclose(a.t, b.t, atol=1e-12)
        np.testing.assert_allclose(a.distortion, b.distortion, atol=1e-12)


def write_matlab73(path, cameras):
    """label3d_dannce.mat as MATLAB 7.3 lays it out: HDF5 after a 512-byte header, arrays transposed, cells by
    reference."""
    h5py = pytest.importorskip("h5py", reason="MATLAB 7.3 files need the extra 'files'")

    with h5py.File(path, "w", userblock_size=512) as file:
        params = file.create_dataset("params", (1, len(cameras)), h5py.ref_dtype)
        names = file.create_dataset("camnames", (1, len(cameras)), h5py.ref_dtype)
        for item in (params, names):
            item.attrs["MATLAB_class"] = np.bytes_("cell")
        for index, camera in enumerate(cameras):
            K = np.array(camera.K) + [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]
            k1, k2, p1, p2, k3 = camera.distortion
            group = file.create_group(f"#refs#/camera{index}")
            for key, value in (("K", K.T), ("r", camera.R.T), ("t", camera.t[None])):
                group[key] = np.asarray(value).T  # column-major
            group["RDistort"], group["TDistort"] = np.array([[k1], [k2], [k3]]), np.array([[p1], [p2]])
            text = file.create_dataset(f"#refs#/name{index}", data=np.array([[ord(c)] for c in camera.name], np.uint16))
            text.attrs["MATLAB_class"] = np.bytes_("char")
            params[0, index], names[0, index] = group.ref, text.ref
    with open(path, "r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def test_a_matlab_7_3_file_is_the_same_rig(tmp_path):
    write_matlab73(tmp_path / "label3d_dannce.mat", make_cameras())
    cameras, name = read_calibration(tmp_path / "label3d_dannce.mat")
    assert name == "dannce_mat"
    for camera, truth in zip(cameras, make_cameras(), strict=True):
        assert camera.name == truth.name
        np.testing.assert_allclose(camera.K, truth.K, atol=1e-9)
        np.testing.assert_allclose(camera.R, truth.R, atol=1e-12)
        np.testing.assert_allclose(camera.t, truth.t, atol=1e-12)
        np.testing.assert_allclose(camera.distortion, truth.distortion, atol=1e-12)


def test_a_broken_matlab_7_3_file_is_an_error(tmp_path):
    path = tmp_path / "label3d_dannce.mat"
    path.write_bytes(
        b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM" + bytes(384) + b"\x89HDF\r\n\x1a\n"
    )
    with pytest.raises((CalibrationError, ConfigError), match=r"cannot be parsed|h5py"):
        read_calibration(path)


def test_multicamselfcals_own_files_begin_with_octaves_comments(tmp_path):
    cameras = [replace(camera, distortion=np.zeros(5)) for camera in make_cameras()]
    FORMATS["multicamselfcal"].write(tmp_path / "mcsc", cameras)
    for path in (tmp_path / "mcsc").glob("*.Pmat.cal"):
        head = "# Created by Octave 3.2.4, Wed Aug 14 07:33:40 2013 CEST\n# name: Pmat\n# type: matrix\n# rows: 3\n"
        path.write_text(head + "# columns: 4\n" + path.read_text())
    for camera, truth in zip(read_calibration(tmp_path / "mcsc")[0], cameras, strict=True):
        np.testing.assert_allclose(camera.K, truth.K, atol=1e-9)
        np.testing.assert_allclose(camera.R, truth.R, atol=1e-9)


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, ("true",)

    (tmp_path / "new_cam.pkl").write_bytes(pickle.dumps([{"K": Evil()}]))
    with pytest.raises(CalibrationError, match="system"):
        read_calibration(tmp_path / "new_cam.pkl")


def test_a_pickle_with_a_damaged_dtype_is_an_error(tmp_path):
    """numpy answers such a state with SystemError."""

    class Damaged:
        def __reduce__(self):
            return np.dtype, ("f8", False, True), (1, "<", None, None, -1, -1, 0)

    (tmp_path / "new_cam.pkl").write_bytes(pickle.dumps([Damaged()]))
    with pytest.raises(CalibrationError, match="not a readable pickle"):
        read_calibration(tmp_path / "new_cam.pkl", "mammal_pickle")


def test_a_picture_of_endless_width_is_an_error(tmp_path):
    frame = {"w": float("inf"), "h": 8, "fx": 9.0, "fy": 9.0, "cx": 4.0, "cy": 4.0, "w2c": np.eye(4).tolist()}
    (tmp_path / "opencv_cameras.json").write_text(json.dumps({"frames": [frame]}))
    with pytest.raises(CalibrationError, match="no number of pixels"):
        read_calibration(tmp_path / "opencv_cameras.json", "facelift_json")


def test_bad_calibrations_are_named(tmp_path):
    def write(change):
        cameras = make_cameras()
        cameras[2] = change(cameras[2])
        FORMATS["mammal_pickle"].write(tmp_path / "c.pkl", cameras)
        with pytest.raises(CalibrationError) as caught:
            read_calibration(tmp_path / "c.pkl")
        return str(caught.value)

    assert "camera 2" in write(lambda c: replace(c, t=c.t * np.nan))
    assert "det R = -1" in write(lambda c: replace(c, R=np.diag([1, 1, -1]) @ c.R))
    assert "orthonormal" in write(lambda c: replace(c, R=c.R * 2))


def test_missing_unknown_and_truncated_files_are_errors(tmp_path):
    with pytest.raises(CalibrationError, match="does not exist"):
        read_calibration(tmp_path / "no.pkl")
    with pytest.raises(ConfigError, match="not known"):
        read_calibration(tmp_path, "matlab")
    (tmp_path / "x.bin").write_bytes(b"1")
    with pytest.raises(CalibrationError, match="not clear"):
        read_calibration(tmp_path / "x.bin")
    for name, file in FILES.items():
        if name in FOLDERS:
            continue
        FORMATS[name].write(tmp_path / file, [replace(c, distortion=np.zeros(5)) for c in make_cameras()])
        data = (tmp_path / file).read_bytes()
        (tmp_path / file).write_bytes(data[: len(data) // 2])
        with pytest.raises(CalibrationError):
            read_calibration(tmp_path / file, name)


def test_formats_document_themselves(capsys):
    for name, module in FORMATS.items():
        assert module.NAME == name and module.__doc__
        assert all(
            getattr(module.ABOUT, field) for field in ("tool", "checked", "unit", "direction", "pixels", "holds")
        )
    main(["capture", "readers"])
    printed = capsys.readouterr().out
    assert all(f"\n{name}\n" in "\n" + printed for name in FORMATS) and "world to camera" in printed
