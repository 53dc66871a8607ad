"""Speed of the dataset stage: opening a large manifest, writing, hashing and verifying against a plain copy, decoding.

python benchmarks/dataset.py                  all; about a minute on two cores
python benchmarks/dataset.py manifest files loader sampler
python benchmarks/dataset.py scale     80,000 sample folders of 32 views, each file opened and hashed; some minutes
python benchmarks/dataset.py scale 8000       the same with fewer
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from mousefacelift.core.cameras import canonical_fxfycxcy, orbit
from mousefacelift.core.records import SampleFacts
from mousefacelift.core.samples import Sample, View, write_sample
from mousefacelift.core.splits import Splits
from mousefacelift.dataset.build import build_dataset, to_arrow, write_manifest
from mousefacelift.dataset.config import DatasetConfig, GateConfig, LoaderConfig
from mousefacelift.dataset.loader import load_sample
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.dataset.mixture import MixtureSampler
from mousefacelift.dataset.rows import scan_index
from mousefacelift.dataset.schema import SAMPLE_FIELDS, SAMPLES, SCHEMA_VERSION, VIEW_FIELDS, VIEWS
from mousefacelift.dataset.shards import write_shards
from mousefacelift.dataset.verify import verify_dataset

NO_SPLITS = Splits({})


def synthetic_manifest(folder: Path, samples: int = 81_250, views: int = 32) -> int:
    """A manifest of synthetic rows in `folder`; returns the number of view rows."""
    rng, total = np.random.default_rng(0), samples * views
    rows = pd.DataFrame({name: "" for name, _, _ in SAMPLE_FIELDS}, index=range(samples))
    rows = rows.assign(
        folder=[f"../objects/samples/{i // 50:06d}/o{i:06d}" for i in range(samples)],
        source="object",
        recording=[f"o{i:06d}" for i in range(samples)],
        frame=0,
        time_s=np.nan,
        split="train",
        weight=1.0,
        first_view=np.arange(samples) * views,
        views=views,
        decision="accepted",
        document_bytes=4000,
        document_hash=[f"{i:032x}" for i in range(samples)],
    )
    for name in ("containment_worst", "containment_mean", "hull_iou", "outside_share", "border_share"):
        rows[name] = rng.random(samples)
    numbers = {name: rng.random(total) for name, kind, _ in VIEW_FIELDS if str(kind) in ("double", "float")}
    owner, view = np.repeat(np.arange(samples), views), np.tile(np.arange(views), samples)
    names = np.array([f"images/cam_{i:03d}.png" for i in range(views)], object)
    digests = rng.bytes(16 * total)
    table = pd.DataFrame(
        numbers
        | {
            "sample": owner,
            "view": view,
            "owner": owner,
            "index": view,
            "file": names[view],
            "source": "object",
            "camera": -1,
            "held_out": False,
            "protocol": "train",
            "width": 512,
            "height": 512,
            "parents": "",
            "generator": "",
            "seed": -1,
            "bytes": 60_000,
            "hash": [digests[i : i + 16] for i in range(0, 16 * total, 16)],
        }
    )
    header = {"schema": SCHEMA_VERSION, "build": "synthetic", "counts": {"samples": samples, "view_rows": total}}
    write_manifest(folder, rows[SAMPLES.names], [to_arrow(table[VIEWS.names], VIEWS)], header)
    return total


def bench_manifest(root: Path) -> None:
    total = synthetic_manifest(root)
    size = sum(path.stat().st_size for path in root.iterdir()) / 1e6
    times = []
    for _ in range(3):
        start = time.perf_counter()
        manifest = Manifest.open(root)
        manifest.pool("object", "train", 5)
        times.append(time.perf_counter() - start)
    print(
        f"manifest: {total} view rows, {size:.0f} MB, opens with a pool of {len(manifest)} samples in {min(times):.2f} "
        "s "
        f"(of 3: {', '.join(f'{t:.2f}' for t in times)})"
    )


def write_samples(root: Path, count: int, views: int, size: int) -> tuple[Path, float, int]:
    """A chunk of textured balls; returns its index, the seconds that writing took and its bytes."""
    rng = np.random.default_rng(0)
    cameras = [orbit(i * 360 / views, 20, 2.7, canonical_fxfycxcy(size), size, size) for i in range(views)]
    y, x = np.mgrid[:size, :size] - size / 2 + 0.5
    alpha = np.clip(size * 0.2 - np.hypot(x, y) + 0.5, 0, 1)
    rgb = np.clip(0.4 + 0.2 * rng.standard_normal((size, size, 3)), 0, 1) * (alpha[..., None] > 0)
    rgba = np.concatenate([rgb, alpha[..., None]], -1).astype(np.float32)
    start = time.perf_counter()
    for number in range(count):
        facts = SampleFacts("object", asset=f"o{number}", licence="CC0-1.0", config_hash="benchmark")
        write_sample(root / f"o{number:04d}", Sample(tuple(View(rgba, camera) for camera in cameras), facts))
    elapsed = time.perf_counter() - start
    (root / "index.json").write_text(
        json.dumps({"key": "", "header": {}, "items": [{"name": f"o{n:04d}", "views": views} for n in range(count)]})
    )
    return root / "index.json", elapsed, sum(p.stat().st_size for p in root.rglob("*.png"))


def bench_files(root: Path) -> None:
    for size, count in ((128, 60), (512, 8)):
        chunk = root / f"chunk{size}"
        index, seconds, total = write_samples(chunk, count, 32, size)
        start = time.perf_counter()
        shutil.copytree(chunk, root / f"copy{size}")
        copied = time.perf_counter() - start
        scan_index(index, GateConfig())  # compiled code is loaded
        start = time.perf_counter()
        build_dataset([index], NO_SPLITS, root / f"dataset{size}", DatasetConfig(gate=GateConfig()))
        built = time.perf_counter() - start
        start = time.perf_counter()
        verdict = verify_dataset(root / f"dataset{size}")
        verified = time.perf_counter() - start
        assert verdict["passed"]
        print(
            f"files {size} px: {count} x 32 views, {total / 1e6:.1f} MB; write {total / 1e6 / seconds:.1f} MB/s (PNG "
            "coding "
            f"{count * 32 / seconds:.0f} views/s), build with gate {total / 1e6 / built:.1f} MB/s "
            f"({count * 32 / built:.0f} views/s), "
            f"verify {verdict['bytes'] / 1e6 / verified:.0f} MB/s, plain copy {total / 1e6 / copied:.0f} MB/s (one "
            "process)"
        )


def bench_scale(root: Path, samples: int = 80_000, distinct: int = 300) -> None:
    """Verification at the planned size: `samples` folders whose files are hard links to those of `distinct` samples.

    Every folder is listed, every file opened, hashed and compared as in a real data set; only the disk is spared.
    """
    index, _, _ = write_samples(root / "chunk", distinct, 32, 128)
    build_dataset([index], NO_SPLITS, root / "small", DatasetConfig())
    small = Manifest.open(root / "small")
    start = time.perf_counter()
    for row in range(samples):
        source, target = small.folder_of(row % distinct), root / f"many/{row // 100:04d}/{row:06d}"
        (target / "images").mkdir(parents=True)
        os.link(source / "opencv_cameras.json", target / "opencv_cameras.json")
        for view in range(32):
            os.link(source / f"images/cam_{view:03d}.png", target / f"images/cam_{view:03d}.png")
    print(f"scale: {samples} folders linked in {time.perf_counter() - start:.0f} s")
    pick = np.arange(samples) % distinct
    table = small.samples.iloc[pick].reset_index(drop=True)
    table["folder"] = [f"../many/{row // 100:04d}/{row:06d}" for row in range(samples)]
    table["first_view"] = np.arange(samples) * 32
    views = small.view_table().iloc[(pick[:, None] * 32 + np.arange(32)).ravel()].reset_index(drop=True)
    views["sample"] = views["owner"] = np.repeat(np.arange(samples), 32)
    counts = {"samples": samples, "view_rows": 32 * samples}
    (root / "large").mkdir()
    header = {"schema": SCHEMA_VERSION, "build": "scale", "counts": counts}
    write_manifest(root / "large", table, [to_arrow(views, VIEWS)], header)
    del table, views
    for jobs in (1, 2):
        start = time.perf_counter()
        verdict = in_process(verify_dataset, root / "large", jobs)
        seconds = time.perf_counter() - start
        assert verdict["passed"] and verdict["files"] == 33 * samples, verdict["problems"][:3]
        print(
            f"scale: {samples} samples, {32 * samples} views, {verdict['bytes'] / 1e9:.1f} GB verified in "
            f"{seconds:.0f} s with {jobs} "
            f"process(es): {32 * samples / seconds:.0f} views/s, {verdict['bytes'] / 1e6 / seconds:.0f} MB/s; largest "
            "process "
            f"{verdict['peak'] / 1e6:.2f} GB",
            flush=True,
        )


def in_process(verify, folder: Path, jobs: int) -> dict:
    """The verdict and the peak memory (kB) of a fresh process that verifies."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(verify_and_measure, verify, folder, jobs).result()


def verify_and_measure(verify, folder: Path, jobs: int) -> dict:
    verdict = verify(folder, jobs)
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return verdict | {"peak": max(peaks)}


def bench_loader(root: Path) -> None:
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    index, _, _ = write_samples(root / "chunk", 60, 32, 128)
    build_dataset([index], NO_SPLITS, root / "dataset", DatasetConfig())
    manifest = Manifest.open(root / "dataset")
    write_shards(manifest)
    sampler = MixtureSampler(manifest, "100-0", 0, steps=10_000, batch_size=1, inputs=(4, 4), min_views=8)
    for store in ("folders", "shards"):
        for label, augment in (("augmented", True), ("plain", False)):
            views, start, busy = 0, time.perf_counter(), time.process_time()
            for step in range(10_000):
                sample = load_sample(manifest, sampler.draw(step)[0], LoaderConfig(store=store), augment=augment)
                views += len(torch.unique(sample["index"][:, 0]))
                if time.perf_counter() - start > 5:
                    break
            print(
                f"loader: {views / (time.process_time() - busy):.0f} distinct 128 px views per second of one core "
                f"({views / (time.perf_counter() - start):.0f} by the clock), {label}, from {store}, hashes checked"
            )


def bench_sampler(_: Path) -> None:
    class Pool:
        def pool(self, source, split, min_views=0):
            return np.arange(80_000), np.ones(80_000)

        def view_counts(self, rows):
            return np.full(len(rows), 32)

    sampler = MixtureSampler(Pool(), "80-20", 0, steps=200_000, batch_size=64)
    start = time.perf_counter()
    sampler.draw(199_999)
    print(f"sampler: seek to step 199,999 of 200,000 with batch 64 in {time.perf_counter() - start:.2f} s", end="; ")
    start = time.perf_counter()
    for step in range(1000):
        sampler.draw(step)
    print(f"{1000 / (time.perf_counter() - start):.0f} steps/s")


BENCHES = {"manifest": bench_manifest, "files": bench_files, "loader": bench_loader, "sampler": bench_sampler}

if __name__ == "__main__":
    if sys.argv[1:2] == ["scale"]:
        with tempfile.TemporaryDirectory() as folder:
            bench_scale(Path(folder), *map(int, sys.argv[2:]))
        sys.exit()
    for chosen in sys.argv[1:] or BENCHES:
        with tempfile.TemporaryDirectory() as folder:
            BENCHES[chosen](Path(folder))
