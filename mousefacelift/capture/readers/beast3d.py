"""BEAST3D session folders: one folder per camera with img00000000.png and a pickled dict of its camera, .npy, beside.

The dict holds intrinsics (3x3 or fx fy cx cy), extrinsics (3x4 or 4x4 world to camera), distortions, width, height.
Object arrays are never executed: they pass the reader that can only make numbers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mousefacelift.capture.readers.about import About
from mousefacelift.errors import CalibrationError
from mousefacelift.formats.entries import Entry, image_size, natural_key, number_array
from mousefacelift.formats.pixel_origin import from_zero_based, to_zero_based
from mousefacelift.formats.raw_camera import RawCamera
from mousefacelift.formats.safe_pickle import load_object_array

NAME = "beast3d"
ABOUT = About(
    "BEAST3D (paninski-lab/beast)",
    "its writer read, 2026-06",
    "open (that of the calibration it was given)",
    "extrinsics 3x4 or 4x4, world to camera",
    "0 (as its OpenCV calibration)",
    "folder of CAMERA/img00000000.npy beside img00000000.png and mask00000000.png",
)


def matches(path: Path) -> bool:
    return path.is_dir() and bool(_folders(path))


def _folders(path: Path) -> list[Path]:
    found = [folder for folder in path.iterdir() if folder.is_dir() and any(folder.glob("img*.npy"))]
    return sorted(found, key=lambda folder: natural_key(folder.name))


def read(path: Path) -> list[RawCamera]:
    return [_of_folder(folder) for folder in _folders(path)]


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


def read_camera(file: Path, name: str) -> RawCamera:
    """The camera beside one picture."""
    content = load_object_array(file)
    entry = Entry(content, f"camera {name} of {file}")
    numbers = number_array(entry.need("intrinsics"), None, f"intrinsics of {file}")
    K = numbers.reshape(3, 3) if numbers.size == 9 else np.eye(3)
    if numbers.size == 4:
        K[[0, 1, 0, 1], [0, 1, 2, 2]] = numbers.ravel()
    elif numbers.size != 9:
        raise CalibrationError(f"intrinsics of {file} are neither 3x3 nor fx fy cx cy", got=numbers.tolist())
    w2c = number_array(entry.need("extrinsics"), (-1, 4), f"extrinsics of {file}")
    size = image_size([entry.take("width", default=0), entry.take("height", default=0)], K, entry.where)
    distortion = entry.numbers("distortions")
    box = entry.numbers("bbox")
    if box.size:
        raise CalibrationError(
            f"{file} was cropped", got=f"bbox {box.tolist()}", likely="BEAST3D's own crop, which K does not hold"
        )
    entry.finish()
    return RawCamera(name, from_zero_based(K), w2c[:3, :3], w2c[:3, 3], distortion, "brown", *size)


def camera_of(camera: RawCamera) -> dict:
    """The dict that BEAST3D keeps beside a picture."""
    return {
        "intrinsics": to_zero_based(camera.K),
        "extrinsics": np.column_stack([camera.R, camera.t]),
        "distortions": np.asarray(camera.distortion, np.float64),
        "width": camera.width,
        "height": camera.height,
    }


def write(path: Path, cameras: list[RawCamera]) -> None:
    for camera in cameras:
        (path / camera.name).mkdir(parents=True, exist_ok=True)
        np.save(path / camera.name / "img00000000.npy", np.array(camera_of(camera), object), allow_pickle=True)
