"""BEAST3D's camera beside each picture: a pickled dict in a .npy, read without executing anything.

The dict holds intrinsics (3x3 or fx fy cx cy), extrinsics (3x4 or 4x4 world to camera), distortions, width, height.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mousefacelift.errors import CalibrationError
from mousefacelift.formats.entries import Entry, image_size, natural_key, number_array
from mousefacelift.formats.pixel_origin import from_zero_based, to_zero_based
from mousefacelift.formats.raw_camera import RawCamera, w2c_of
from mousefacelift.formats.safe_pickle import load_object_array


def camera_folders(path: Path) -> list[Path]:
    """The folders of a session that hold pictures with cameras, in natural order."""
    found = [folder for folder in path.iterdir() if folder.is_dir() and any(folder.glob("img*.npy"))]
    return sorted(found, key=lambda folder: natural_key(folder.name))


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
        "extrinsics": w2c_of(camera),  # its loader takes 4x4 only
        "distortions": np.asarray(camera.distortion, np.float64),
        "width": camera.width,
        "height": camera.height,
    }


def write_camera(file: Path, camera: RawCamera) -> None:
    """Write the .npy beside a picture."""
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, np.array(camera_of(camera), object), allow_pickle=True)
