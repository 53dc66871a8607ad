"""anipose `calibration.toml` and its kin: one table per camera with size, matrix, distortions, rotation, translation.

OpenCV axes, Rodrigues rotation world to camera, 0-based pixels; the unit is that of the board, which the file omits.
aniposelib-pytorch adds `offset`, the place of a cropped picture in the sensor frame: its pixels are the sensor's minus
the offset. freemocap adds where the camera stands, which R and t say already.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mousefacelift.capture.readers.about import About
from mousefacelift.errors import CalibrationError
from mousefacelift.formats.entries import Entry, camera_names, image_size, natural_key
from mousefacelift.formats.pixel_origin import from_zero_based, to_zero_based
from mousefacelift.formats.raw_camera import RawCamera

NAME = "anipose_toml"
ABOUT = About(
    "aniposelib, aniposelib-pytorch, sleap-anipose, freemocap, Pose2Sim, caliscope (export)",
    "aniposelib 0.8.0 wrote it; file of aniposelib-pytorch 1.0.0; freemocap 1.8.2, Pose2Sim 0.10.49 read",
    "open (that of the board; Pose2Sim and caliscope write metres)",
    "Rodrigues vector and translation, world to camera",
    "0",
    "calibration.toml: matrix, distortions, rotation, translation, fisheye, offset",
)


def matches(path: Path) -> bool:
    return path.is_file() and path.suffix == ".toml" and b"[cameras." not in path.read_bytes()


def read(path: Path) -> list[RawCamera]:
    return cameras_of(load_toml(path), str(path))


def load_toml(path: Path) -> dict[str, Any]:
    """The file's tables.

    Raises:
        CalibrationError: it is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CalibrationError(
            f"calibration {path} is no TOML", got=str(error), likely="a file cut off while it was written or copied"
        ) from error


def cameras_of(tables: dict[str, Any], where: str) -> list[RawCamera]:
    """The cameras among named tables, in the natural order of the tables' names."""
    found = {key: table for key, table in tables.items() if isinstance(table, dict) and "matrix" in table}
    for key, table in tables.items():
        if key not in found and isinstance(table, dict) and "distortions" in table:
            raise CalibrationError(f"camera {key} of {where} has no matrix", got=", ".join(table))
    keys = sorted(found, key=natural_key)
    names = camera_names([found[key].get("name") for key in keys], keys)
    return [camera_of(Entry(found[key], f"camera {name} of {where}"), name) for key, name in zip(keys, names)]


def camera_of(entry: Entry, name: str) -> RawCamera:
    """The camera of one table."""
    matrix = entry.array((3, 3), "matrix")
    rotation = np.ravel(entry.need("rotation"))
    if rotation.size not in (3, 9):
        raise CalibrationError(f"rotation of {entry.where} is neither a vector nor a matrix", got=rotation.size)
    R = cv2.Rodrigues(rotation.astype(np.float64))[0] if rotation.size == 3 else rotation.reshape(3, 3)
    t, distortion = entry.array((3,), "translation"), entry.numbers("distortions")
    width, height = image_size(entry.take("size"), matrix, entry.where)
    fisheye = entry.flag("fisheye")
    offset = entry.numbers("offset")
    if offset.size not in (0, 2):
        raise CalibrationError(f"offset of {entry.where} is not two numbers", got=offset.tolist())
    matrix[:2, 2] -= offset if offset.size else 0
    entry.ignore("name", "n_dist", "free_intrinsics", "world_position", "world_orientation", "cam_id")
    entry.finish()
    return RawCamera(name, from_zero_based(matrix), R, t, distortion, "fisheye" if fisheye else "brown", width, height)


def write(path: Path, cameras: list[RawCamera]) -> None:
    lines = []
    for index, camera in enumerate(cameras):
        rotation = cv2.Rodrigues(np.asarray(camera.R))[0].ravel()
        distortions = np.pad(camera.distortion, (0, 8))[: 4 if camera.model == "fisheye" else 8]
        lines += [
            f"[cam_{index}]",
            f'name = "{camera.name}"',
            f"size = [ {camera.width}, {camera.height},]",
            f"matrix = {_list(to_zero_based(camera.K))}",
            f"distortions = {_list(distortions)}",
            f"rotation = {_list(rotation)}",
            f"translation = {_list(np.asarray(camera.t))}",
        ]
        lines += ["fisheye = true", ""] if camera.model == "fisheye" else [""]
    Path(path).write_text("\n".join([*lines, "[metadata]", "adjusted = false", ""]), encoding="utf-8")


def _list(values: np.ndarray) -> str:
    return str(np.asarray(values, np.float64).tolist())
