"""caliscope's own `camera_array.toml`: tables [cameras.N] like anipose's, metres; cameras without a pose are left out.

`rotation_count` turns the picture on the screen only: caliscope calibrates and triangulates in the file's pixels.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from mousefacelift.capture.readers.about import About
from mousefacelift.capture.readers.anipose_toml import camera_of, load_toml
from mousefacelift.capture.readers.anipose_toml import write as write_anipose
from mousefacelift.errors import CalibrationError
from mousefacelift.formats.entries import Entry, natural_key
from mousefacelift.formats.raw_camera import RawCamera

NAME = "caliscope_toml"
ABOUT = About(
    "caliscope",
    "file of 0.11.8",
    "m",
    "Rodrigues vector and translation, world to camera",
    "0",
    "camera_array.toml: [cameras.N], fisheye; cameras without rotation are left out",
)
METRE = 1000.0  # mm; caliscope's charuco boards are given in cm and stored in m


def matches(path: Path) -> bool:
    return path.is_file() and path.suffix == ".toml" and b"[cameras." in path.read_bytes()


def read(path: Path) -> list[RawCamera]:
    tables = load_toml(path).get("cameras")
    if not isinstance(tables, dict):
        raise CalibrationError(f"calibration {path} has no tables [cameras.N]")
    cameras, left_out = [], []
    for key in sorted(tables, key=natural_key):
        entry = Entry(tables[key], f"camera {key} of {path}")
        if tables[key].get("rotation") is None or tables[key].get("translation") is None:
            left_out.append(key)
            continue
        entry.ignore("rotation_count", "error", "exposure", "grid_count", "ignore")
        camera = camera_of(entry, key)
        cameras.append(replace(camera, t=camera.t * METRE, unit=1.0))
    if left_out:
        logging.getLogger(__name__).warning("%s: cameras without a pose are left out: %s", path, ", ".join(left_out))
    return cameras


def write(path: Path, cameras: list[RawCamera]) -> None:
    scaled = [replace(c, t=c.t * ((c.unit or 1.0) / METRE), name=str(i)) for i, c in enumerate(cameras)]
    write_anipose(path, scaled)
    text = Path(path).read_text(encoding="utf-8").split("[metadata]")[0]
    Path(path).write_text(text.replace("[cam_", "[cameras."), encoding="utf-8")
