"""nerfstudio and instant-ngp `transforms.json` as a rig: every frame is one camera, named by its picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from mousefacelift.capture.readers.about import About
from mousefacelift.core.files import json_text
from mousefacelift.formats.entries import natural_key
from mousefacelift.formats.nerfstudio import frame_of, is_transforms, read_frames
from mousefacelift.formats.raw_camera import RawCamera

NAME = "nerfstudio_json"
ABOUT = About(
    "nerfstudio, instant-ngp, Polycam",
    "nerfstudio 1.1.5 wrote it; instant-ngp files by their documented keys, not by the tool",
    "open (arbitrary scale)",
    "transform_matrix camera to world, OpenGL axes",
    "0.5",
    "transforms.json: fl_x fl_y cx cy or camera_angle_x, k1 k2 p1 p2 k3, or fisheye k1 k2 k3 k4",
)


def matches(path: Path) -> bool:
    return is_transforms(path)


def read(path: Path) -> list[RawCamera]:
    frames, _ = read_frames(path)
    paths = [PurePosixPath(frame.file_path) for frame in frames]
    stems = [p.stem for p in paths]
    names = stems if len(set(stems)) == len(stems) else [p.parent.name for p in paths]
    cameras = [replace(frame.camera, name=name) for frame, name in zip(frames, names)]
    return sorted(cameras, key=lambda camera: natural_key(camera.name))


def write(path: Path, cameras: list[RawCamera]) -> None:
    frames = [frame_of(camera, f"images/{camera.name}.png") for camera in cameras]
    Path(path).write_text(json_text({"frames": frames}), encoding="utf-8")
