"""OpenCV numbers as JSON: a list or dict of cameras with K, dist, R (or rvec), t; 0-based pixels, x_cam = R x + t.

Also OpenCV's own JSON (FileStorage writes matrices as `type_id: opencv-matrix`), one file or a folder of them, and the
JSON of multicam-calibration.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mousefacelift.capture.readers.about import About
from mousefacelift.capture.readers.opencv_entry import K_KEYS, camera_from_entry, entry_from_camera, is_camera
from mousefacelift.core.files import json_text
from mousefacelift.errors import CalibrationError
from mousefacelift.formats.entries import Entry, camera_names, count_of, natural_key, number_array
from mousefacelift.formats.raw_camera import RawCamera

NAME = "opencv_json"
ABOUT = About(
    "OpenCV (FileStorage JSON), multicam-calibration, own scripts",
    "OpenCV 5.0.0 and multicam-calibration 0.0.0 wrote it",
    "stated by units, else open",
    "R or rvec and t, world to camera",
    "0",
    "cameras with K/camera_matrix, dist/distortion_coefs, R/rvec, t/T, image_size, units; a file or a folder of files",
)
SHARED = ("image_size", "units", "unit")


def matches(path: Path) -> bool:
    if path.is_dir():
        return any(_is_file(file) for file in path.iterdir())
    return _is_file(path)


def _is_file(path: Path) -> bool:
    if not path.is_file() or path.suffix != ".json":
        return False
    data = path.read_bytes()
    return not (b'"w2c"' in data or b'"transform_matrix"' in data) and (
        b"matrix" in data or any(f'"{key}"'.encode() in data for key in K_KEYS)
    )


def read(path: Path) -> list[RawCamera]:
    if not path.is_dir():
        return _read_file(path)
    files = sorted((file for file in path.iterdir() if _is_file(file)), key=lambda file: natural_key(file.name))
    return [camera for file in files for camera in _read_file(file)]


def _read_file(path: Path) -> list[RawCamera]:
    try:
        content = _plain(json.loads(path.read_text(encoding="utf-8")), str(path))
    except (OSError, ValueError, RecursionError) as error:
        raise CalibrationError(
            f"calibration {path} is no JSON", got=str(error), likely="a file cut off while it was written or copied"
        ) from error
    if is_camera(content):
        return [camera_from_entry(content, str(content.get("name", path.stem)), str(path))]
    shared, entries = {}, content
    if isinstance(content, dict):
        shared = {key: content[key] for key in SHARED if key in content}
        entries = content.get("cameras", content)
        rest = Entry({k: v for k, v in content.items() if not isinstance(v, (dict, list))}, str(path))
        rest.ignore("cameras", "metadata", "calibration", *SHARED)
        rest.finish()
    if isinstance(entries, dict):
        entries = {name: entry for name, entry in entries.items() if isinstance(entry, dict) and _speaks(entry)}
        keys, entries = list(entries), list(entries.values())
    elif isinstance(entries, list):
        keys = [str(index) for index in range(len(entries))]
    else:
        raise CalibrationError(f"calibration {path} holds no cameras", got=type(entries).__name__)
    for entry in entries:
        if not isinstance(entry, dict):
            raise CalibrationError(f"calibration {path} holds no cameras", got=f"a list of {type(entry).__name__}")
    names = camera_names([entry.get("name") for entry in entries], keys)
    return [camera_from_entry({**shared, **entry}, name, str(path)) for name, entry in zip(names, entries)]


def _speaks(entry: dict) -> bool:
    """Whether a mapping is meant as a camera: metadata tables beside the cameras have none of these keys."""
    return any(key in entry for key in (*K_KEYS, "R", "rvec", "rotation", "t", "T", "tvec", "translation"))


def _plain(value: Any, where: str) -> Any:
    """OpenCV's matrices become arrays."""
    if isinstance(value, dict):
        if {"rows", "cols", "data"} <= set(value):
            shape = (count_of(value["rows"], f"'rows' of {where}"), count_of(value["cols"], f"'cols' of {where}"))
            return number_array(value["data"], shape, f"a matrix of {where}")
        return {key: _plain(item, where) for key, item in value.items()}
    return [_plain(item, where) for item in value] if isinstance(value, list) else value


def write(path: Path, cameras: list[RawCamera]) -> None:
    document = {"cameras": [entry_from_camera(camera) for camera in cameras]}
    Path(path).write_text(json_text(document, default=lambda a: np.asarray(a).tolist()), encoding="utf-8")
