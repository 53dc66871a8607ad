"""Rows of the views of all chunks while a manifest is built: numbers in a temporary file, every word once in memory.

Millions of views are then a file that is read in stretches, in any order.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mousefacelift.dataset.schema import VIEWS
from mousefacelift.errors import DataError, unwritable

STRETCH = 16_384  # rows that are read at a time
DECIDED = ("owner", "held_out", "protocol")  # by the whole: `join.assemble`
WIDE = ("azimuth", "elevation", "distance")  # judged in double precision, written in single
WORDS = tuple(field.name for field in VIEWS if pa.types.is_dictionary(field.type) and field.name not in DECIDED)


def _kind(field: pa.Field) -> Any:
    if pa.types.is_dictionary(field.type):
        return np.int32
    if pa.types.is_fixed_size_binary(field.type):
        return (np.uint8, (field.type.byte_width,))
    return np.float64 if field.name in WIDE else field.type.to_pandas_dtype()


ROW = np.dtype([(field.name, _kind(field)) for field in VIEWS if field.name not in DECIDED])


class ViewSpill:
    """View rows in the order in which they were added; columns of words hold codes."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        self._file = tempfile.TemporaryFile(dir=folder)
        self._codes: dict[str, dict[str, int]] = {name: {} for name in WORDS}

    def __len__(self) -> int:
        return self._count

    def add(self, rows: Sequence[dict], first_sample: int) -> None:
        """Rows of one more chunk, whose `sample` counts from `first_sample`.

        Raises:
            DataError: the disk is full.
        """
        table = np.empty(len(rows), ROW)
        for name in ROW.names or ():
            if name in self._codes:
                codes = self._codes[name]
                table[name] = [codes.setdefault(row[name], len(codes)) for row in rows]
            elif name == "hash":
                digests = np.frombuffer(b"".join(row[name] for row in rows), np.uint8)
                table[name] = digests.reshape(-1, ROW[name].shape[0])
            else:
                table[name] = [row[name] for row in rows]
        table["sample"] += first_sample
        try:
            self._file.write(table.tobytes())
            self._file.flush()
        except OSError as error:
            raise unwritable("rows of views in", self._folder, error) from error
        self._count += len(rows)

    def words(self, name: str) -> np.ndarray:
        """Words of a column by their codes."""
        return np.array([*self._codes[name]], object)

    def stretches(self, places: np.ndarray | None = None) -> Iterator[tuple[slice, np.ndarray]]:
        """(part of the result, its rows [n] of ROW) of the rows at `places` (None: all), a few at a time."""
        count = self._count if places is None else len(places)
        for start in range(0, count, STRETCH):
            part = slice(start, min(start + STRETCH, count))
            yield part, self._rows(np.arange(part.start, part.stop) if places is None else places[part])

    def _rows(self, places: np.ndarray) -> np.ndarray:
        """The rows at `places`, one read for each run of neighbours: a mapped file would count as memory taken."""
        table = np.empty(len(places), ROW)
        data, size = memoryview(table.view(np.uint8).data), ROW.itemsize
        ends = [*(np.flatnonzero(np.diff(places) != 1) + 1).tolist(), len(places)]
        for start, end in zip([0, *ends], ends):
            wanted = data[start * size : end * size]
            if os.preadv(self._file.fileno(), [wanted], int(places[start]) * size) != len(wanted):
                raise DataError(f"rows of views in {self._folder} cannot be read back", likely="a disk that failed")
        return table

    def columns(self, names: Sequence[str], places: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Columns of the rows at `places` (None: all), words as codes."""
        count = self._count if places is None else len(places)
        found = {name: np.empty((count, *ROW[name].shape), ROW[name].base) for name in names}
        for part, rows in self.stretches(places):
            for name, column in found.items():
                column[part] = rows[name]
        return found

    def close(self) -> None:
        """Throw the rows away."""
        self._file.close()
