"""The rows of an evaluation, and their summary: a few are one table, of many only who and when stays in memory.

`metrics.parquet` is written PART rows at a time once there are so many; what a summary needs of a metric is read back
column by column.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mousefacelift.check.config import EvaluateConfig
from mousefacelift.check.situation import COLUMNS
from mousefacelift.check.statistics import describe

LOWER_IS_BETTER = ("fg_l1",)
PART = 32_768  # rows that are in memory at a time
WORDS = ("protocol", "method", "recording")
PARTS = ("held_out", "inputs")


class MetricTable:
    """Rows of metrics.parquet, each a dict with the keys of the first; written to `path` by the time it is closed."""

    def __init__(self, path: Path, arm: str) -> None:
        self._path, self._arm = path, arm
        self._rows: list[dict] = []
        self._writer: pq.ParquetWriter | None = None
        self._codes: dict[str, dict[str, int]] = {name: {} for name in WORDS}
        self._keys = {name: array("h") for name in WORDS} | {"frame": array("q"), "camera": array("h")}
        self._is_input = array("b")
        self._metrics: tuple[str, ...] = ()

    def add(self, rows: Sequence[dict]) -> None:
        """More rows."""
        for row in rows:
            for name in WORDS:
                self._keys[name].append(self._codes[name].setdefault(row[name], len(self._codes[name])))
            self._keys["frame"].append(row["frame"])
            self._keys["camera"].append(row["camera"])
            self._is_input.append(row["is_input"])
        self._rows += rows
        if len(self._rows) >= PART:
            self._write_part()

    def close(self) -> None:
        """Write what is left."""
        if self._writer is None:
            self._frame().to_parquet(self._path)
            self._rows = []
            return
        if self._rows:
            self._write_part()
        self._writer.close()

    def _write_part(self) -> None:
        frame = self._frame()
        if self._writer is None:
            schema = pa.Schema.from_pandas(frame, preserve_index=False)
            self._writer = pq.ParquetWriter(self._path, schema, compression="snappy")
        self._writer.write_table(pa.Table.from_pandas(frame, self._writer.schema, preserve_index=False))
        self._rows = []

    def _frame(self) -> pd.DataFrame:
        frame = pd.DataFrame(self._rows).assign(arm=self._arm)
        if not self._metrics:
            self._metrics = tuple(c for c in frame.columns if frame[c].dtype.kind == "f" and c not in COLUMNS)
        return frame

    def summarise(self, protocol: str, config: EvaluateConfig) -> dict:
        """Numbers of every method on targets that were not inputs, and on inputs, of one protocol; of a closed
        table."""
        keys = {name: np.frombuffer(values, values.typecode) for name, values in self._keys.items()}
        is_input = np.frombuffer(self._is_input, np.int8).astype(bool)
        own = keys["protocol"] == self._codes["protocol"][protocol]
        methods, times = list(self._codes["method"]), self._times(keys["recording"], keys["frame"])
        entry: dict = {"cameras": sorted(set(keys["camera"][own & ~is_input].tolist()))}
        chosen: dict[tuple[str, str], np.ndarray] = {}
        for part, rows in zip(PARTS, (own & ~is_input, own & is_input)):
            found, first = np.unique(keys["method"][rows], return_index=True)
            for code in found[np.argsort(first)]:
                chosen[part, methods[code]] = np.flatnonzero(rows & (keys["method"] == code))
            entry[part] = {method: {} for of, method in chosen if of == part}
        for name in self._metrics:
            column = pq.read_table(self._path, columns=[name])[name].to_numpy()
            for (part, method), rows in chosen.items():
                entry[part][method][name] = describe(
                    column[rows], times[rows], config.bootstrap, config.worst_share, name not in LOWER_IS_BETTER
                )
        return entry

    def _times(self, recording: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """Number of each row's (recording, frame) that grows with its recording's name, then with time."""
        names = list(self._codes["recording"])
        rank = np.argsort(np.argsort(names))
        return rank[recording] * (frame.max(initial=0) + 1) + frame
