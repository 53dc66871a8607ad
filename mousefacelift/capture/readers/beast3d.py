"""BEAST3D session folders as rigs: one folder per camera with pictures and their cameras, which must all agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mousefacelift.capture.readers.about import About
from mousefacelift.errors import CalibrationError
from mousefacelift.formats.beast3d import camera_folders, read_camera, write_camera
from mousefacelift.formats.raw_camera import RawCamera

NAME = "beast3d"
ABOUT = About(
    "BEAST3D (paninski-lab/beast)",
    "its writer read, its loader run, a163d7d (2026-06)",
    "open (that of the calibration it was given)",
    "extrinsics 3x4 or 4x4, world to camera",
    "0 (as its OpenCV calibration)",
    "folder of CAMERA/img00000000.npy beside img00000000.png and mask00000000.png",
)


def matches(path: Path) -> bool:
    return path.is_dir() and bool(camera_folders(path))


def read(path: Path) -> list[RawCamera]:
    return [_of_folder(folder) for folder in camera_folders(path)]


def _of_folder(folder: Path) -> RawCamera:
    """The camera of a folder; every picture's file must say the same."""
    cameras = [read_camera(file, folder.name) for file in sorted(folder.glob("img*.npy"))]
    for camera in cameras[1:]:
        if not all(
            np.allclose(getattr(camera, key), getattr(cameras[0], key)) for key in ("K", "R", "t", "distortion")
        ):
            raise CalibrationError(
                f"camera {folder.name} of {folder.parent} differs from picture to picture",
                expected="a fixed rig",
                likely="pictures cropped one by one",
            )
    return cameras[0]


def write(path: Path, cameras: list[RawCamera]) -> None:
    for camera in cameras:
        write_camera(path / camera.name / "img00000000.npy", camera)
