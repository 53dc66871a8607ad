"""DANNCE: `label3d_dannce.mat` (all cameras in `params`) or one .mat per camera (K, r, t, RDistort, TDistort).

Everything is for row vectors (K and r transposed), pixels are 1-based, t is in millimetres.
RDistort = [k1 k2 (k3)], TDistort = [p1 p2]. Image sizes are not in the file. MATLAB 7.3 files are HDF5 (needs h5py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mousefacelift.capture.readers import calibcam
from mousefacelift.capture.readers.about import About
from mousefacelift.errors import CalibrationError
from mousefacelift.formats.child import read_foreign
from mousefacelift.formats.entries import Entry, camera_names, natural_key
from mousefacelift.formats.pixel_origin import from_one_based, to_one_based
from mousefacelift.formats.raw_camera import RawCamera

NAME = "dannce_mat"
ABOUT = About(
    "DANNCE, SDANNCE, Label3D, MATLAB camera calibrator",
    "files (DANNCE's demos, version 5); 7.3 as hdf5storage 0.2.2 writes it",
    "mm",
    "r and K transposed (row vectors), t; world to camera",
    "1",
    "label3d_dannce.mat, or a folder of hires_camN_params.mat",
)
KEYS = ("K", "RDistort", "TDistort", "r", "t", "R")


def matches(path: Path) -> bool:
    if path.is_dir():
        return bool(list(path.glob("*.mat")))
    return path.is_file() and path.suffix == ".mat" and not calibcam.matches(path)


def read(path: Path) -> list[RawCamera]:
    files = sorted(path.glob("*.mat"), key=lambda file: natural_key(file.name)) if path.is_dir() else [path]
    contents = _load(files)
    if path.is_dir():
        return [_camera(content, file.stem, str(file)) for file, content in zip(files, contents)]
    content = contents[0]
    if "params" not in content:
        return [_camera(content, path.stem, str(path))]
    params = content["params"] if isinstance(content["params"], list) else [content["params"]]
    fallback = [f"Camera{index + 1}" for index in range(len(params))]
    given = content.get("camnames", [])
    given = [str(name) for name in (given if isinstance(given, list) else np.ravel(given))]
    if len(given) not in (0, len(params)):
        raise CalibrationError(f"{path} names another number of cameras", got=len(given), expected=len(params))
    names = camera_names(given, fallback) if given else fallback
    return [_camera(entry, name, str(path)) for entry, name in zip(params, names)]


def _load(files: list[Path]) -> list[dict[str, Any]]:
    hdf5 = [path.read_bytes()[:19].startswith(b"MATLAB 7.3") or _is_hdf5(path) for path in files]
    if any(hdf5) != all(hdf5):
        raise CalibrationError("some MATLAB files of the folder are version 7.3 and others not", got=files[0].parent)
    return read_foreign("mat73" if hdf5 and hdf5[0] else "mat", files) if files else []


def _is_hdf5(path: Path) -> bool:
    with open(path, "rb") as stream:
        head = stream.read(520)
    return head[:8] == b"\x89HDF\r\n\x1a\n" or head[512:520] == b"\x89HDF\r\n\x1a\n"


def _camera(content: Any, name: str, where: str) -> RawCamera:
    entry = Entry(content, f"camera {name} of {where}")
    radial, tangential = entry.numbers("RDistort"), entry.numbers("TDistort")
    if radial.size > 3 or tangential.size > 2:
        raise CalibrationError(f"{entry.where} has too many distortion terms", got=f"{radial}, {tangential}")
    k1, k2, k3 = np.pad(radial, (0, 3 - radial.size))
    p1, p2 = np.pad(tangential, (0, 2 - tangential.size))
    K = from_one_based(entry.array((3, 3), "K").T)
    R, t = entry.array((3, 3), "r", "R").T, entry.array((3,), "t")
    entry.ignore("name", "camname", "calibrationName", "worldPoints", "imagePoints")
    entry.finish()
    return RawCamera(name, K, R, t, np.array([k1, k2, p1, p2, k3]), unit=1.0)


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
