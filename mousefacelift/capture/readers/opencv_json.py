"""OpenCV numbers as JSON: a list or dict of cameras with K, dist, R (or rvec), t; 0-based pixels, x_cam = R x + t."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mousefacelift.capture.readers.opencv_entry import camera_from_entry, entry_from_camera
from mousefacelift.capture.rig import RawCamera

NAME = "opencv_json"
DESCRIPTION = "OpenCV JSON: cameras with K/camera_matrix, dist, R/rvec, t/tvec, optional image_size and units"


def matches(path: Path) -> bool:
    if not path.is_file() or path.suffix != ".json":
        return False
    data = path.read_bytes()
    return not (b'"w2c"' in data or b'"transform_matrix"' in data) and (b'"K"' in data or b"matrix" in data)


def read(path: Path) -> list[RawCamera]:
    content = json.loads(path.read_text(encoding="utf-8"))
    shared = {
        key: content[key] for key in ("image_size", "units", "unit") if isinstance(content, dict) and key in content
    }
    entries = content.get("cameras", content) if isinstance(content, dict) else content
    if isinstance(entries, dict):
        named = [(name, entry) for name, entry in entries.items() if isinstance(entry, dict)]
    else:
        named = [(str(index), entry) for index, entry in enumerate(entries)]
    return [camera_from_entry({**shared, **entry}, str(entry.get("name", name))) for name, entry in named]


def write(path: Path, cameras: list[RawCamera]) -> None:
    document = {"cameras": [entry_from_camera(camera) for camera in cameras]}
    Path(path).write_text(json.dumps(document, default=lambda a: np.asarray(a).tolist()), encoding="utf-8")
