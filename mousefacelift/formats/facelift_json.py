"""FaceLift `opencv_cameras.json`: frames of w, h, fx, fy, cx, cy, w2c; OpenCV axes, cx = W/2 is the middle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mousefacelift.errors import CalibrationError
from mousefacelift.formats.entries import Entry, count_of
from mousefacelift.formats.raw_camera import RawCamera, w2c_of


def is_facelift(path: Path) -> bool:
    """Whether `path` is such a JSON file."""
    return path.is_file() and path.suffix == ".json" and b'"w2c"' in path.read_bytes()


def read_cameras(path: Path) -> list[RawCamera]:
    """The cameras of a file in its order; named by `name`, or by their number.

    Raises:
        CalibrationError: no JSON, no frames, a missing number, or a key that speaks of a lens.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CalibrationError(f"cameras {path} cannot be read", got=str(error), likely="a truncated file") from error
    frames = content.get("frames") if isinstance(content, dict) else content
    if not isinstance(frames, list):
        raise CalibrationError(f"cameras {path} hold no frames", expected='{"frames": [{"w2c": ...}]}')
    return [_camera(Entry(frame, f"frame {index} of {path}"), index) for index, frame in enumerate(frames)]


def _camera(entry: Entry, index: int) -> RawCamera:
    w2c = entry.array((4, 4), "w2c")
    fx, fy, cx, cy, w, h = (float(entry.array((), key)) for key in ("fx", "fy", "cx", "cy", "w", "h"))
    if not (w >= 0 and h >= 0 and np.isfinite([w, h]).all()):
        raise CalibrationError(f"picture size of {entry.where} is no number of pixels", got=f"{w} x {h}")
    name = str(entry.take("name", default=index))
    entry.ignore("file_path", "hash", "meta", "c2w", "mask_path", "blender_camera_location", "id")
    entry.finish()
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    width, height = (count_of(size, f"'{key}' of {entry.where}") for size, key in ((w, "w"), (h, "h")))
    return RawCamera(name, K, w2c[:3, :3], w2c[:3, 3], width=width, height=height)


def frame_of(camera: RawCamera, file_path: str) -> dict:
    """The keys of one frame for `camera`, which must be a pinhole."""
    if np.any(camera.distortion):
        raise CalibrationError(f"lens of camera {camera.name} does not fit opencv_cameras.json", got="distortion")
    fx, fy, cx, cy = (float(camera.K[i][j]) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
    intrinsics = {"w": camera.width, "h": camera.height, "fx": fx, "fy": fy, "cx": cx, "cy": cy}
    return intrinsics | {"w2c": w2c_of(camera).tolist(), "file_path": file_path, "name": camera.name}
