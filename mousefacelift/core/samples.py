"""The one sample format: FaceLift's folder of RGBA images and true cameras.

    <sample>/images/cam_000.png ...      8-bit RGBA, straight alpha
    <sample>/opencv_cameras.json         {"id", "meta", "frames": [{w, h, fx, fy, cx, cy, w2c, file_path, hash, meta}]}

`frames` is what FaceLift's and its forks' loaders read; `meta` (`core.records`) and `hash` are extra keys that they
ignore. An image and its camera are one record (`View`) and share one hash, so neither can be changed without the other
being noticed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mousefacelift.config import canonical_json
from mousefacelift.core.cameras import Camera
from mousefacelift.core.files import json_by_rows, read, read_json, readable, replace_folder
from mousefacelift.core.images import decode_rgba, encode_png
from mousefacelift.core.provenance import calling_code, tool_versions
from mousefacelift.core.records import SampleFacts, ViewFacts, check_writable
from mousefacelift.errors import CameraError, DataError

CAMERAS_FILE = "opencv_cameras.json"
TRUTH_FILE = "truth.npz"  # of a scan: vertices, faces and normals of its mesh in the sample's world


@dataclass(frozen=True)
class View:
    """One image with its camera.

    Args:
        rgba: float32 [H, W, 4] in [0, 1], straight alpha (uint8 0..255 is accepted for writing; reading gives float).
        camera: of the same size as the image.
        facts: where it came from, and how far it may be believed.
    """

    rgba: np.ndarray
    camera: Camera
    facts: ViewFacts = ViewFacts()

    def __post_init__(self) -> None:
        if not isinstance(self.facts, ViewFacts):
            raise TypeError(f"facts of a view are {type(self.facts).__name__}, not ViewFacts")
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
    """Views of one thing at one instant, and where they came from."""

    views: tuple[View, ...]
    facts: SampleFacts = SampleFacts()

    def __post_init__(self) -> None:
        if not isinstance(self.facts, SampleFacts):
            raise TypeError(f"facts of a sample are {type(self.facts).__name__}, not SampleFacts")

    @property
    def cameras(self) -> list[Camera]:
        return [view.camera for view in self.views]


def view_hash(png: bytes, frame: dict) -> str:
    """32 hexadecimal digits that change with any byte of the image file and any number of its camera."""
    camera = {key: frame[key] for key in ("w", "h", "fx", "fy", "cx", "cy", "w2c")}
    return hashlib.sha256(png + canonical_json(camera).encode()).hexdigest()[:32]


def write_sample(folder: str | Path, sample: Sample, compression: int = 1, *, into: bool = False) -> list[str]:
    """Write `sample` as a FaceLift folder, whole or not at all, and return the hash of every view.

    Versions of the code that calls this and of the tools are added to its facts.

    Args:
        compression: PNG level, 0 to 9.
        into: `folder` is an item that its chunk is still filling: the sample is put beside what is there. Otherwise an
            existing sample is replaced in one rename.
    Raises:
        DataError: facts that its readers need are missing, the folder holds more than a sample, or the disk refuses.
    """
    folder = Path(folder)
    check_writable(sample.facts, [view.facts for view in sample.views], str(folder))
    if into:
        work = folder
    else:
        _refuse_foreign(folder)
        work = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    # an item that its chunk fills is called .NAME.making until it is whole; the sample's id is NAME
    name = folder.name.removeprefix(".").removesuffix(".making") if into else folder.name
    try:
        hashes = _write_files(work, name, sample, compression)
        if not into:
            replace_folder(work, folder)
    except OSError as error:
        raise DataError(
            f"sample {folder} cannot be written",
            got=str(error),
            likely="a full disk or a read-only folder",
            hint="free space and rerun; finished samples are kept",
        ) from error
    finally:
        if not into:
            shutil.rmtree(work, ignore_errors=True)
    return hashes


def _write_files(work: Path, name: str, sample: Sample, compression: int) -> list[str]:
    """The files of a sample in the folder `work`; returns the hash of every view."""
    (work / "images").mkdir(parents=True)
    frames, hashes = [], []
    for index, view in enumerate(sample.views):
        file_path = f"images/cam_{index:03d}.png"
        png, frame = encode_png(view.rgba, compression), view.camera.to_frame(file_path)
        hashes.append(view_hash(png, frame))
        (work / file_path).write_bytes(png)
        frames.append(frame | {"hash": hashes[-1], "meta": view.facts.to_json()})
    facts = replace(sample.facts, code=calling_code(__name__), versions=tool_versions())
    document = {"id": name, "meta": facts.to_json(), "frames": frames}
    (work / CAMERAS_FILE).write_text(json_by_rows(document))
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


def read_document(folder: str | Path) -> dict:
    """The parsed `opencv_cameras.json` of a sample folder.

    Raises:
        DataError: missing, not JSON, or without frames.
    """
    path = Path(folder) / CAMERAS_FILE
    document = read_json(path, {"frames?": [dict], "meta?": dict}, "cameras")
    if not document.get("frames"):
        raise DataError(
            f"cameras {path} hold no frames", expected='{"frames": [{w, h, fx, fy, cx, cy, w2c, file_path}]}'
        )
    return document


def read_cameras(folder: str | Path) -> list[Camera]:
    """The cameras of a sample folder, in file order."""
    return [_camera(folder, index, frame) for index, frame in enumerate(read_document(folder)["frames"])]


def read_sample(folder: str | Path, views: list[int] | None = None, hashes: Sequence[str] | None = None) -> Sample:
    """The sample in `folder`, whole or only the chosen view indices (in the order given).

    Args:
        hashes: of the views, as `write_sample` gave them; each is compared with image and camera as they are now.
    Raises:
        DataError: a broken file, fewer views than asked for, or a view that is not the one that the hash names.
    """
    folder, document = Path(folder), read_document(folder)
    frames = document["frames"]
    chosen = range(len(frames)) if views is None else views
    if views is not None and max(views) >= len(frames):
        raise DataError(
            f"sample {folder} has fewer views than asked for", got=len(frames), expected=f"index {max(views)}"
        )
    read = tuple(_view(folder, i, frames[i], hashes[place] if hashes else None) for place, i in enumerate(chosen))
    return Sample(read, sample_facts(document, folder))


def sample_facts(document: dict, folder: str | Path) -> SampleFacts:
    """The facts in a parsed document; those of a foreign folder, which says nothing, have no source."""
    return SampleFacts.from_json(document.get("meta", {}), f"sample {folder}")


def view_facts(document: dict, folder: str | Path) -> list[ViewFacts]:
    """The facts of every view of a parsed document, in file order."""
    return [_frame_facts(folder, i, frame) for i, frame in enumerate(document["frames"])]


def _frame_facts(folder: str | Path, index: int, frame: dict) -> ViewFacts:
    return ViewFacts.from_json(frame.get("meta", {}), f"view {index} of sample {folder}")


def seen_views(facts: Sequence[ViewFacts], held_out_camera: int | str | None, where: str) -> list[int]:
    """Positions of the views that training may see: all but those of the held-out camera.

    Raises:
        DataError: a camera is held out, and a view does not say which camera filmed it.
    """
    unnamed = [i for i, view in enumerate(facts) if view.camera is None and not view.camera_name]
    if held_out_camera is not None and unnamed:
        raise DataError(
            f"a photo of {where} does not say which camera took it",
            got=f"view {unnamed[0]}",
            expected=f"a number or name, because camera {held_out_camera!r} is held out",
            hint="import foreign folders with mousefacelift dataset import",
        )
    return [i for i, view in enumerate(facts) if not view.is_camera(held_out_camera)]


def _view(folder: Path, index: int, frame: dict, expected: str | None) -> View:
    path = image_path(folder, frame)
    data = read(path, bytes, "image")
    if expected is not None and view_hash(data, frame) != expected:
        raise DataError(
            f"image {path} or its camera is not the one that is meant",
            got=view_hash(data, frame),
            expected=expected,
            likely="made again, or changed, since",
        )
    return View(decode_rgba(data, str(path)), _camera(folder, index, frame), _frame_facts(folder, index, frame))


def image_path(folder: str | Path, frame: dict) -> Path:
    """The image file of a frame of `opencv_cameras.json`.

    Raises:
        DataError: none is named, or one outside the sample's folder.
    """
    name = frame.get("file_path")
    if not isinstance(name, str) or not name or os.path.isabs(name) or ".." in Path(name).parts or "\0" in name:
        raise DataError(
            f"a view of {Path(folder) / CAMERAS_FILE} names no image inside the sample's folder",
            got=repr(name)[:200],
            expected="images/cam_000.png",
            likely="an edited file, or a sample from elsewhere",
        )
    return Path(folder) / name


def _camera(folder: str | Path, index: int, frame: dict) -> Camera:
    try:
        with readable(Path(folder) / CAMERAS_FILE, f"camera {index} of"):
            return Camera.from_frame(frame)
    except CameraError as error:
        raise CameraError(
            f"camera {index} of {Path(folder) / CAMERAS_FILE}: {error.what}",
            got=error.got,
            expected=error.expected,
            likely=error.likely,
        ) from error
