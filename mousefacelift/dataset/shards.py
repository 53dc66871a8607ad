"""Packed shards for file systems that are slow with small files: webdataset tar files, written and read by webdataset.

One record is one whole sample: `<row>.cameras.json` (the sample's opencv_cameras.json, byte for byte) and
`<row>.cam_000.png ...` (the images in the camera file's order, byte for byte). Nothing is coded again, so hashes stay
true. The loader reads them by the offsets of `index.parquet` (`dataset/store.py`); any webdataset reader reads them in
sequence.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mousefacelift.core.files import json_text, sync, via
from mousefacelift.core.samples import CAMERAS_FILE
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.dataset.store import INDEX_FILE, SHARDS_FOLDER
from mousefacelift.errors import ConfigError, DataError
from mousefacelift.locks import one_writer

MAX_BYTES = 1_000_000_000


def write_shards(manifest: Manifest, splits: Sequence[str] = ("train",), max_bytes: int = MAX_BYTES) -> list[Path]:
    """Pack the accepted samples of `splits`, in an order shuffled once, into `shards/` beside the manifest; returns the
    paths.

    `shards/index.parquet` says where in which tar every file lies; it is written last, and the shards of an older pack
    are removed after it.
    """
    out, table = manifest.folder / SHARDS_FOLDER, manifest.samples
    rows = np.flatnonzero((table["split"].isin(list(splits)) & (table["decision"] == "accepted")).to_numpy())
    if not len(rows):
        raise DataError(f"splits {', '.join(splits)} have no accepted sample to pack")
    out.mkdir(parents=True, exist_ok=True)
    with one_writer(out):
        return _write(manifest, rows, list(splits), out, max_bytes)


def _write(manifest: Manifest, rows: np.ndarray, splits: list[str], out: Path, max_bytes: int) -> list[Path]:
    try:
        import webdataset
    except ImportError as error:
        raise ConfigError(
            "packing needs the package webdataset", got=str(error), hint="pip install 'mousefacelift[shards]'"
        ) from error

    name = f"{manifest.header['build']}-%06d.tar"
    try:
        with webdataset.ShardWriter(
            str(out / f".{name}.tmp"), maxsize=max_bytes, maxcount=1_000_000, verbose=0
        ) as sink:
            for row in np.random.default_rng(0).permutation(rows):
                sink.write(_record(int(row), manifest.folder_of(int(row))))
        made = sorted(out.glob(f".{manifest.header['build']}-*.tar.tmp"))
        paths = [out / path.name[1:].removesuffix(".tmp") for path in made]
        index = _index([path.name for path in paths], made, manifest.header["build"], splits)
        for path, final in zip(made, paths):
            sync(path)
            path.replace(final)
        with via(out / INDEX_FILE) as temporary:
            pq.write_table(index, temporary)
    except OSError as error:
        raise DataError(
            f"shards {out} cannot be written",
            got=str(error),
            likely="a full disk or a read-only folder",
            hint="free space and rerun; shards that were there are kept",
        ) from error
    finally:
        for path in _own(out, "tmp"):
            path.unlink()
    for stale in set(_own(out, "")) - set(paths):
        stale.unlink()
    return paths


def _own(folder: Path, suffix: str) -> list[Path]:
    """Files of `folder` that a pack wrote, whole (`suffix` "") or in parts ("tmp"); others are nobody's to remove."""
    pattern = re.compile(r"\.[0-9a-f]+-\d{6}\.tar\.tmp" if suffix else r"[0-9a-f]+-\d{6}\.tar")
    return [path for path in folder.iterdir() if pattern.fullmatch(path.name)]


def _index(names: list[str], files: list[Path], build: str, splits: list[str]) -> pa.Table:
    """Table (row, index, shard, offset, size) of every member, by row and index (-1: the camera file)."""
    entries = []
    for shard, path in enumerate(files):
        with tarfile.open(path) as tar:
            for member in tar:
                row, name = member.name.split(".", 1)
                index = -1 if name == "cameras.json" else int(name.removeprefix("cam_").removesuffix(".png"))
                entries.append((int(row), index, shard, member.offset_data, member.size))
    columns = np.array(sorted(entries), np.int64).T
    facts = {"build": build, "splits": splits, "shards": names}
    table = pa.table(dict(zip(("row", "index", "shard", "offset", "size"), columns)))
    return table.replace_schema_metadata({"mousefacelift_shards": json_text(facts)})


def _record(row: int, folder: Path) -> dict:
    record: dict[str, Any] = {"__key__": f"{row:08d}", "cameras.json": (folder / CAMERAS_FILE).read_bytes()}
    for index, frame in enumerate(json.loads(record["cameras.json"])["frames"]):
        record[f"cam_{index:03d}.png"] = (folder / frame["file_path"]).read_bytes()
    return record
