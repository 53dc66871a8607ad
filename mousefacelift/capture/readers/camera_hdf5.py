"""HDF5 with a group `camera_parameters`: multicam-calibration (gimbal) and Pose Splatter.

rotation [V, 3, 3], translation [V, 3], intrinsic [V, 3, 3]; multicam-calibration adds dist_coefs and camera_names,
Pose Splatter leaves both out (its pictures are undistorted).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mousefacelift.capture.readers.about import About
from mousefacelift.errors import CalibrationError
from mousefacelift.formats.child import read_foreign
from mousefacelift.formats.entries import Entry, camera_names, number_array
from mousefacelift.formats.pixel_origin import from_zero_based, to_zero_based
from mousefacelift.formats.raw_camera import RawCamera

NAME = "camera_hdf5"
ABOUT = About(
    "multicam-calibration (gimbal), Pose Splatter",
    "multicam-calibration 0.0.0 wrote it; Pose Splatter's reader read at 34adf50",
    "open",
    "rotation and translation, world to camera",
    "0",
    "HDF5 group camera_parameters: rotation, translation, intrinsic, dist_coefs, camera_names (needs h5py)",
)
MAGIC = b"\x89HDF\r\n\x1a\n"


def matches(path: Path) -> bool:
    return path.is_file() and path.suffix in (".h5", ".hdf5") and _starts(path)


def _starts(path: Path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(8) == MAGIC


def read(path: Path) -> list[RawCamera]:
    (content,) = read_foreign("hdf5", [path])
    if "camera_parameters" not in content:
        raise CalibrationError(
            f"{path} has no group camera_parameters", got=", ".join(content["names"]), likely="another HDF5 file"
        )
    entry = Entry(content["camera_parameters"], f"camera_parameters of {path}")
    K = number_array(entry.need("intrinsic"), (-1, 3, 3), f"intrinsic of {path}")
    R = number_array(entry.need("rotation"), (-1, 3, 3), f"rotation of {path}")
    t = number_array(entry.need("translation"), (-1, 3), f"translation of {path}")
    distortion = number_array(entry.take("dist_coefs", default=np.zeros((len(K), 0))), None, f"dist_coefs of {path}")
    distortion = distortion.reshape(len(distortion), -1)
    names = entry.take("camera_names", default=[None] * len(K))
    entry.finish()
    counts = {len(K), len(R), len(t), len(distortion), len(names)}
    if len(counts) != 1:
        raise CalibrationError(f"arrays of {path} have different numbers of cameras", got=sorted(counts))
    names = camera_names(names, map(str, range(len(K))))
    return [RawCamera(name, from_zero_based(k), r, x, d) for name, k, r, x, d in zip(names, K, R, t, distortion)]


def write(path: Path, cameras: list[RawCamera]) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        group = file.create_group("camera_parameters")
        group["intrinsic"] = np.stack([to_zero_based(camera.K) for camera in cameras])
        group["rotation"] = np.stack([camera.R for camera in cameras])
        group["translation"] = np.stack([camera.t for camera in cameras])
        group["dist_coefs"] = np.stack([np.pad(camera.distortion, (0, 5))[:5] for camera in cameras])
        group["camera_names"] = [camera.name for camera in cameras]
