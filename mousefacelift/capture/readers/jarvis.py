"""JARVIS: a folder with one OpenCV YAML per camera; intrinsicMatrix and R are for row vectors (transposed)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mousefacelift.capture.readers.about import About
from mousefacelift.capture.readers.storage import read_storages, storages_of
from mousefacelift.errors import CalibrationError
from mousefacelift.formats.entries import Entry, image_size
from mousefacelift.formats.pixel_origin import from_zero_based, to_zero_based
from mousefacelift.formats.raw_camera import RawCamera

NAME = "jarvis"
ABOUT = About(
    "JARVIS AcquisitionTool / HybridNet, multicam-calibration (jarvis)",
    "multicam-calibration 0.0.0 wrote it; JARVIS-HybridNet's reader read",
    "open (mm in JARVIS's own sets)",
    "R transposed, T world to camera; intrinsicMatrix transposed",
    "0",
    "folder of CAMERA.yaml: intrinsicMatrix, distortionCoefficients, R, T",
)


def matches(path: Path) -> bool:
    return any(b"intrinsicMatrix" in file.read_bytes() for file in storages_of(path))


def read(path: Path) -> list[RawCamera]:
    return [_camera(Entry(root, str(file)), file.stem) for file, root in read_storages(storages_of(path))]


def _camera(entry: Entry, name: str) -> RawCamera:
    K = entry.array((3, 3), "intrinsicMatrix").T
    if abs(K[2, 0]) > 1 and abs(K[0, 2]) < 1e-9:
        raise CalibrationError(
            f"intrinsicMatrix of {entry.where} is not transposed",
            expected="focal lengths on the diagonal, principal point in the last row, as JARVIS writes it",
            likely="a file written by hand",
        )
    R, t = entry.array((3, 3), "R").T, entry.array((3,), "T")
    distortion = entry.numbers("distortionCoefficients")
    width, height = image_size(entry.take("imageSize", "image_size"), K, entry.where)
    entry.finish()
    return RawCamera(name, from_zero_based(K), R, t, distortion, width=width, height=height)


def write(path: Path, cameras: list[RawCamera]) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for camera in cameras:
        storage = cv2.FileStorage(str(path / f"{camera.name}.yaml"), cv2.FILE_STORAGE_WRITE)
        storage.write("intrinsicMatrix", np.ascontiguousarray(to_zero_based(camera.K).T))
        storage.write("distortionCoefficients", np.pad(camera.distortion, (0, 5))[None, :5])
        storage.write("R", np.ascontiguousarray(np.asarray(camera.R).T))
        storage.write("T", np.asarray(camera.t).reshape(3, 1))
        storage.release()
