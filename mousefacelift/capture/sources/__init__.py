"""Where pictures and masks of one camera come from: a video, chunks of videos, image files, arrays, run lengths.

A source is a path, with `#N` at its end where it holds several objects and number N is the animal. All sources read
lazily, frame by frame, in rising order. A new kind is one module with `matches(path)` and a reader class, listed in
SOURCES.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from mousefacelift.capture.sources import arrays, chunks, coco, images, video
from mousefacelift.capture.sources.picture import Picture
from mousefacelift.errors import DataError

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".mpg", ".mpeg", ".wmv", ".mts")


class Source(Protocol):
    """Pictures of one camera by number, in rising order."""

    path: Path
    width: int
    height: int
    fps: float
    frames: int

    def read(self, index: int) -> Picture:
        """Picture `index`."""
        ...

    def close(self) -> None:
        """Give files back."""
        ...


SOURCES = (arrays.ArrayReader, coco.CocoReader, images.ImageReader, chunks.ChunkReader)


def split_object(path: str | Path) -> tuple[Path, int]:
    """The file or folder, and the object's number (0: the only one)."""
    text, mark, number = str(path).rpartition("#")
    return (Path(text), int(number)) if mark and number.isdigit() else (Path(path), 0)


def open_film(path: str | Path) -> Source:
    """The reader of a camera's pictures: image files and arrays of masks are read by other rules. Raises: DataError."""
    return open_source(path, film=True)


def open_source(path: str | Path, film: bool = False) -> Source:
    """The reader of a source.

    Args:
        film: it holds a camera's pictures, not masks.
    Raises:
        DataError: nothing there, or nothing that is known.
    """
    place, wanted = split_object(path)
    if not place.exists():
        raise DataError(f"video {place} does not exist", hint="check the recording's paths in config.yaml")
    kind = next((kind for kind in SOURCES if kind.matches(place)), None)
    if wanted and kind in (chunks.ChunkReader, None) and not film:
        raise DataError(
            f"masks {place} are a video, in which one object is white",
            got=f"mask_object {wanted}",
            hint="leave mask_object out, or give masks that hold numbers of objects: PNG files, COCO, arrays",
        )
    if kind is not None:
        return kind(place, wanted, film)
    if place.is_dir():
        raise DataError(
            f"folder {place} holds neither videos nor pictures",
            got=", ".join(sorted(p.name for p in place.iterdir())[:6]) or "an empty folder",
            expected="0.mp4 3500.mp4 ..., or 00000.png 00001.png ...",
        )
    return video.VideoReader(place)
