"""MAMMAL `new_cam.pkl`: a list of dicts K, R, T; x_cam = R x + T in millimetres, 0-based pixels of undistorted
frames."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from mousefacelift.capture.readers.about import About
from mousefacelift.errors import CalibrationError
from mousefacelift.formats.entries import Entry, natural_key
from mousefacelift.formats.pixel_origin import from_zero_based, to_zero_based
from mousefacelift.formats.raw_camera import RawCamera
from mousefacelift.formats.safe_pickle import load_numbers

NAME = "mammal_pickle"
ABOUT = About(
    "MAMMAL_mouse",
    "file (markerless_mouse_1)",
    "mm",
    "R and T, world to camera",
    "0 (of the undistorted picture)",
    "new_cam.pkl: list of {K, R, T}",
)


def matches(path: Path) -> bool:
    return path.is_file() and path.suffix in (".pkl", ".pickle")


def read(path: Path) -> list[RawCamera]:
    content = load_numbers(path)
    if isinstance(content, dict):
        content = [content[key] for key in sorted(content, key=lambda key: natural_key(str(key)))]
    if not isinstance(content, (list, tuple)):
        raise CalibrationError(f"calibration {path} holds no list of cameras", got=type(content).__name__)
    return [_camera(Entry(entry, f"camera {index} of {path}"), str(index)) for index, entry in enumerate(content)]


def _camera(entry: Entry, name: str) -> RawCamera:
    K, R, t = entry.array((3, 3), "K"), entry.array((3, 3), "R"), entry.array((3,), "T")
    entry.finish()
    return RawCamera(name, from_zero_based(K), R, t, unit=1.0)


def write(path: Path, cameras: list[RawCamera]) -> None:
    entries = [{"K": to_zero_based(c.K), "R": np.asarray(c.R), "T": np.asarray(c.t) * (c.unit or 1.0)} for c in cameras]
    Path(path).write_bytes(pickle.dumps(entries))
