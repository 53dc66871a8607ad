"""Packed shards for file systems that are slow with small files: webdataset tar files, written and read by webdataset.

One record is one whole sample: `<row>.cameras.json` (the sample's opencv_cameras.json, byte for byte) and
`<row>.cam_000.png ...` (the images, byte for byte). Nothing is coded again, so hashes stay true.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mousefacelift.core.cameras import Camera
from mousefacelift.core.images import decode_rgba
from mousefacelift.core.samples import CAMERAS_FILE, Sample, View, view_hash
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.errors import DataError

MAX_BYTES = 1_000_000_000


def write_shards(manifest: Manifest, out: Path, split: str = "train", max_bytes: int = MAX_BYTES) -> list[Path]:
    """Pack the accepted samples of a split, in an order shuffled once, into `out/<split>-000000.tar ...`; returns the paths."""
    import webdataset

    table = manifest.samples
    rows = np.flatnonzero(((table["split"] == split) & (table["decision"] == "accepted")).to_numpy())
    if not len(rows):
        raise DataError(f"split '{split}' has no accepted sample to pack")
    out.mkdir(parents=True, exist_ok=True)
    try:
        with webdataset.ShardWriter(str(out / f".{split}-%06d.tar.tmp"), maxsize=max_bytes, maxcount=1_000_000, verbose=0) as sink:
            for row in np.random.default_rng(0).permutation(rows):
                sink.write(_record(int(row), manifest.folder_of(int(row))))
    except OSError as error:
        for path in out.glob(f".{split}-*.tar.tmp"):
            path.unlink()
        raise DataError(f"shards {out} cannot be written", got=str(error), likely="a full disk") from error
    paths = []
    for path in sorted(out.glob(f".{split}-*.tar.tmp")):
        paths.append(path.rename(out / path.name[1:].removesuffix(".tmp")))
    return paths


def _record(row: int, folder: Path) -> dict:
    record = {"__key__": f"{row:08d}", "cameras.json": (folder / CAMERAS_FILE).read_bytes()}
    for frame in json.loads(record["cameras.json"])["frames"]:
        record[Path(frame["file_path"]).name] = (folder / frame["file_path"]).read_bytes()
    return record


def read_shards(shards: list[Path]) -> Iterator[tuple[int, Sample]]:
    """(manifest row, sample) of every record; each image and camera is checked against its recorded hash.

    Raises:
        DataError: an image is missing or differs.
    """
    import webdataset

    for record in webdataset.WebDataset([str(path) for path in shards], shardshuffle=False, empty_check=False):
        document = json.loads(record["cameras.json"])
        views = []
        for frame in document["frames"]:
            name = Path(frame["file_path"]).name
            where = f"{record['__url__']}:{record['__key__']}.{name}"
            if name not in record:
                raise DataError(f"image {where} is missing from its shard")
            if view_hash(record[name], frame) != frame.get("hash"):
                raise DataError(f"image {where} or its camera differs from what was packed")
            views.append(View(decode_rgba(record[name], where), Camera.from_frame(frame), frame.get("meta", {})))
        yield int(record["__key__"]), Sample(tuple(views), document.get("meta", {}))
