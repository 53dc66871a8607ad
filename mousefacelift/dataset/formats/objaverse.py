"""Render folders of object collections: G-objaverse, Zero123 and OpenLRM. All have square images and a centred
principal point.

| format | images | camera |
|---|---|---|
| gobjaverse | `00000/00000.png` | `00000/00000.json`: x, y, z (OpenCV axes as columns of c2w), origin, x_fov, y_fov in
radians | | zero123 | `000.png` | `000.npy` [3, 4]: w2c with Blender axes; field of view 49.13 degrees, not stored |
| openlrm | `rgba/000.png` | `pose/000.npy` [3, 4]: c2w with Blender axes; `intrinsics.npy` [[fx, fy], [cx, cy], [w, h]]
|

Copies of these collections differ in their conventions: what a folder really holds is decided by the geometry gate,
which refuses a wrong reading.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mousefacelift.core.cameras import Camera
from mousefacelift.core.files import json_text, write_text
from mousefacelift.core.images import read_rgba, write_png
from mousefacelift.core.records import SampleFacts
from mousefacelift.core.samples import Sample, View
from mousefacelift.errors import DataError
from mousefacelift.formats.axes import FLIP, opengl_c2w, orthonormal, w2c_of_opengl

ZERO123_FOV = 0.8575560450553894  # radians: a 35 mm lens on a 32 mm sensor
CENTRED = 0.51  # pixels that a principal point may be off before a format without one cannot hold it


def write_gobjaverse(folder: Path, sample: Sample) -> None:
    """Write the G-objaverse layout; the principal point must be in the middle."""
    for index, view in enumerate(sample.views):
        name, c2w = f"{index:05d}", view.camera.c2w
        _check_centred(view.camera, index, "gobjaverse")
        fov = 2 * np.arctan(
            [view.camera.width / 2 / view.camera.fxfycxcy[0], view.camera.height / 2 / view.camera.fxfycxcy[1]]
        )
        write_png(folder / name / f"{name}.png", view.rgba)
        camera = {axis: c2w[:3, i].tolist() for i, axis in enumerate("xyz")} | {
            "origin": c2w[:3, 3].tolist(),
            "x_fov": float(fov[0]),
            "y_fov": float(fov[1]),
        }
        write_text(folder / name / f"{name}.json", json_text(camera))


def read_gobjaverse(folder: Path, facts: SampleFacts) -> Sample:
    """The sample of a G-objaverse object folder."""
    views = []
    for path in _listed(folder.glob("[0-9]*/[0-9]*.json"), folder):
        camera, rgba = json.loads(path.read_text()), read_rgba(path.with_suffix(".png"))
        c2w = np.eye(4)
        c2w[:3] = np.stack([camera[key] for key in ("x", "y", "z", "origin")], 1)
        views.append(
            _centred_view(
                rgba, orthonormal(np.linalg.inv(c2w)), (camera["x_fov"], camera.get("y_fov", camera["x_fov"]))
            )
        )
    return Sample(tuple(views), facts)


def write_zero123(folder: Path, sample: Sample) -> None:
    """Write the Zero123 layout; the field of view must be its own, 49.13 degrees."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, view in enumerate(sample.views):
        _check_centred(view.camera, index, "zero123")
        fov = 2 * np.arctan(view.camera.width / 2 / view.camera.fxfycxcy[0])
        if abs(fov - ZERO123_FOV) > 1e-3:
            raise DataError(
                "the Zero123 layout cannot store a field of view",
                got=f"{np.degrees(fov):.2f} degrees",
                expected=f"{np.degrees(ZERO123_FOV):.2f} degrees",
                hint="export as gobjaverse or openlrm",
            )
        write_png(folder / f"{index:03d}.png", view.rgba)
        np.save(folder / f"{index:03d}.npy", (FLIP @ view.camera.w2c)[:3])


def read_zero123(folder: Path, facts: SampleFacts) -> Sample:
    """The sample of a Zero123 object folder."""
    views = []
    for path in _listed(folder.glob("[0-9]*.npy"), folder):
        w2c = FLIP @ np.vstack([np.load(path, allow_pickle=False)[:3], [0, 0, 0, 1]])
        views.append(_centred_view(read_rgba(path.with_suffix(".png")), orthonormal(w2c), (ZERO123_FOV, ZERO123_FOV)))
    return Sample(tuple(views), facts)


def write_openlrm(folder: Path, sample: Sample) -> None:
    """Write the OpenLRM layout; all views must share their intrinsics."""
    first = sample.views[0].camera
    (folder / "pose").mkdir(parents=True, exist_ok=True)
    for index, view in enumerate(sample.views):
        if not np.allclose(view.camera.fxfycxcy, first.fxfycxcy) or view.camera.width != first.width:
            raise DataError(
                "the OpenLRM layout has one set of intrinsics",
                got=f"view {index} differs from view 0",
                hint="export as nerfstudio",
            )
        write_png(folder / "rgba" / f"{index:03d}.png", view.rgba)
        np.save(folder / "pose" / f"{index:03d}.npy", opengl_c2w(view.camera.w2c)[:3])
    np.save(
        folder / "intrinsics.npy", np.array([*first.fxfycxcy.reshape(2, 2), [first.width, first.height]], np.float64)
    )


def read_openlrm(folder: Path, facts: SampleFacts) -> Sample:
    """The sample of an OpenLRM object folder."""
    try:
        (fx, fy), (cx, cy), (width, height) = np.load(folder / "intrinsics.npy", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"object {folder} has no readable intrinsics.npy", got=str(error)) from error
    views = []
    for path in _listed((folder / "pose").glob("[0-9]*.npy"), folder):
        camera = Camera(
            w2c_of_opengl(np.load(path, allow_pickle=False)), np.array([fx, fy, cx, cy]), int(width), int(height)
        )
        views.append(View(read_rgba(folder / "rgba" / f"{path.stem}.png"), camera))
    return Sample(tuple(views), facts)


def _centred_view(rgba: np.ndarray, w2c: np.ndarray, fov: tuple[float, float]) -> View:
    height, width = rgba.shape[:2]
    fxfycxcy = np.array([width / 2 / np.tan(fov[0] / 2), height / 2 / np.tan(fov[1] / 2), width / 2, height / 2])
    return View(rgba, Camera(w2c, fxfycxcy, width, height))


def _check_centred(camera: Camera, index: int, name: str) -> None:
    offset = np.abs(camera.fxfycxcy[2:] - [camera.width / 2, camera.height / 2]).max()
    if offset > CENTRED:
        raise DataError(
            f"the {name} layout has no principal point",
            got=f"view {index} is off centre by {offset:.1f} px",
            hint="export as nerfstudio, colmap or openlrm",
        )


def _listed(paths, folder: Path) -> list[Path]:
    found = sorted(paths)
    if not found:
        raise DataError(
            f"object {folder} has no cameras in this layout", likely="another format, or an interrupted download"
        )
    return found
