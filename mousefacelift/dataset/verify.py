"""Verification: every file that the manifest lists is hashed again, in parallel, at the speed of the disk.

Writes `verify.json` beside the manifest (`mousefacelift dataset verify`): training opens only a dataset whose last
build passed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from mousefacelift.core.files import json_text, readable, write_text
from mousefacelift.core.samples import CAMERAS_FILE, view_hash
from mousefacelift.dataset.manifest import (
    HOT_COLUMNS,
    SAMPLES_FILE,
    VERIFY_FILE,
    VIEWS_FILE,
    check_counts,
    numpy_columns,
    read_header,
    read_stretches,
)
from mousefacelift.dataset.schema import CAMERA_COLUMNS, SAMPLES, VIEWS
from mousefacelift.processes import in_processes

FRAME_KEYS = ("w", "h", "fx", "fy", "cx", "cy")
BATCH = 256  # samples handed to a process at a time
STRETCH = 8192  # rows of a table read at a time


@dataclass(frozen=True)
class Listed:
    """The samples of a manifest: folders [n] relative to its own, and the hashes [n] of their camera files."""

    folder: Path
    header: dict
    folders: np.ndarray
    documents: np.ndarray

    @classmethod
    def open(cls, folder: Path) -> Listed:
        """The samples of the manifest in `folder`; DataError as `Manifest.open`."""
        header, parts = read_header(folder), []
        for table in read_stretches(folder / SAMPLES_FILE, SAMPLES, SAMPLES.names, STRETCH):
            parts.append([table[name].to_numpy(zero_copy_only=False) for name in ("folder", "document_hash")])
        folders, documents = (np.concatenate(column) for column in zip(*parts)) if parts else (np.zeros(0, object),) * 2
        with readable(folder / VIEWS_FILE, "table"):
            views = pq.read_metadata(folder / VIEWS_FILE).num_rows
        check_counts(folder, header, len(folders), views)
        return cls(folder, header, folders, documents)


def verify_dataset(folder: Path, jobs: int = 1, find_orphans: bool = True) -> dict:
    """Verdict on the manifest in `folder`, written to `verify.json`: passed, problems (one sentence each), files,
    bytes.

    Checks that every sample's `images` folder holds exactly the files listed, that every image, its camera and the
    whole camera file hash to what the manifest says, and that the manifest's camera numbers are those of the file. Both
    tables are read once, in stretches: memory grows by the names of the sample folders alone.
    """
    listed = Listed.open(Path(folder))
    problems, files, size = [], 0, 0
    check = partial(_check_batch, root=str(folder), find_orphans=find_orphans)
    with tqdm(total=len(listed.folders), desc="verify", unit="sample", mininterval=1.0) as progress:
        for batch, (found, count, length) in in_processes(check, _tasks(listed), jobs):
            problems += found
            files += count
            size += length
            progress.update(len(batch))
    if find_orphans:
        problems += _orphan_folders(listed)
    verdict = {
        "build": listed.header["build"],
        "passed": not problems,
        "files": files,
        "bytes": size,
        "problem_count": len(problems),
        "problems": problems[:1000],
    }
    write_text(folder / VERIFY_FILE, json_text(verdict, indent=1))
    return verdict


def _tasks(listed: Listed) -> Iterator[list[tuple]]:
    """Batches of (folder, document hash, index [V], files [V], hashes [V, 16], camera numbers [V, 18]) of every
    sample."""
    batch = []
    for part in _own_views(listed):
        starts = np.flatnonzero(np.diff(part["sample"], prepend=-1))
        for start, stop in zip(starts, [*starts[1:], len(part["sample"])]):
            row = part["sample"][start]
            own = (part[name][start:stop] for name in ("index", "file", "hash", "camera"))
            batch.append((listed.folders[row], listed.documents[row], *own))
            if len(batch) == BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


def _own_views(listed: Listed) -> Iterator[dict[str, np.ndarray]]:
    """Stretches of whole samples of the view table, attached photos left out, as arrays."""
    names = dict.fromkeys(["sample", "owner", "index", "file", "hash", *CAMERA_COLUMNS, *HOT_COLUMNS])
    rest = None
    for table in read_stretches(listed.folder / VIEWS_FILE, VIEWS, [*names], STRETCH):
        table = table.set_column(
            table.column_names.index("file"), "file", table["file"].cast(pa.string())
        )  # one dictionary per stretch
        table = table if rest is None else pa.concat_tables([rest, table])
        sample = table["sample"].to_numpy()
        whole = int(np.searchsorted(sample, sample[-1]))  # the last sample may go on in the next stretch
        if whole:
            yield _arrays(table.slice(0, whole))
        rest = table.slice(whole)
    if rest is not None:
        yield _arrays(rest)


def _arrays(table: pa.Table) -> dict[str, np.ndarray]:
    table = table.filter(pc.equal(table["sample"], table["owner"]))
    table = table.set_column(table.column_names.index("file"), "file", table["file"].dictionary_encode())
    columns = numpy_columns(table.select(["sample", "index", "file", "hash", *CAMERA_COLUMNS]))
    return {
        "sample": columns["sample"],
        "index": columns["index"],
        "hash": columns["hash"],
        "file": columns["file"].words[columns["file"].codes],
        "camera": np.stack([columns[name].astype(np.float64) for name in CAMERA_COLUMNS], 1),
    }


def _check_batch(batch: list[tuple], root: str, find_orphans: bool) -> tuple[list[str], int, int]:
    problems, files, size = [], 0, 0
    for folder, document_hash, index, names, hashes, cameras in batch:
        views = list(zip(index.tolist(), names, (digest.tobytes().hex() for digest in hashes), cameras.tolist()))
        found, count, length = check_folder(
            os.path.normpath(os.path.join(root, folder)), document_hash, views, find_orphans
        )
        problems += found
        files += count
        size += length
    return problems, files, size


def check_folder(
    folder: str, document_hash: str, views: list[tuple], find_orphans: bool = True
) -> tuple[list[str], int, int]:
    """Problems of one sample folder, and how many files and bytes were read.

    Args:
        views: (index in the camera file, image file, hash, camera numbers in the order of CAMERA_COLUMNS).
    """
    document = f"{folder}/{CAMERAS_FILE}"
    try:
        data = _read(document)
    except OSError:
        return [f"{document}: missing"], 0, 0
    problems = []
    if hashlib.sha256(data).hexdigest()[:32] != document_hash:
        problems.append(f"{document}: changed")
    try:
        frames = json.loads(data)["frames"]
    except (ValueError, KeyError, TypeError):
        return [f"{document}: changed, no longer readable"], 1, len(data)
    files, size = 1, len(data)
    for index, name, digest, camera in views:
        path = f"{folder}/{name}"
        try:
            image = _read(path)
        except OSError:
            problems.append(f"{path}: missing")
            continue
        files, size = files + 1, size + len(image)
        frame = frames[index] if index < len(frames) else None
        if frame is None or frame.get("file_path") != name:
            problems.append(f"{document}: view {index} is not {name}")
        elif view_hash(image, frame) != digest:
            problems.append(f"{path}: image or camera changed")
        elif _numbers(frame) != camera:
            problems.append(f"{path}: the manifest's camera is not the file's")
    return problems + (_extra_images(folder, {name for _, name, _, _ in views}) if find_orphans else []), files, size


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as stream:
        return stream.read()


def _extra_images(folder: str, listed: set[str]) -> list[str]:
    try:
        names = os.listdir(f"{folder}/images")
    except OSError:
        return []  # every image of it is named as missing
    return [f"{folder}/images/{name}: not in the manifest" for name in sorted(names) if f"images/{name}" not in listed]


def _numbers(frame: dict) -> list[float]:
    """Camera numbers of a frame in the order of CAMERA_COLUMNS."""
    return [float(frame[key]) for key in FRAME_KEYS] + [float(x) for row in frame["w2c"][:3] for x in row]


def _orphan_folders(listed: Listed) -> list[str]:
    """Sample folders that lie beside listed ones and are not listed."""
    names: dict[str, set[str]] = {}
    for folder in listed.folders:
        parent, name = os.path.split(os.path.normpath(os.path.join(listed.folder, folder)))
        names.setdefault(parent, set()).add(name)
    return [
        f"{parent}/{entry.name}: sample folder not in the manifest"
        for parent in sorted(names)
        for entry in sorted(os.scandir(parent), key=lambda entry: entry.name)
        if entry.name not in names[parent]
        and not entry.name.startswith(".")
        and os.path.exists(f"{entry.path}/{CAMERAS_FILE}")
    ]
