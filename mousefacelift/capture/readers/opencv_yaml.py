"""OpenCV FileStorage (.yml, .yaml, .xml): a folder with one file per camera, or one file with one node per camera.

JARVIS and EasyMocap write the same kind of files with other names; a file of theirs goes to their readers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mousefacelift.capture.readers import easymocap, jarvis
from mousefacelift.capture.readers.about import About
from mousefacelift.capture.readers.opencv_entry import camera_from_entry, entry_from_camera, is_camera
from mousefacelift.capture.readers.storage import is_storage, read_storages, storages_of
from mousefacelift.errors import CalibrationError
from mousefacelift.formats.entries import Entry, camera_names
from mousefacelift.formats.raw_camera import RawCamera

NAME = "opencv_yaml"
ABOUT = About(
    "OpenCV (FileStorage), ROS-like YAML, own scripts",
    "OpenCV 5.0.0 wrote it",
    "stated by units, else open",
    "R or rvec and T, world to camera",
    "0",
    ".yml/.yaml/.xml: camera_matrix, distortion_coefficients, distortion_model, R/rvec, T/tvec, image_width/height",
)


def matches(path: Path) -> bool:
    return bool(storages_of(path)) and not jarvis.matches(path) and not easymocap.matches(path)


def read(path: Path) -> list[RawCamera]:
    for other in (jarvis, easymocap):
        if other.matches(path):
            return other.read(path)
    files = storages_of(path)
    if not files and path.is_file() and is_storage(path, any_content=True):
        files = [path]
    return [camera for file, root in read_storages(files) for camera in _cameras(file, root)]


def _cameras(path: Path, root: dict[str, Any]) -> list[RawCamera]:
    if is_camera(root):
        return [camera_from_entry(root, _name(root, path.stem), str(path))]
    nodes = {name: node for name, node in root.items() if isinstance(node, dict)}
    rest = Entry({name: node for name, node in root.items() if name not in nodes}, str(path))
    rest.finish()
    if not nodes:
        raise CalibrationError(f"calibration {path} holds no cameras", got=", ".join(root) or "an empty file")
    names = camera_names([_name(node, None) for node in nodes.values()], nodes)
    return [camera_from_entry(node, name, str(path)) for name, node in zip(names, nodes.values())]


def _name(node: dict, fallback: str | None) -> str | None:
    return next((str(node[key]) for key in ("name", "camera_name", "cameraName") if node.get(key)), fallback)


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
