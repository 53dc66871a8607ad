"""A folder of videos that are one recording in pieces: 0.mp4, 3500.mp4, ... (DANNCE names a piece by its first frame).

Pieces with other numbers (part1, part2, ...) are joined in the natural order of their names.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from mousefacelift.capture.sources.picture import Picture
from mousefacelift.capture.sources.video import VideoReader
from mousefacelift.errors import DataError
from mousefacelift.formats.entries import natural_key

SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".mpg", ".mpeg", ".wmv", ".mts")


def chunk_files(path: Path) -> list[Path]:
    """The video files of a folder in natural order."""
    found = [p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    return sorted(found, key=lambda p: natural_key(p.name))


class ChunkReader:
    """The pieces as one video; a piece is open only while it is read.

    Raises:
        DataError: names that are no series, pieces of different size, or a piece missing between two.
    """

    def __init__(self, path: Path, wanted: int = 0, film: bool = False) -> None:
        self.path = path
        self._files = chunk_files(path)
        _require_series(self._files, path)
        facts = [_facts(file) for file in self._files]
        if len({(w, h) for w, h, _, _ in facts}) > 1:
            raise DataError(f"videos of folder {path} differ in size", got=str(sorted({f[:2] for f in facts})))
        self.width, self.height, self.fps = facts[0][0], facts[0][1], float(np.median([f[2] for f in facts]))
        lengths = [f[3] for f in facts]
        self._starts = np.concatenate([[0], np.cumsum(lengths)])
        self.frames = int(self._starts[-1])
        self._check_names()
        self._open: tuple[int, VideoReader] | None = None

    @staticmethod
    def matches(path: Path) -> bool:
        return path.is_dir() and bool(chunk_files(path))

    def read(self, index: int) -> Picture:
        """Frame `index` of the whole."""
        if not 0 <= index < self.frames:
            raise DataError(f"videos of folder {self.path} have no frame {index}", got=f"{self.frames} frames")
        piece = int(np.searchsorted(self._starts, index, side="right")) - 1
        if self._open is None or self._open[0] != piece:
            self.close()
            self._open = piece, VideoReader(self._files[piece])
        return self._open[1].read(index - int(self._starts[piece]))

    def close(self) -> None:
        """Close the piece that is open."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _check_names(self) -> None:
        """Names that count frames must name the frame at which their piece begins; a step of one is a counter."""
        numbers = [int(re.findall(r"\d+", file.stem)[-1]) for file in self._files] if len(self._files) > 1 else [0]
        named = [number - numbers[0] for number in numbers]
        begins = self._starts[:-1].tolist()
        if named == begins or np.diff(numbers).max(initial=0) <= 1:
            return
        wrong = next(i for i, (name, begin) in enumerate(zip(named, begins)) if name != begin)
        raise DataError(
            f"videos of folder {self.path} do not follow each other",
            got=f"{self._files[wrong].name} after {begins[wrong]} frames",
            expected="names that say at which frame a video begins",
            likely="a piece is missing, or was cut short",
            hint="copy the pieces again; names like part1, part2 are joined without this check",
        )


def _facts(file: Path) -> tuple[int, int, float, int]:
    reader = VideoReader(file)
    reader.close()
    return reader.width, reader.height, reader.fps, reader.frames


def _require_series(files: list[Path], path: Path) -> None:
    """Names must be alike but for their numbers: a folder with a video and its annotated copy is no series."""
    kinds = {re.sub(r"\d+", "#", file.name) for file in files}
    if len(kinds) > 1 or len(files) > 1 and "#" not in next(iter(kinds)):
        raise DataError(
            f"folder {path} holds videos that are no series",
            got=", ".join(file.name for file in files[:6]),
            expected="one video, or names that differ in their numbers",
            hint="name the file in the recording's videos, for example videos/{camera}/top.mp4",
        )
