"""FaceLift `opencv_cameras.json` as a rig."""

from __future__ import annotations

from pathlib import Path

from mousefacelift.capture.readers.about import About
from mousefacelift.core.files import json_text
from mousefacelift.formats.facelift_json import frame_of, is_facelift, read_cameras
from mousefacelift.formats.raw_camera import RawCamera

NAME = "facelift_json"
ABOUT = About(
    "FaceLift, GS-LRM",
    "file (published sample folders)",
    "open",
    "w2c 4x4 world to camera",
    "0.5",
    "opencv_cameras.json: frames with w h fx fy cx cy w2c",
)


def matches(path: Path) -> bool:
    return is_facelift(path)


def read(path: Path) -> list[RawCamera]:
    return read_cameras(path)


def write(path: Path, cameras: list[RawCamera]) -> None:
    frames = [frame_of(camera, f"images/cam_{index:03d}.png") for index, camera in enumerate(cameras)]
    Path(path).write_text(json_text({"id": Path(path).stem, "frames": frames}), encoding="utf-8")
