"""MAMMAL `new_cam.pkl`: a list of dicts K, R, T; x_cam = R x + T in millimetres, 0-based pixels of undistorted
frames."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from mousefacelift.capture.readers.pixel_origin import from_zero_based, to_zero_based
from mousefacelift.capture.readers.safe_pickle import load_numbers
from mousefacelift.capture.rig import RawCamera

NAME = "mammal_pickle"
DESCRIPTION = "MAMMAL new_cam.pkl: list of {K, R, T}, mm, 0-based pixels, undistorted frames"


def matches(path: Path) -> bool:
    return path.is_file() and path.suffix in (".pkl", ".pickle")


def read(path: Path) -> list[RawCamera]:
    content = load_numbers(path)
    entries = [content[key] for key in sorted(content)] if isinstance(content, dict) else list(content)
    cameras = []
    for index, entry in enumerate(entries):
        K = from_zero_based(np.reshape(entry["K"], (3, 3)))
        cameras.append(
            RawCamera(
                str(index),
                K,
                np.array(entry["R"], np.float64).reshape(3, 3),
                np.array(entry["T"], np.float64).reshape(3),
                unit=1.0,
            )
        )
    return cameras


def write(path: Path, cameras: list[RawCamera]) -> None:
    entries = [{"K": to_zero_based(c.K), "R": np.asarray(c.R), "T": np.asarray(c.t) * (c.unit or 1.0)} for c in cameras]
    Path(path).write_bytes(pickle.dumps(entries))
