"""COLMAP text model: cameras.txt (PINHOLE), images.txt (quaternion and translation of w2c), an empty points3D.txt.

COLMAP puts the centre of the first pixel at (0.5, 0.5), as this project does. Provenance has no place there: the reader
asks for it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from mousefacelift.core.cameras import Camera
from mousefacelift.core.images import read_rgba, write_png, write_text
from mousefacelift.core.samples import Sample, View
from mousefacelift.errors import DataError


def write(folder: Path, sample: Sample) -> None:
    """Write `sparse/0/*.txt` and `images/00000.png ...` into `folder`."""
    cameras, images = (
        ["# CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]"],
        ["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME"],
    )
    for index, view in enumerate(sample.views):
        name, camera = f"{index:05d}.png", view.camera
        write_png(folder / "images" / name, view.rgba)
        cameras.append(f"{index + 1} PINHOLE {camera.width} {camera.height} " + _line(camera.fxfycxcy))
        x, y, z, w = Rotation.from_matrix(camera.R).as_quat()
        images += [f"{index + 1} {_line([w, x, y, z, *camera.t])} {index + 1} {name}", ""]
    model = folder / "sparse" / "0"
    write_text(model / "cameras.txt", "\n".join(cameras) + "\n")
    write_text(model / "images.txt", "\n".join(images) + "\n")
    write_text(model / "points3D.txt", "# POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[]\n")


def read(folder: Path, meta: dict) -> Sample:
    """The sample of a COLMAP text model; `meta` names source, asset or recording, and licence.

    Raises:
        DataError: no text model, or a camera model with distortion.
    """
    model = folder / "sparse" / "0"
    cameras = {words[0]: words[1:] for words in _rows(model / "cameras.txt")}
    views = []
    for words in _rows(model / "images.txt"):
        if len(words) != 10 or words[8] not in cameras:  # the line of 2D points under each image, where there is one
            continue
        kind, width, height, *parameters = cameras[words[8]]
        numbers = [float(p) for p in parameters]
        if kind == "SIMPLE_PINHOLE":
            numbers = [numbers[0], *numbers]
        elif kind != "PINHOLE":
            raise DataError(
                f"camera {words[8]} of {model} has lens distortion",
                got=kind,
                expected="PINHOLE",
                hint="colmap image_undistorter",
            )
        w, x, y, z, *t = (float(word) for word in words[1:8])
        w2c = np.eye(4)
        w2c[:3, :3], w2c[:3, 3] = Rotation.from_quat([x, y, z, w]).as_matrix(), t
        views.append(
            (
                words[9],
                View(read_rgba(folder / "images" / words[9]), Camera(w2c, np.array(numbers), int(width), int(height))),
            )
        )
    if not views:
        raise DataError(f"model {model} has no images")
    return Sample(tuple(view for _, view in sorted(views, key=lambda pair: pair[0])), dict(meta))


def _rows(path: Path) -> list[list[str]]:
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise DataError(
            f"COLMAP model {path} cannot be read",
            got=str(error),
            likely="a binary model",
            hint="colmap model_converter --output_type TXT",
        ) from error
    return [line.split() for line in lines if line.strip() and not line.startswith("#")]


def _line(numbers) -> str:
    return " ".join(f"{float(number):.17g}" for number in numbers)
