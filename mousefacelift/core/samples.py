"""The one sample format: FaceLift's folder of RGBA images and true cameras.

    <sample>/images/cam_000.png ...      8-bit RGBA, straight alpha
    <sample>/opencv_cameras.json         {"id", "meta", "frames": [{w, h, fx, fy, cx, cy, w2c, file_path, hash, meta}]}

`frames` is what FaceLift's and its forks' loaders read; `meta` and `hash` are extra keys that they ignore. An image
and its camera are one record (`View`) and share one hash, so neither can be changed without the other being noticed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mousefacelift.config import canonical_json
from mousefacelift.core.cameras import Camera
from mousefacelift.core.images import decode_rgba, encode_png
from mousefacelift.errors import CameraError, DataError

SOURCES = ("real", "distilled", "splat", "object", "scan")
CAMERAS_FILE = "opencv_cameras.json"


@dataclass(frozen=True)
class View:
    """One image with its camera.

    Args:
        rgba: float32 [H, W, 4] in [0, 1], straight alpha (uint8 0..255 is accepted for writing; reading gives float).
        camera: of the same size as the image.
        meta: JSON-able provenance of this view (parents, scores, seed ...).
    """

    rgba: np.ndarray
    camera: Camera
    meta: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        expected = (self.camera.height, self.camera.width, 4)
        if self.rgba.shape != expected:
            raise DataError(
                "image and camera of a view differ in size",
                got=f"image {self.rgba.shape}",
                expected=f"{expected}",
                likely="an image resized or cropped without its camera",
            )


@dataclass(frozen=True)
class Sample:
    """Views of one thing at one instant, and where they came from (`meta["source"]` is one of SOURCES)."""

    views: tuple[View, ...]
    meta: dict = field(default_factory=dict)

    @property
    def cameras(self) -> list[Camera]:
        return [view.camera for view in self.views]


def view_hash(png: bytes, frame: dict) -> str:
    """32 hexadecimal digits that change with any byte of the image file and any number of its camera."""
    camera = {key: frame[key] for key in ("w", "h", "fx", "fy", "cx", "cy", "w2c")}
    return hashlib.sha256(png + canonical_json(camera).encode()).hexdigest()[:32]


def write_sample(folder: str | Path, sample: Sample, compression: int = 1) -> list[str]:
    """Write `sample` as a FaceLift folder, whole or not at all, and return the hash of every view.

    An existing sample is replaced in one rename. `compression` is the PNG level, 0 to 9.

    Raises:
        DataError: unknown source, no views, the folder holds more than a sample, or the disk refuses.
    """
    folder = Path(folder)
    if sample.meta.get("source") not in SOURCES or not sample.views:
        raise DataError(
            f"sample {folder} cannot be written",
            got=f"source {sample.meta.get('source')!r}, {len(sample.views)} views",
            expected=f"a source of {', '.join(SOURCES)} and at least one view",
        )
    _refuse_foreign(folder)
    work = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    frames, hashes = [], []
    try:
        (work / "images").mkdir(parents=True)
        for index, view in enumerate(sample.views):
            file_path = f"images/cam_{index:03d}.png"
            png, frame = encode_png(view.rgba, compression), view.camera.to_frame(file_path)
            hashes.append(view_hash(png, frame))
            (work / file_path).write_bytes(png)
            frames.append(frame | {"hash": hashes[-1], "meta": view.meta})
        document = {"id": folder.name, "meta": sample.meta, "frames": frames}
        (work / CAMERAS_FILE).write_text(json.dumps(document, indent=1))
        replace_folder(work, folder)
    except OSError as error:
        raise DataError(
            f"sample {folder} cannot be written",
            got=str(error),
            likely="a full disk or a read-only folder",
            hint="free space and rerun; finished samples are kept",
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return hashes


def _refuse_foreign(folder: Path) -> None:
    """A folder is replaced only when it is empty or holds a sample and nothing else."""
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*")] if folder.is_dir() else []
    strangers = sorted(f for f in files if not re.fullmatch(rf"images(/cam_\d+\.png)?|{re.escape(CAMERAS_FILE)}", f))
    if strangers or (folder.exists() and not folder.is_dir()):
        raise DataError(
            f"folder {folder} holds files that are no part of a sample, and would be replaced",
            got=", ".join(strangers[:5]) or "a file of that name",
            expected="a new folder, or an earlier sample",
            hint="write to another folder, or move these files elsewhere",
        )


def replace_folder(new: Path, target: Path) -> None:
    """Move the folder `new` to `target`, taking the place of what is there."""
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    if target.exists():
        os.replace(target, old)
    os.replace(new, target)
    shutil.rmtree(old, ignore_errors=True)


def read_document(folder: str | Path) -> dict:
    """The parsed `opencv_cameras.json` of a sample folder.

    Raises:
        DataError: missing, not JSON, or without frames.
    """
    path = Path(folder) / CAMERAS_FILE
    try:
        document = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"cameras {path} cannot be read", got=str(error), hint="rerun the stage that made this sample"
        ) from error
    if not isinstance(document, dict) or not document.get("frames"):
        raise DataError(
            f"cameras {path} hold no frames", expected='{"frames": [{w, h, fx, fy, cx, cy, w2c, file_path}]}'
        )
    return document


def read_cameras(folder: str | Path) -> list[Camera]:
    """The cameras of a sample folder, in file order."""
    return [_camera(folder, index, frame) for index, frame in enumerate(read_document(folder)["frames"])]


def read_sample(folder: str | Path, views: list[int] | None = None) -> Sample:
    """The sample in `folder`, whole or only the chosen view indices (in the order given)."""
    folder, document = Path(folder), read_document(folder)
    frames = document["frames"]
    chosen = range(len(frames)) if views is None else views
    if views is not None and max(views) >= len(frames):
        raise DataError(
            f"sample {folder} has fewer views than asked for", got=len(frames), expected=f"index {max(views)}"
        )
    return Sample(tuple(_view(folder, i, frames[i]) for i in chosen), document.get("meta", {}))


def _view(folder: Path, index: int, frame: dict) -> View:
    path = folder / frame["file_path"]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"image {path} cannot be read", got=str(error)) from error
    return View(decode_rgba(data, str(path)), _camera(folder, index, frame), frame.get("meta", {}))


def _camera(folder: str | Path, index: int, frame: dict) -> Camera:
    try:
        return Camera.from_frame(frame)
    except CameraError as error:
        raise CameraError(
            f"camera {index} of {Path(folder) / CAMERAS_FILE}: {error.what}",
            got=error.got,
            expected=error.expected,
            likely=error.likely,
        ) from error
