"""nerfstudio `transforms.json`: one scene, OpenGL camera-to-world matrices, intrinsics per frame, images beside it.

Alpha comes from RGBA pictures, from the frame's `mask_path` (0 is background), or both multiplied.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from mousefacelift.core.files import json_text, write_text
from mousefacelift.core.images import read_rgba, write_png
from mousefacelift.core.records import SampleFacts, ViewFacts
from mousefacelift.core.samples import Sample, View
from mousefacelift.dataset.formats.naming import name_view
from mousefacelift.dataset.formats.pinhole import pinhole_of, raw_of
from mousefacelift.errors import DataError
from mousefacelift.formats.nerfstudio import Frame, frame_of, read_frames


def write(folder: Path, sample: Sample) -> None:
    """Write `transforms.json` and `images/frame_00000.png ...` (RGBA) into `folder`."""
    frames = []
    for index, view in enumerate(sample.views):
        name = f"images/frame_{index:05d}.png"
        write_png(folder / name, view.rgba)
        frames.append(frame_of(raw_of(view.camera, name), name) | {"mousefacelift_meta": view.facts.to_json()})
    document = {
        "camera_model": "OPENCV",
        "orientation_override": "none",
        "frames": frames,
        "mousefacelift_meta": sample.facts.to_json(),
    }
    write_text(folder / "transforms.json", json_text(document, indent=1))


def read(folder: Path, facts: SampleFacts) -> Sample:
    """The sample of a nerfstudio folder; `facts` name source, asset or recording, and licence where the file does not.

    Raises:
        DataError: a lens model with distortion, a frame without intrinsics, a picture without alpha and mask.
    """
    frames, document = read_frames(folder / "transforms.json")
    views = []
    for frame in frames:
        rgba = _picture(folder, frame)
        where = f"frame {frame.file_path} of {folder}"
        camera = pinhole_of(frame.camera, where, "undistort the images first", (rgba.shape[1], rgba.shape[0]))
        known = ViewFacts.from_json(frame.values.get("mousefacelift_meta", {}), where)
        views.append(name_view(View(rgba, camera, known), frame.file_path))
    return Sample(tuple(views), facts.over(document.get("mousefacelift_meta", {}), str(folder)))


def _picture(folder: Path, frame: Frame) -> np.ndarray:
    """float32 [H, W, 4]; the mask, where there is one, is alpha."""
    path = folder / frame.file_path
    if not path.is_file() and not path.suffix and path.with_suffix(".png").is_file():
        path = path.with_suffix(".png")  # the original NeRF's files leave the suffix out
    if not frame.mask_path:
        return read_rgba(path)
    rgba, mask = _load(path, "RGBA"), _mask(folder / frame.mask_path)
    if rgba.shape[:2] != mask.shape:
        raise DataError(
            f"mask {folder / frame.mask_path} has another size than its picture",
            got=f"{mask.shape[1]}x{mask.shape[0]}",
            expected=f"{rgba.shape[1]}x{rgba.shape[0]}",
        )
    rgba[..., 3] *= mask
    return rgba


def _mask(path: Path) -> np.ndarray:
    """float32 [H, W]: 1 where the mask is not 0; a mask with grey edges keeps them."""
    grey = np.rint(255 * _load(path, "L"))
    values = np.unique(grey)
    return (grey > 0).astype(np.float32) if len(values) <= 2 else (grey / 255).astype(np.float32)


def _load(path: Path, mode: str) -> np.ndarray:
    try:
        with Image.open(path) as image:
            if mode == "L" and image.mode in ("P", "1"):  # a palette's numbers, not its colours
                return np.asarray(image, np.float32) / 255 * (255 if image.mode == "1" else 1)
            return np.asarray(image.convert(mode), np.float32) / 255
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise DataError(f"image {path} cannot be read", got=str(error), likely="a missing or truncated file") from error
