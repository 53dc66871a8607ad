"""The table of views of a manifest before it is written: which row of the spill every row is, and what the whole
decides about it. 20 bytes a view are in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from mousefacelift.dataset.schema import VIEWS
from mousefacelift.dataset.spill import ROW, WORDS, ViewSpill

PROTOCOLS = ("train", "A", "B", "C", "none")
OWN = ("sample", "view", "owner", "held_out")


@dataclass(frozen=True)
class ViewTable:
    """Views by sample and view.

    Args:
        place: [n] row of the spill.
        sample, owner: [n] row of the sample that lists it, and of the one in whose folder the picture lies.
        view: [n] position among the views of the sample.
        held_out: [n]. protocol: [n] place in PROTOCOLS.
    """

    spill: ViewSpill
    place: np.ndarray
    sample: np.ndarray
    view: np.ndarray
    owner: np.ndarray
    held_out: np.ndarray
    protocol: np.ndarray

    @classmethod
    def of(cls, spill: ViewSpill, place: np.ndarray, sample: np.ndarray, view: np.ndarray) -> ViewTable:
        """Views in their own samples, of which neither held-out ones nor protocols are known yet."""
        return cls(spill, place, sample, view, sample.copy(), np.zeros(len(place), bool), np.zeros(len(place), np.int8))

    def __len__(self) -> int:
        return len(self.place)

    def words(self, name: str) -> np.ndarray:
        """Words of a column of the spill by their codes."""
        return self.spill.words(name)

    def columns(self, names: Sequence[str], rows: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Columns of the spill of the views `rows` (None: all); words as codes."""
        return self.spill.columns(names, self.place if rows is None else self.place[rows])

    def with_photos(self, photos: np.ndarray, sample: np.ndarray, view: np.ndarray) -> ViewTable:
        """The table with the rows `photos` listed again as views number `view` of `sample`."""
        again = np.concatenate([np.arange(len(self)), photos])
        sample = np.concatenate([self.sample, sample.astype(self.sample.dtype)])
        view = np.concatenate([self.view, view.astype(self.view.dtype)])
        order = np.lexsort([view, sample])
        again = again[order]
        rows = (values[again] for values in (self.owner, self.held_out, self.protocol))
        return ViewTable(self.spill, self.place[again], sample[order], view[order], *rows)

    def hash_sum(self) -> int:
        """Sum of a hash of every row's sample, view, file, picture and protocol."""
        total, files, protocols = 0, self.words("file"), np.array(PROTOCOLS, object)
        for part, rows in self.spill.stretches(self.place):
            frame = pd.DataFrame(
                {
                    "sample": self.sample[part].astype(np.int64),
                    "view": self.view[part].astype(np.int64),
                    "file": pd.Series(files[rows["file"]], dtype=object),
                    "hash": [digest.tobytes() for digest in rows["hash"]],
                    "protocol": pd.Series(protocols[self.protocol[part]], dtype=object),
                }
            )
            total += int(pd.util.hash_pandas_object(frame, index=False).sum())
        return total % 2**64

    def arrow_parts(self, count: int) -> Iterator[pa.Table]:
        """The rows of `views.parquet`, `count` at a time; all parts share their words, in the order of first use."""
        ranks = self._ranks()
        for start in range(0, len(self), count):
            yield self._arrow(slice(start, start + count), ranks)

    def _arrow(self, part: slice, ranks: dict[str, tuple[np.ndarray, pa.Array]]) -> pa.Table:
        columns = self.spill.columns([name for name in ROW.names or () if name not in OWN], self.place[part])
        columns |= {name: getattr(self, name)[part] for name in (*OWN, "protocol")}
        arrays = []
        for name, kind in zip(VIEWS.names, VIEWS.types):
            values = columns.pop(name)
            if name in ranks:
                rank, words = ranks[name]
                arrays.append(pa.DictionaryArray.from_arrays(pa.array(rank[values]), words))
            elif pa.types.is_fixed_size_binary(kind):
                arrays.append(pa.FixedSizeBinaryArray.from_buffers(kind, len(values), [None, pa.py_buffer(values)]))
            else:
                arrays.append(pa.array(values, type=kind, from_pandas=True))
        return pa.Table.from_arrays(arrays, schema=VIEWS)

    def _ranks(self) -> dict[str, tuple[np.ndarray, pa.Array]]:
        """Of every column of words: rank of each code by its first use, and the words by rank."""
        found = {name: np.full(len(self.words(name)), -1, np.int32) for name in WORDS}
        found["protocol"] = np.full(len(PROTOCOLS), -1, np.int32)
        used = dict.fromkeys(found, 0)
        for part, rows in self.spill.stretches(self.place):
            for name, rank in found.items():
                codes, first = np.unique(self.protocol[part] if name == "protocol" else rows[name], return_index=True)
                fresh = codes[np.argsort(first)]
                fresh = fresh[rank[fresh] < 0]
                rank[fresh] = np.arange(used[name], used[name] + len(fresh))
                used[name] += len(fresh)
        words = {name: self.words(name) for name in WORDS} | {"protocol": np.array(PROTOCOLS, object)}
        return {name: (rank, _by_rank(words[name], rank)) for name, rank in found.items()}


def _by_rank(words: np.ndarray, rank: np.ndarray) -> pa.Array:
    used = np.flatnonzero(rank >= 0)
    return pa.array(words[used[np.argsort(rank[used])]], pa.string())
