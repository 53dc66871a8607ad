"""EasyMocap: intri.yml (names, K_n, dist_n, H_n, W_n) and extri.yml (R_n, Rot_n, T_n) beside each other.

Metres by its own calibration; six decimals, so a rig read from it is exact to about 1e-3 px only, and the rotation is
made orthonormal again.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mousefacelift.capture.readers.about import About
from mousefacelift.capture.readers.storage import read_storages
from mousefacelift.errors import CalibrationError
from mousefacelift.formats.entries import Entry, image_size
from mousefacelift.formats.pixel_origin import from_zero_based, to_zero_based
from mousefacelift.formats.raw_camera import RawCamera

NAME = "easymocap"
ABOUT = About(
    "EasyMocap",
    "file of its writer (6 decimals), its reader read at 0ebb1d2",
    "m",
    "R_n rotation vector, Rot_n matrix, T_n; world to camera",
    "0",
    "folder with intri.yml and extri.yml",
)
METRE = 1000.0


def matches(path: Path) -> bool:
    files = _files(path)
    return bool(files) and all(file.is_file() for file in files)


def _files(path: Path) -> tuple[Path, Path] | None:
    folder = path if path.is_dir() else path.parent
    if path.is_dir() or path.name in ("intri.yml", "extri.yml"):
        return folder / "intri.yml", folder / "extri.yml"
    return None


def read(path: Path) -> list[RawCamera]:
    (_, inside), (_, outside) = read_storages(list(_files(path)))
    inner, outer = Entry(inside, "intri.yml"), Entry(outside, "extri.yml")
    names = [_text(name) for name in inner.need("names")]
    poses = [_text(name) for name in outer.take("names", default=names)]
    if sorted(names) != sorted(poses):
        raise CalibrationError(
            f"intri.yml and extri.yml of {path} name different cameras", got=", ".join(poses), expected=", ".join(names)
        )
    cameras = [_camera(name, inner, outer) for name in names]
    inner.finish()
    outer.finish()
    return cameras


def _text(name) -> str:
    """EasyMocap's own reader takes an unquoted name for a number."""
    return str(int(name)) if isinstance(name, float) else str(name)


def _camera(name: str, inner: Entry, outer: Entry) -> RawCamera:
    K = inner.array((3, 3), f"K_{name}")
    distortion = inner.numbers(f"dist_{name}", f"D_{name}")
    sides = [inner.take(f"{side}_{name}") for side in "WH"]
    width, height = image_size(None if None in sides or min(sides) <= 0 else sides, K, f"camera {name}")
    vector, matrix = outer.take(f"R_{name}"), outer.take(f"Rot_{name}")
    if vector is None and matrix is None:
        raise CalibrationError(f"camera {name} of extri.yml has no rotation", expected=f"R_{name} or Rot_{name}")
    turns = [np.asarray(matrix, np.float64)] if matrix is not None else []
    turns += [cv2.Rodrigues(np.asarray(vector, np.float64).reshape(3))[0]] if vector is not None else []
    if len(turns) == 2 and np.abs(turns[0] - turns[1]).max() > 1e-4:
        raise CalibrationError(f"R_{name} and Rot_{name} of extri.yml differ")
    u, _, vt = np.linalg.svd(turns[0].reshape(3, 3))
    t = METRE * outer.array((3,), f"T_{name}")
    return RawCamera(name, from_zero_based(K), u @ vt, t, distortion, width=width, height=height, unit=1.0)


def write(path: Path, cameras: list[RawCamera]) -> None:
    path.mkdir(parents=True, exist_ok=True)
    inner, outer = (cv2.FileStorage(str(path / name), cv2.FILE_STORAGE_WRITE) for name in ("intri.yml", "extri.yml"))
    for storage in (inner, outer):
        storage.startWriteStruct("names", cv2.FileNode_SEQ)
        for camera in cameras:
            storage.write("", camera.name)
        storage.endWriteStruct()
    for camera in cameras:
        inner.write(f"K_{camera.name}", to_zero_based(camera.K))
        inner.write(f"dist_{camera.name}", np.pad(camera.distortion, (0, 5))[None, :5])
        inner.write(f"H_{camera.name}", camera.height)
        inner.write(f"W_{camera.name}", camera.width)
        outer.write(f"R_{camera.name}", cv2.Rodrigues(np.asarray(camera.R))[0])
        outer.write(f"Rot_{camera.name}", np.asarray(camera.R))
        outer.write(f"T_{camera.name}", (np.asarray(camera.t) * (camera.unit or 1.0) / METRE).reshape(3, 1))
    inner.release()
    outer.release()
