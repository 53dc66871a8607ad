"""What one frame tells about the animal; made by `locate`, gathered by `track`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np


class Shelf:
    """Arrays kept in a temporary file instead of in memory: a long recording's outlines are 9 KB a frame."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()

    def keep(self, array: np.ndarray) -> Callable[[], np.ndarray]:
        """A function that gives the array back, as long as the shelf is open."""
        place = self._file.seek(0, 2)
        self._file.write(array.tobytes())
        return partial(self._read, place, array.shape, array.dtype)

    def _read(self, place: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        self._file.seek(place)
        return np.frombuffer(self._file.read(int(np.prod(shape)) * dtype.itemsize), dtype).reshape(shape)

    def close(self) -> None:
        """Throw the arrays away."""
        self._file.close()


@dataclass(frozen=True)
class Place:
    """One frame: centre [3] mm (None when not found), per-view numbers, and the outlines for the zoom.

    Attributes:
        hull_iou, ray_agreement, area, border: [V].
        outlines: gives [V, P, 2] undistorted points on the plane z = 1.
        change: 1 - mean IoU of the masks with those of the previous frame read; NaN for the first.
    """

    frame: int
    center: np.ndarray | None
    hull_iou: np.ndarray
    ray_agreement: np.ndarray
    area: np.ndarray
    border: np.ndarray
    outlines: Callable[[], np.ndarray]
    change: float
