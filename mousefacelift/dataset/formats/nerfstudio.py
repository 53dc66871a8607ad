"""nerfstudio `transforms.json`: one scene, OpenGL camera-to-world matrices, intrinsics per frame, images beside it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mousefacelift.core.cameras import Camera
from mousefacelift.core.images import read_rgba, write_png, write_text
from mousefacelift.core.samples import Sample, View
from mousefacelift.dataset.formats.axes import opengl_c2w, w2c_of_opengl
from mousefacelift.errors import DataError


def write(folder: Path, sample: Sample) -> None:
    """Write `transforms.json` and `images/frame_00000.png ...` (RGBA) into `folder`."""
    frames = []
    for index, view in enumerate(sample.views):
        name = f"images/frame_{index:05d}.png"
        write_png(folder / name, view.rgba)
        fx, fy, cx, cy = view.camera.fxfycxcy.tolist()
        frames.append(
            {
                "file_path": name,
                "w": view.camera.width,
                "h": view.camera.height,
                "fl_x": fx,
                "fl_y": fy,
                "cx": cx,
                "cy": cy,
                "transform_matrix": opengl_c2w(view.camera.w2c).tolist(),
                "mousefacelift_meta": view.meta,
            }
        )
    document = {
        "camera_model": "OPENCV",
        "orientation_override": "none",
        "frames": frames,
        "mousefacelift_meta": sample.meta,
    }
    write_text(folder / "transforms.json", json.dumps(document, indent=1))


def read(folder: Path, meta: dict) -> Sample:
    """The sample of a nerfstudio folder; `meta` names source, asset or recording, and licence where the file does not.

    Raises:
        DataError: a lens model with distortion, or a frame without intrinsics.
    """
    try:
        document = json.loads((folder / "transforms.json").read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"scene {folder} cannot be read", got=str(error), expected="transforms.json") from error
    distorted = [
        k for k in ("k1", "k2", "k3", "k4", "p1", "p2") if any(f.get(k, document.get(k, 0)) for f in document["frames"])
    ]
    if distorted:
        raise DataError(
            f"scene {folder} has lens distortion",
            got=", ".join(distorted),
            expected="a pinhole camera",
            hint="undistort the images first",
        )
    views = []
    for frame in document["frames"]:
        numbers = [frame.get(key, document.get(key)) for key in ("fl_x", "fl_y", "cx", "cy", "w", "h")]
        if None in numbers:
            raise DataError(f"frame {frame.get('file_path')} of {folder} has no full intrinsics", got=str(numbers))
        camera = Camera(
            w2c_of_opengl(np.array(frame["transform_matrix"])), np.array(numbers[:4]), int(numbers[4]), int(numbers[5])
        )
        views.append(View(read_rgba(folder / frame["file_path"]), camera, frame.get("mousefacelift_meta", {})))
    return Sample(tuple(views), document.get("mousefacelift_meta", {}) | meta)
