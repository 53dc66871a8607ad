"""OpenCV FileStorage (.yml, .yaml, .xml): a folder with one file per camera, or one file with one node per camera."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mousefacelift.capture.readers.opencv_entry import KEYS, camera_from_entry, entry_from_camera
from mousefacelift.capture.rig import RawCamera
from mousefacelift.errors import CalibrationError

NAME = "opencv_yaml"
DESCRIPTION = (
    "OpenCV FileStorage .yml/.yaml/.xml: camera_matrix, distortion_coefficients, R/rvec, T/tvec, image_width/height"
)
SUFFIXES = (".yml", ".yaml", ".xml")


def matches(path: Path) -> bool:
    if path.is_dir():
        return any(_is_storage(file) for file in sorted(path.iterdir()))
    return _is_storage(path)


def _is_storage(path: Path) -> bool:
    if not path.is_file() or path.suffix not in SUFFIXES:
        return False
    head = path.read_bytes()
    return b"rvec_cam" not in head and (b"opencv-matrix" in head or b"opencv_storage" in head)


def read(path: Path) -> list[RawCamera]:
    if path.is_dir():
        return [camera for file in sorted(path.iterdir()) if _is_storage(file) for camera in _read_file(file)]
    return _read_file(path)


def _read_file(path: Path) -> list[RawCamera]:
    try:
        storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
        root = _plain(storage.root())
        storage.release()
    except (cv2.error, SystemError) as error:
        raise CalibrationError(
            f"calibration {path} cannot be parsed", got=str(error), likely="a truncated file"
        ) from error
    if not isinstance(root, dict):
        raise CalibrationError(f"calibration {path} holds no named values", likely="an empty file")
    if any(key in root for key in KEYS["K"]):
        return [camera_from_entry(root, str(root.get("name", path.stem)))]
    cameras = [(name, node) for name, node in root.items() if isinstance(node, dict)]
    return [camera_from_entry(node, str(node.get("name", name))) for name, node in cameras]


def _plain(node):
    """Python value of a FileNode; matrices become arrays."""
    if node.isMap():
        keys = node.keys()
        if "data" in keys and "rows" in keys:
            return np.asarray(node.mat(), np.float64)
        return {key: _plain(node.getNode(key)) for key in keys}
    if node.isSeq():
        return [_plain(node.at(index)) for index in range(node.size())]
    return node.string() if node.isString() else node.real()


def write(path: Path, cameras: list[RawCamera]) -> None:
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for index, camera in enumerate(cameras):
        storage.startWriteStruct(f"camera_{index}", cv2.FileNode_MAP)
        for key, value in entry_from_camera(camera).items():
            if key == "image_size":
                storage.write("image_width", value[0])
                storage.write("image_height", value[1])
            else:
                storage.write(key, value if isinstance(value, (str, int)) else np.atleast_2d(value))
        storage.endWriteStruct()
    storage.release()
