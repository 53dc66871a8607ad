"""What a generator paints of the photos of a chunk of frames, kept photo by photo in files until the chunk is finished.

Photos of several frames share a call where a generator is faster with many.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mousefacelift.core.cameras import Camera
from mousefacelift.core.files import json_text, write_bytes
from mousefacelift.core.records import ViewFacts
from mousefacelift.core.samples import View, read_sample
from mousefacelift.distill.generators.protocol import Generator, view_seed
from mousefacelift.distill.photos import FrameItem, usable_views


@dataclass(frozen=True)
class Painter:
    """A generator that is given `batch` photos at once: those at fixed places of the list, so that a run that goes on
    after a kill ends with the same bits although what is painted may depend, by rounding, on the photos beside."""

    generator: Generator
    batch: int
    seed: int

    def paint(self, frames: Sequence[tuple[FrameItem, Sequence[View], Path]]) -> None:
        """Paint the photos of every frame into `view_files` of its folder; a call whose files are all there is not
        made again."""
        asked = [
            (photo, view_seed(self.seed, item.recording, item.frame, photo.facts.camera), file)
            for item, photos, cache in frames
            for photo, file in zip(photos, view_files(cache, len(photos)), strict=True)
        ]
        for start in range(0, len(asked), self.batch):
            photos, seeds, files = zip(*asked[start : start + self.batch], strict=True)
            if all(file.exists() for file in files):
                continue
            for file, views in zip(files, self.generator.generate(photos, seeds), strict=True):
                file.parent.mkdir(parents=True, exist_ok=True)
                save_views(file, views)


class FramesAhead:
    """Paints as many frames of a chunk together as a call of the generator takes, by the photos of the first frame."""

    def __init__(self, painter: Painter, items: Sequence[FrameItem], cache: Path, held_out_camera: int | str | None):
        self._painter, self._items, self._cache, self._held_out = painter, list(items), cache, held_out_camera
        self._places = {item.frame: place for place, item in enumerate(items)}
        self._together = 0

    def folder(self, item: FrameItem) -> Path:
        """Where the views of a frame are kept."""
        return self._cache / f"{item.frame:06d}"

    def paint(self, item: FrameItem, photos: Sequence[View]) -> None:
        """Paint a frame, and those that share its call; nothing where that was done.

        Raises:
            DataError: one of them has fewer than two photos.
        """
        if all(file.exists() for file in view_files(self.folder(item), len(photos))):
            return
        self._together = self._together or max(1, self._painter.batch // len(self._photos(self._items[0])))
        first = self._places[item.frame] // self._together * self._together
        group = self._items[first : first + self._together]
        self._painter.paint([(each, self._photos(each), self.folder(each)) for each in group])

    def _photos(self, item: FrameItem) -> list[View]:
        return usable_views(read_sample(item.folder), self._held_out)


def view_files(cache: Path, photos: int) -> list[Path]:
    """The file of every photo of a frame."""
    return [cache / f"{number:02d}.npz" for number in range(photos)]


def save_views(path: Path, views: Sequence[View]) -> None:
    """Generated views in one atomic file, 8 bits per channel as they would be written."""
    buffer = io.BytesIO()
    np.savez(
        buffer,
        rgba=np.stack([np.rint(view.rgba * 255).astype(np.uint8) for view in views]),
        frames=json_text([view.camera.to_frame("") | {"meta": view.facts.to_json()} for view in views]),
    )
    write_bytes(path, buffer.getvalue())


def load_views(path: Path) -> list[View]:
    """Views of a file of `save_views`."""
    with np.load(path) as data:
        frames = json.loads(str(data["frames"]))
        return [
            View(
                rgba.astype(np.float32) / 255.0, Camera.from_frame(frame), ViewFacts.from_json(frame["meta"], str(path))
            )
            for rgba, frame in zip(data["rgba"], frames, strict=True)
        ]
