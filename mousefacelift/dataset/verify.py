"""Verification: every file that the manifest lists is hashed again, in parallel, at the speed of the disk.

Writes `verify.json` beside the manifest (`mousefacelift dataset verify`): training opens only a dataset whose last
build passed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from mousefacelift.collector import spare_imports
from mousefacelift.core.files import write_text
from mousefacelift.core.samples import CAMERAS_FILE, view_hash
from mousefacelift.dataset.manifest import VERIFY_FILE, VIEWS_FILE, Manifest
from mousefacelift.dataset.schema import CAMERA_COLUMNS

FRAME_KEYS = ("w", "h", "fx", "fy", "cx", "cy")
BATCH = 256  # samples handed to a process at a time
STRETCH = 65_536  # view rows read at a time


def verify_dataset(folder: Path, jobs: int = 1, find_orphans: bool = True) -> dict:
    """Verdict on the manifest in `folder`, written to `verify.json`: passed, problems (one sentence each), files,
    bytes.

    Checks that every sample's `images` folder holds exactly the files listed, that every image, its camera and the
    whole camera file hash to what the manifest says, and that the manifest's camera numbers are those of the file. The
    view table is read once, in
    stretches: memory does not grow with it.
    """
    manifest = Manifest.open(folder)
    problems, files, size = [], 0, 0
    check = partial(_check_batch, root=str(folder), find_orphans=find_orphans)
    with tqdm(total=len(manifest), desc="verify", unit="sample", mininterval=1.0) as progress:
        for batch, (found, count, length) in _mapped(check, _tasks(manifest), jobs):
            problems += found
            files += count
            size += length
            progress.update(batch)
    if find_orphans:
        problems += _orphan_folders(manifest)
    verdict = {
        "build": manifest.header["build"],
        "passed": not problems,
        "files": files,
        "bytes": size,
        "problem_count": len(problems),
        "problems": problems[:1000],
    }
    write_text(folder / VERIFY_FILE, json.dumps(verdict, indent=1))
    return verdict


def _mapped(check, tasks: Iterator[list], jobs: int) -> Iterator[tuple]:
    """(number of samples, result) of every batch in order; at most a few batches wait at a time."""
    if jobs <= 1:
        for batch in tasks:
            yield len(batch), check(batch)
        return
    waiting: deque = deque()
    with ProcessPoolExecutor(jobs, get_context("spawn"), spare_imports) as pool:
        for batch in tasks:
            waiting.append((len(batch), pool.submit(check, batch)))
            if len(waiting) > 4 * jobs:
                count, result = waiting.popleft()
                yield count, result.result()
        for count, result in waiting:
            yield count, result.result()


def _tasks(manifest: Manifest) -> Iterator[list[tuple]]:
    """Batches of (folder, document hash, index [V], files [V], hashes [V, 16], camera numbers [V, 18]) of every
    sample."""
    folders, documents = manifest.samples["folder"].to_numpy(object), manifest.samples["document_hash"].to_numpy(object)
    batch = []
    for part in _own_views(manifest):
        starts = np.flatnonzero(np.diff(part["sample"], prepend=-1))
        for start, stop in zip(starts, [*starts[1:], len(part["sample"])]):
            row = part["sample"][start]
            batch.append(
                (
                    folders[row],
                    documents[row],
                    *(part[name][start:stop] for name in ("index", "file", "hash", "camera")),
                )
            )
            if len(batch) == BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


def _own_views(manifest: Manifest) -> Iterator[dict[str, np.ndarray]]:
    """Stretches of whole samples of the view table, attached photos left out, as arrays."""
    names = ["sample", "owner", "index", "file", "hash", *CAMERA_COLUMNS]
    rest = None
    with pq.ParquetFile(manifest.folder / VIEWS_FILE) as file:
        for rows in file.iter_batches(STRETCH, columns=names):
            table = pa.Table.from_batches([rows])
            table = table.set_column(
                names.index("file"), "file", table["file"].cast(pa.string())
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
    table = table.filter(pc.equal(table["sample"], table["owner"])).combine_chunks()
    hashes = np.frombuffer(b"".join(table["hash"].to_pylist()), np.uint8).reshape(-1, 16)
    return {
        "sample": table["sample"].to_numpy(),
        "index": table["index"].to_numpy(),
        "hash": hashes,
        "file": table["file"].to_numpy(zero_copy_only=False),
        "camera": np.stack([table[name].to_numpy().astype(np.float64) for name in CAMERA_COLUMNS], 1),
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


def _orphan_folders(manifest: Manifest) -> list[str]:
    """Sample folders that lie beside listed ones and are not listed."""
    listed: dict[str, set[str]] = {}
    for folder in manifest.samples["folder"]:
        parent, name = os.path.split(os.path.normpath(os.path.join(manifest.folder, folder)))
        listed.setdefault(parent, set()).add(name)
    return [
        f"{parent}/{entry.name}: sample folder not in the manifest"
        for parent in sorted(listed)
        for entry in sorted(os.scandir(parent), key=lambda entry: entry.name)
        if entry.name not in listed[parent]
        and not entry.name.startswith(".")
        and os.path.exists(f"{entry.path}/{CAMERAS_FILE}")
    ]
