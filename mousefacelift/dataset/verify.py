"""Verification: every file that the manifest lists is hashed again, in parallel, at the speed of the disk.

Writes `verify.json` beside the manifest (`mousefacelift dataset verify`): training opens only a dataset whose last build passed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from mousefacelift.core.images import write_text
from mousefacelift.core.samples import CAMERAS_FILE, view_hash
from mousefacelift.dataset.manifest import VERIFY_FILE, Manifest
from mousefacelift.dataset.schema import CAMERA_COLUMNS, W2C_COLUMNS

FRAME_KEYS = ("w", "h", "fx", "fy", "cx", "cy")
BATCH = 256  # samples handed to a process at a time


def verify_dataset(folder: Path, jobs: int = 1, find_orphans: bool = True) -> dict:
    """Verdict on the manifest in `folder`, written to `verify.json`: passed, problems (one sentence each), files, bytes.

    Checks that every sample's `images` folder holds exactly the files listed, that every image, its camera and the whole camera file hash
    to what the manifest says, and that the manifest's camera numbers are those of the file.
    """
    manifest = Manifest.open(folder)
    problems, files, size = [], 0, 0
    tasks = list(_tasks(manifest))
    check = partial(_check_batch, root=folder, find_orphans=find_orphans)
    for found, count, length in tqdm(_mapped(check, tasks, jobs), total=len(tasks), desc="verify", unit="batch", mininterval=1.0):
        problems += found
        files += count
        size += length
    if find_orphans:
        problems += _orphan_folders(manifest)
    verdict = {"build": manifest.header["build"], "passed": not problems, "files": files, "bytes": size,
               "problem_count": len(problems), "problems": problems[:1000]}
    write_text(folder / VERIFY_FILE, json.dumps(verdict, indent=1))
    return verdict


def _mapped(check, tasks: list, jobs: int) -> Iterator:
    if jobs <= 1 or len(tasks) <= 1:
        yield from map(check, tasks)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(check, tasks)


def _tasks(manifest: Manifest) -> Iterator[list[tuple]]:
    """Batches of (folder, document hash, [(index, file, hash, camera numbers)]) of every sample."""
    views = manifest.view_table(["sample", "owner", "index", "file", "hash", *CAMERA_COLUMNS])
    own = (views["owner"] == views["sample"]).to_numpy()
    views = views[own]
    starts = np.searchsorted(views["sample"].to_numpy(), np.arange(len(manifest) + 1))
    cameras = views[list(CAMERA_COLUMNS)].to_numpy(np.float64)
    index, files, hashes = views["index"].to_numpy(), views["file"].astype(object).to_numpy(), views["hash"].to_numpy()
    folders, documents = manifest.samples["folder"].to_numpy(), manifest.samples["document_hash"].to_numpy()
    batch = []
    for row in range(len(manifest)):
        part = slice(starts[row], starts[row + 1])
        batch.append((folders[row], documents[row], index[part], files[part], hashes[part], cameras[part]))
        if len(batch) == BATCH or row == len(manifest) - 1:
            yield batch
            batch = []


def _check_batch(batch: list[tuple], root: Path, find_orphans: bool) -> tuple[list[str], int, int]:
    problems, files, size = [], 0, 0
    for folder, document_hash, index, names, hashes, cameras in batch:
        views = list(zip(index, names, hashes, cameras))
        found, count, length = check_folder((root / folder).resolve(), document_hash, views, find_orphans)
        problems += found
        files += count
        size += length
    return problems, files, size


def check_folder(folder: Path, document_hash: str, views: list[tuple], find_orphans: bool = True) -> tuple[list[str], int, int]:
    """Problems of one sample folder, and how many files and bytes were read.

    Args:
        views: (index in the camera file, image file, 16 hash bytes, camera numbers in the order of CAMERA_COLUMNS).
    """
    document = folder / CAMERAS_FILE
    try:
        data = document.read_bytes()
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
        path = folder / name
        try:
            image = path.read_bytes()
        except OSError:
            problems.append(f"{path}: missing")
            continue
        files, size = files + 1, size + len(image)
        frame = frames[index] if index < len(frames) else None
        if frame is None or frame.get("file_path") != name:
            problems.append(f"{document}: view {index} is not {name}")
        elif view_hash(image, frame) != bytes(digest).hex():
            problems.append(f"{path}: image or camera changed")
        elif not np.array_equal(_numbers(frame), camera):
            problems.append(f"{path}: the manifest's camera is not the file's")
    if find_orphans:
        listed = {str(name) for _, name, _, _ in views}
        problems += [f"{path}: not in the manifest" for path in sorted((folder / "images").glob("*"))
                     if f"images/{path.name}" not in listed]
    return problems, files, size


def _numbers(frame: dict) -> np.ndarray:
    return np.array([frame[key] for key in FRAME_KEYS] + [frame["w2c"][int(n[4])][int(n[5])] for n in W2C_COLUMNS], np.float64)


def _orphan_folders(manifest: Manifest) -> list[str]:
    """Sample folders that lie beside listed ones and are not listed."""
    folders = pd.Series([str((manifest.folder / folder).resolve()) for folder in manifest.samples["folder"]])
    listed, problems = set(folders), []
    for parent in sorted({str(Path(folder).parent) for folder in folders}):
        for entry in sorted(Path(parent).iterdir()):
            if (entry / CAMERAS_FILE).exists() and str(entry) not in listed and not entry.name.startswith("."):
                problems.append(f"{entry}: sample folder not in the manifest")
    return problems
