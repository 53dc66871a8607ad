"""Where the loader's bytes come from: sample folders, or packed shards read by offset (`loader.store`).

Both give the same bytes of the same manifest rows, so tensors and hash checks do not depend on the choice. Shards suit
file systems that are slow with small files: one open file per shard, one `pread` per image.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Literal

import numpy as np
import pyarrow.parquet as pq

from mousefacelift.core.samples import read_document
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.errors import DataError

StoreName = Literal["folders", "shards"]
SHARDS_FOLDER, INDEX_FILE = "shards", "index.parquet"
DOCUMENTS_KEPT = 64  # parsed opencv_cameras.json kept per process


class FolderStore:
    """Documents and images of manifest rows from their sample folders."""

    def __init__(self, manifest: Manifest) -> None:
        self._folder_of = manifest.folder_of
        self._kept: OrderedDict[int, list[dict]] = OrderedDict()
        self._lock = Lock()

    def frames(self, row: int) -> list[dict]:
        """Frames of a sample's camera file; the last few are kept, since a sample's views share one."""
        with self._lock:
            if row in self._kept:
                self._kept.move_to_end(row)
                return self._kept[row]
        frames = self._read_frames(row)
        with self._lock:
            self._kept[row] = frames
            while len(self._kept) > DOCUMENTS_KEPT:
                self._kept.popitem(last=False)
        return frames

    def image(self, row: int, index: int, frame: dict) -> bytes:
        """The bytes of the image file of view `index`; `frame` is its entry in the camera file."""
        try:
            return (self._folder_of(row) / frame["file_path"]).read_bytes()
        except OSError as error:
            raise DataError(
                f"image {self.where(row, frame)} of the dataset cannot be read",
                got=str(error),
                hint="mousefacelift dataset verify lists everything that is missing",
            ) from error

    def where(self, row: int, frame: dict) -> str:
        """What errors call a view."""
        return str(self._folder_of(row) / frame["file_path"])

    def _read_frames(self, row: int) -> list[dict]:
        return read_document(self._folder_of(row))["frames"]

    def __getstate__(self) -> dict:
        return {name: value for name, value in vars(self).items() if name not in ("_kept", "_lock")}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state, _kept=OrderedDict(), _lock=Lock())


class ShardStore(FolderStore):
    """The same from the shards beside the manifest, by the offsets that `dataset pack` recorded.

    Raises:
        DataError: no shards, or shards of another build of the manifest.
    """

    def __init__(self, manifest: Manifest) -> None:
        super().__init__(manifest)
        self.folder = manifest.folder / SHARDS_FOLDER
        table, facts = read_index(self.folder)
        if facts["build"] != manifest.header["build"]:
            raise DataError(
                f"shards {self.folder} hold another build of the dataset",
                got=facts["build"],
                expected=manifest.header["build"],
                hint="mousefacelift dataset pack",
            )
        self.names = facts["shards"]
        self.shard, self.offset, self.size = (table[name].to_numpy() for name in ("shard", "offset", "size"))
        self.first = np.searchsorted(table["row"].to_numpy(), np.arange(len(manifest) + 1))
        self._open: dict[int, int] = {}

    def image(self, row: int, index: int, frame: dict) -> bytes:
        """The bytes of the image of view `index`, read in one call."""
        return self._read(row, 1 + index)

    def where(self, row: int, frame: dict) -> str:
        """What errors call a view: shard and member."""
        shard = self.names[self.shard[self.first[row]]]
        return f"{self.folder / shard}:{row:08d} ({frame['file_path']})"

    def _read_frames(self, row: int) -> list[dict]:
        try:
            return json.loads(self._read(row, 0))["frames"]
        except (ValueError, KeyError) as error:
            raise DataError(
                f"cameras of sample {row} in shards {self.folder} cannot be read",
                got=str(error),
                likely="a changed shard",
                hint="mousefacelift dataset pack",
            ) from error

    def _read(self, row: int, member: int) -> bytes:
        entry = self.first[row] + member
        if entry >= self.first[row + 1]:
            raise DataError(
                f"sample {row} (view {member - 1}) is not in shards {self.folder}",
                likely="a split that was not packed",
                hint="mousefacelift dataset pack",
            )
        shard, size = int(self.shard[entry]), int(self.size[entry])
        try:
            if shard not in self._open:
                self._open[shard] = os.open(self.folder / self.names[shard], os.O_RDONLY | os.O_CLOEXEC)
            data = os.pread(self._open[shard], size, int(self.offset[entry]))
        except OSError as error:
            raise DataError(
                f"shard {self.folder / self.names[shard]} cannot be read",
                got=str(error),
                hint="mousefacelift dataset pack",
            ) from error
        if len(data) != size:
            raise DataError(
                f"shard {self.folder / self.names[shard]} is cut short",
                got=f"{len(data)} bytes",
                expected=f"{size} at {self.offset[entry]}",
                hint="mousefacelift dataset pack",
            )
        return data

    def __getstate__(self) -> dict:
        return super().__getstate__() | {"_open": {}}

    def __del__(self) -> None:
        for descriptor in getattr(self, "_open", {}).values():
            os.close(descriptor)


STORES = {"folders": FolderStore, "shards": ShardStore}


def open_store(manifest: Manifest, name: StoreName) -> FolderStore:
    """The store called `name` of a manifest, opened once."""
    if name not in manifest.stores:
        manifest.stores[name] = STORES[name](manifest)
    return manifest.stores[name]


def read_index(folder: Path) -> tuple:
    """(table, facts) of the shards in `folder`: rows (row, index, shard, offset, size) by row and index, index -1 being
    the camera file.

    `facts`: build of the manifest, splits, names of the shards.
    """
    try:
        table = pq.read_table(folder / INDEX_FILE)
        return table, json.loads(table.schema.metadata[b"mousefacelift_shards"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"shards {folder} have no readable index",
            got=str(error),
            likely="not packed, or cut short",
            hint="mousefacelift dataset pack",
        ) from error
