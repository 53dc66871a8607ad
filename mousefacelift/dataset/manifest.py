"""The manifest of a dataset: `samples.parquet`, `views.parquet` and `dataset.json` in one folder, opened for reading.

manifest = Manifest.open("results/dataset")            # < 3 s for 2.6 million views
manifest = Manifest.open_verified("results/dataset")   # what training uses: refuses what `dataset verify` did not pass
rows, weights = manifest.pool("real", "train", min_views=5)
views = manifest.views_of(rows[0])
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mousefacelift.core.files import read_json, readable
from mousefacelift.core.sources import SOURCES
from mousefacelift.dataset.schema import SAMPLES, SCHEMA_VERSION, VIEWS
from mousefacelift.errors import DataError

HEADER_FILE, SAMPLES_FILE, VIEWS_FILE, VERIFY_FILE = "dataset.json", "samples.parquet", "views.parquet", "verify.json"
HOT_COLUMNS = ("owner", "index", "file", "held_out", "azimuth", "elevation", "weight", "hash")  # kept in memory
PAGE = 1 << 16  # bytes of a column that are read at a time, where the table is read in stretches


@dataclass(frozen=True)
class ViewRows:
    """The views of one sample, arrays [V] each; `usable` is false for held-out views and views of weight 0."""

    owner: np.ndarray
    index: np.ndarray
    file: np.ndarray
    azimuth: np.ndarray
    elevation: np.ndarray
    held_out: np.ndarray
    usable: np.ndarray
    weight: np.ndarray
    hash: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.owner)


class Manifest:
    """An opened manifest. `samples` is a data frame, one row per sample; views are looked up by sample row."""

    def __init__(self, folder: Path, header: dict, samples: pd.DataFrame, views: dict[str, np.ndarray]) -> None:
        self.folder, self.header, self.samples, self.views = folder, header, samples, views
        self.stores: dict = {}  # opened by `dataset.store`
        usable = ~views["held_out"] & (views["weight"] > 0)
        self._usable = usable
        running = np.concatenate([[0], np.cumsum(usable, dtype=np.int64)])
        self._folders = samples["folder"].to_numpy(object)
        self._first, self._count = samples["first_view"].to_numpy(), samples["views"].to_numpy()
        self.usable_views = running[self._first + self._count] - running[self._first]

    @classmethod
    def open(cls, folder: str | Path) -> Manifest:
        """The manifest in `folder`.

        Raises:
            DataError: a file is missing or broken, written by another schema, or not of the same build.
        """
        folder = Path(folder)
        header = read_header(folder)
        with readable(folder, "manifest"):
            samples = _read_table(folder / SAMPLES_FILE, SAMPLES, None).to_pandas()
            views = numpy_columns(_read_table(folder / VIEWS_FILE, VIEWS, HOT_COLUMNS))
        check_counts(folder, header, len(samples), len(views["owner"]))
        return cls(folder, header, samples, views)

    @classmethod
    def open_verified(cls, folder: str | Path) -> Manifest:
        """The manifest in `folder`, if `mousefacelift dataset verify` has passed exactly this build."""
        folder = Path(folder)
        header = read_header(folder)
        verdict = read_json(folder / VERIFY_FILE, {"build?": str, "problems?": [str]}, "verdict")
        if verdict.get("build") != header["build"]:
            raise DataError(
                f"dataset {folder} was verified before its last build",
                got=str(verdict.get("build")),
                expected=header["build"],
                hint="mousefacelift dataset verify",
            )
        if not verdict.get("passed"):
            raise DataError(
                f"dataset {folder} did not pass verification",
                got="; ".join(verdict.get("problems", [])[:5]),
                hint="rebuild what it names, then mousefacelift dataset build and verify",
            )
        return cls.open(folder)

    def __len__(self) -> int:
        return len(self.samples)

    def pool(self, source: str, split: str, min_views: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Rows [n] of the accepted samples of a source and split with at least `min_views` usable views, and weights
        [n]."""
        if source not in SOURCES:
            raise DataError(f"source '{source}' is not known", expected=", ".join(SOURCES))
        table = self.samples
        chosen = (
            (table["source"] == source) & (table["split"] == split) & (table["decision"] == "accepted")
        ).to_numpy()
        rows = np.flatnonzero(chosen & (self.usable_views >= min_views))
        return rows, table["weight"].to_numpy()[rows].astype(np.float64)

    def view_counts(self, rows: list[int] | np.ndarray) -> np.ndarray:
        """Usable views [n] of samples."""
        return self.usable_views[rows]

    def folder_of(self, row: int) -> Path:
        """Folder of a sample."""
        return self.folder / self._folders[row]

    def views_of(self, row: int) -> ViewRows:
        """The views of a sample, its own first, then attached photos."""
        start = int(self._first[row])
        part = slice(start, start + int(self._count[row]))
        views = self.views
        return ViewRows(
            views["owner"][part],
            views["index"][part],
            views["file"][part],
            views["azimuth"][part],
            views["elevation"][part],
            views["held_out"][part],
            self._usable[part],
            views["weight"][part],
            tuple(bytes(h).hex() for h in views["hash"][part]),
        )

    def view_table(self, columns: list[str] | None = None) -> pd.DataFrame:
        """All columns, or some, of views.parquet as a data frame (reads the file; for reports, checks and exports)."""
        return _read_table(self.folder / VIEWS_FILE, VIEWS, columns).to_pandas()


def read_header(folder: str | Path) -> dict:
    """The parsed `dataset.json`; DataError when it is missing or of another schema version."""
    path = Path(folder) / HEADER_FILE
    header = read_json(path, dict, "manifest")
    if header.get("schema") != SCHEMA_VERSION:
        raise DataError(
            f"manifest {folder} has another schema version",
            got=header.get("schema"),
            expected=SCHEMA_VERSION,
            likely="written by another version of mousefacelift",
            hint="mousefacelift dataset build",
        )
    return read_json(path, {"build": str, "counts": {"samples": int, "view_rows": int}}, "manifest")


def check_counts(folder: Path, header: dict, samples: int, views: int) -> None:
    """Raise DataError where the tables of a manifest have other numbers of rows than its header says."""
    if samples != header["counts"]["samples"] or views != header["counts"]["view_rows"]:
        raise DataError(
            f"manifest {folder} is not of one build",
            got=f"{samples} samples, {views} views",
            expected=f"{header['counts']['samples']} and {header['counts']['view_rows']} of {HEADER_FILE}",
            hint="mousefacelift dataset build",
        )


def _read_table(path: Path, schema: pa.Schema, columns) -> pa.Table:
    with readable(path, "table"):
        _check_schema(path, pq.read_schema(path), schema)
        table = pq.read_table(path, columns=None if columns is None else list(columns), memory_map=True)
        table.validate(full=True)
        return table


def read_stretches(path: Path, schema: pa.Schema, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
    """Columns of a table of the manifest, `rows` rows at a time.

    Raises:
        DataError: broken, or of another schema.
    """
    with readable(path, "table"), pq.ParquetFile(path, buffer_size=PAGE) as file:
        _check_schema(path, file.schema_arrow, schema)
        for batch in file.iter_batches(rows, columns=list(columns)):
            table = pa.Table.from_batches([batch])
            table.validate(full=True)
            yield table


def _check_schema(path: Path, found: pa.Schema, schema: pa.Schema) -> None:
    version = (found.metadata or {}).get(b"mousefacelift_schema", b"none").decode()
    missing = [name for name in schema.names if name not in found.names]
    if version != str(SCHEMA_VERSION) or missing:
        raise DataError(
            f"table {path} has another schema",
            got=f"version {version}, missing {missing}",
            expected=f"version {SCHEMA_VERSION}",
            hint="mousefacelift dataset build",
        )


def numpy_columns(table: pa.Table) -> dict[str, Any]:
    """Plain numpy arrays of columns: words as objects by code, hashes as [rows, 16] bytes."""
    columns: dict[str, Any] = {}
    for name in table.column_names:
        column = table.column(name).unify_dictionaries().combine_chunks()
        if pa.types.is_dictionary(column.type):
            words = np.array(column.dictionary.to_pylist(), object)
            columns[name] = Words(column.indices.to_numpy(zero_copy_only=False), words)
        elif pa.types.is_fixed_size_binary(column.type):
            data = np.frombuffer(column.buffers()[1], np.uint8)
            columns[name] = data.reshape(-1, column.type.byte_width)[column.offset : column.offset + len(column)]
        else:
            columns[name] = column.to_numpy(zero_copy_only=False)
    return columns


@dataclass(frozen=True)
class Words:
    """A column of repeated strings: codes [n] into words."""

    codes: np.ndarray
    words: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, key):
        return self.words[self.codes[key]]
