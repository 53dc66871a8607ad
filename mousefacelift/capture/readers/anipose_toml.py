"""anipose / aniposelib `calibration.toml`: one table per camera with size, matrix, distortions, rotation, translation.

OpenCV axes, Rodrigues rotation world to camera, 0-based pixels; the unit is that of the board, which the file omits.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import cv2
import numpy as np

from mousefacelift.capture.readers.pixel_origin import from_zero_based, to_zero_based
from mousefacelift.capture.rig import RawCamera

NAME = "anipose_toml"
DESCRIPTION = "anipose/aniposelib TOML: matrix, distortions, Rodrigues rotation, translation, optional fisheye"


def matches(path: Path) -> bool:
    return path.is_file() and path.suffix == ".toml"


def read(path: Path) -> list[RawCamera]:
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    cameras = []
    for key, table in tables.items():
        if not isinstance(table, dict) or "matrix" not in table:
            continue
        R = cv2.Rodrigues(np.asarray(table["rotation"], np.float64))[0]
        width, height = table.get("size", (0, 0))
        cameras.append(
            RawCamera(
                str(table.get("name", key)),
                from_zero_based(table["matrix"]),
                R,
                np.asarray(table["translation"], np.float64),
                np.asarray(table.get("distortions", []), np.float64),
                "fisheye" if table.get("fisheye") else "brown",
                int(width),
                int(height),
            )
        )
    return cameras


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
