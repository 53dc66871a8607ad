"""DANNCE: `label3d_dannce.mat` (all cameras in `params`) or one .mat per camera (K, r, t, RDistort, TDistort).

Everything is for row vectors (K and r transposed), pixels are 1-based, t is in millimetres.
RDistort = [k1 k2 (k3)], TDistort = [p1 p2]. Image sizes are not in the file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mousefacelift.capture.readers.pixel_origin import from_one_based, to_one_based
from mousefacelift.capture.rig import RawCamera
from mousefacelift.errors import CalibrationError

NAME = "dannce_mat"
DESCRIPTION = "DANNCE label3d_dannce.mat, or a folder of per-camera .mat: transposed, 1-based, mm, skew, k1 k2 k3 p1 p2"


def matches(path: Path) -> bool:
    return path.is_file() and path.suffix == ".mat" or path.is_dir() and any(path.glob("*.mat"))


def read(path: Path) -> list[RawCamera]:
    if path.is_dir():
        return [_camera(_load(file), file.stem) for file in sorted(path.glob("*.mat"))]
    content = _load(path)
    if "params" not in content:
        return [_camera(content, path.stem)]
    params = np.atleast_1d(content["params"]).ravel()
    names = [str(name) for name in np.atleast_1d(content.get("camnames", [])).ravel()]
    if len(names) != len(params):
        names = [f"Camera{index + 1}" for index in range(len(params))]
    return [
        _camera({key: getattr(entry, key) for key in entry._fieldnames}, name) for name, entry in zip(names, params)
    ]


def _load(path: Path) -> dict:
    from scipy.io import loadmat
    from scipy.io.matlab import matfile_version

    if matfile_version(path)[0] == 2:  # HDF5, which scipy does not read
        raise CalibrationError(
            f"calibration {path} is a MATLAB 7.3 file",
            expected="version 7 or older",
            hint="in MATLAB: c = load(file); save(file, '-struct', 'c', '-v7')",
        )
    return loadmat(path, squeeze_me=True, struct_as_record=False)


def _camera(entry: dict, name: str) -> RawCamera:
    radial, tangential = (
        np.atleast_1d(np.asarray(entry.get(key, 0.0), np.float64)) for key in ("RDistort", "TDistort")
    )
    k1, k2, k3 = np.pad(radial, (0, 3 - len(radial)))
    p1, p2 = np.pad(tangential, (0, 2 - len(tangential)))
    K = from_one_based(np.asarray(entry["K"], np.float64).T)
    return RawCamera(
        name,
        K,
        np.asarray(entry["r"], np.float64).T,
        np.asarray(entry["t"], np.float64).reshape(3),
        np.array([k1, k2, p1, p2, k3]),
        unit=1.0,
    )


def write(path: Path, cameras: list[RawCamera]) -> None:
    from scipy.io import savemat

    params = np.empty((len(cameras), 1), object)
    for index, camera in enumerate(cameras):
        k1, k2, p1, p2, k3 = np.pad(camera.distortion, (0, 5))[:5]
        params[index, 0] = {
            "K": to_one_based(camera.K).T,
            "r": np.asarray(camera.R).T,
            "t": np.asarray(camera.t)[None] * (camera.unit or 1.0),
            "RDistort": np.array([[k1, k2, k3]]),
            "TDistort": np.array([[p1, p2]]),
        }
    names = np.array([[camera.name for camera in cameras]], object)
    savemat(path, {"params": params, "camnames": names})
