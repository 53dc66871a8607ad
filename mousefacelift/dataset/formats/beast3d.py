"""BEAST3D session folders: per camera img00000000.png (RGB over black), mask00000000.png and the camera's .npy.

Cameras are OpenCV's with 0-based pixels, pickled as a dict; reading never executes the pickle. One sample is one frame.
A split is a dataset as its loader wants it: info.json with the views that all sessions have, and in each session
selected_frames.csv with the names of its frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from mousefacelift.core.files import json_text, write_text
from mousefacelift.core.images import write_png
from mousefacelift.core.records import SampleFacts
from mousefacelift.core.samples import Sample, View
from mousefacelift.dataset.formats.naming import name_view
from mousefacelift.dataset.formats.pinhole import pinhole_of, raw_of
from mousefacelift.errors import DataError
from mousefacelift.formats.beast3d import camera_folders, read_camera, write_camera

FRAME = 0
FRAMES_FILE, INFO_FILE = "selected_frames.csv", "info.json"


def write(folder: Path, sample: Sample) -> None:
    """Write `cam000/img00000000.png`, `mask00000000.png`, `img00000000.npy` ... into `folder`."""
    for index, view in enumerate(sample.views):
        place = folder / f"cam{index:03d}"
        rgba = view.rgba / np.float32(255) if view.rgba.dtype == np.uint8 else view.rgba
        write_png(place / f"img{FRAME:08d}.png", rgba[..., :3])
        write_png(place / f"mask{FRAME:08d}.png", rgba[..., 3])
        write_camera(place / f"img{FRAME:08d}.npy", raw_of(view.camera, place.name))
    write_text(folder / FRAMES_FILE, f"img{FRAME:08d}.png\n")


def write_lists(out: Path, splits: Sequence[str]) -> None:
    """Write `out/<split>/info.json`, which makes each split a dataset of its loader.

    Raises:
        DataError: the samples of a split have no camera in common.
    """
    for split in splits:
        sessions = sorted(path.parent for path in (out / split).glob(f"*/{FRAMES_FILE}"))
        views = sorted(set.intersection(*({place.name for place in camera_folders(s)} for s in sessions)))
        if not views:
            raise DataError(f"samples of {out / split} have no view in common", got=f"{len(sessions)} samples")
        info = {"available_views": views, "video_ids": [session.name for session in sessions], "extension": "png"}
        write_text(out / split / INFO_FILE, json_text(info, indent=1))


def read(folder: Path, facts: SampleFacts) -> Sample:
    """The sample of a session's first frame that every camera has, masks as alpha.

    Raises:
        DataError: no camera folder, no common frame, a missing mask, or a lens with distortion.
    """
    places = camera_folders(folder) if folder.is_dir() else []
    frames = [{path.stem.removeprefix("img") for path in place.glob("img*.npy")} for place in places]
    common = sorted(set.intersection(*frames)) if frames else []
    if not common:
        raise DataError(f"session {folder} has no frame that every camera has", got=f"{len(places)} cameras")
    views = []
    for place in places:
        rgb = _load(place / f"img{common[0]}.png", "RGB")
        mask = _load(place / f"mask{common[0]}.png", "L")
        if rgb.shape[:2] != mask.shape:
            raise DataError(f"mask and picture of {place} differ in size", got=mask.shape, expected=rgb.shape[:2])
        raw = read_camera(place / f"img{common[0]}.npy", place.name)
        camera = pinhole_of(raw, f"camera {place.name} of {folder}", "undistort the pictures first", rgb.shape[1::-1])
        views.append(name_view(View(np.dstack([rgb, mask]), camera), place.name))
    return Sample(tuple(views), facts)


def _load(path: Path, mode: str) -> np.ndarray:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert(mode), np.float32) / 255
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f"image {path} cannot be read", got=str(error), likely="a frame without a mask") from error
