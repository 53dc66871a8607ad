"""Speed of the dataset stage: opening a large manifest, writing, hashing and verifying against a plain copy, decoding.

    python benchmarks/dataset.py                  all; about a minute on two cores
    python benchmarks/dataset.py manifest files loader sampler
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from mousefacelift.core.cameras import canonical_fxfycxcy, orbit
from mousefacelift.core.samples import Sample, View, write_sample
from mousefacelift.dataset.build import build_dataset, write_manifest
from mousefacelift.dataset.config import DatasetConfig, GateConfig, LoaderConfig
from mousefacelift.dataset.loader import load_sample
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.dataset.mixture import MixtureSampler
from mousefacelift.dataset.schema import SAMPLE_FIELDS, SCHEMA_VERSION, VIEW_FIELDS
from mousefacelift.dataset.verify import verify_dataset


def synthetic_manifest(folder: Path, samples: int = 81_250, views: int = 32) -> int:
    """A manifest of synthetic rows in `folder`; returns the number of view rows."""
    rng, total = np.random.default_rng(0), samples * views
    rows = pd.DataFrame({name: "" for name, _, _ in SAMPLE_FIELDS}, index=range(samples))
    rows = rows.assign(folder=[f"../objects/samples/{i // 50:06d}/o{i:06d}" for i in range(samples)], source="object",
                       recording=[f"o{i:06d}" for i in range(samples)], frame=0, time_s=np.nan, split="train", weight=1.0,
                       first_view=np.arange(samples) * views, views=views, decision="accepted", document_bytes=4000,
                       document_hash=[f"{i:032x}" for i in range(samples)])
    for name in ("containment_worst", "containment_mean", "hull_iou", "outside_share", "border_share"):
        rows[name] = rng.random(samples)
    numbers = {name: rng.random(total) for name, kind, _ in VIEW_FIELDS if str(kind) in ("double", "float")}
    owner, view = np.repeat(np.arange(samples), views), np.tile(np.arange(views), samples)
    names = np.array([f"images/cam_{i:03d}.png" for i in range(views)], object)
    digests = rng.bytes(16 * total)
    table = pd.DataFrame(numbers | {
        "sample": owner, "view": view, "owner": owner, "index": view, "file": names[view], "source": "object", "camera": -1,
        "held_out": False, "protocol": "train", "width": 512, "height": 512, "parents": "", "generator": "", "seed": -1,
        "bytes": 60_000, "hash": [digests[i:i + 16] for i in range(0, 16 * total, 16)]})
    header = {"schema": SCHEMA_VERSION, "build": "synthetic", "counts": {"samples": samples, "view_rows": total}}
    write_manifest(folder, rows[[n for n, _, _ in SAMPLE_FIELDS]], table[[n for n, _, _ in VIEW_FIELDS]], header)
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
    print(f"manifest: {total} view rows, {size:.0f} MB, opens with a pool of {len(manifest)} samples in {min(times):.2f} s "
          f"(of 3: {', '.join(f'{t:.2f}' for t in times)})")


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
        meta = {"source": "object", "asset": f"o{number}", "licence": "CC0-1.0"}
        write_sample(root / f"o{number:04d}", Sample(tuple(View(rgba, camera) for camera in cameras), meta))
    elapsed = time.perf_counter() - start
    (root / "index.json").write_text(json.dumps({"key": "", "header": {}, "items": [{"name": f"o{n:04d}"} for n in range(count)]}))
    return root / "index.json", elapsed, sum(p.stat().st_size for p in root.rglob("*.png"))


def bench_files(root: Path) -> None:
    for size, count in ((128, 60), (512, 8)):
        chunk = root / f"chunk{size}"
        index, seconds, total = write_samples(chunk, count, 32, size)
        start = time.perf_counter()
        shutil.copytree(chunk, root / f"copy{size}")
        copied = time.perf_counter() - start
        splits = {"recordings": {}, "facts": {}, "held_out_camera": None}
        start = time.perf_counter()
        build_dataset([index], splits, root / f"dataset{size}", DatasetConfig(gate=GateConfig()))
        built = time.perf_counter() - start
        start = time.perf_counter()
        verdict = verify_dataset(root / f"dataset{size}")
        verified = time.perf_counter() - start
        assert verdict["passed"]
        print(f"files {size} px: {count} x 32 views, {total / 1e6:.1f} MB; write {total / 1e6 / seconds:.1f} MB/s (PNG coding "
              f"{count * 32 / seconds:.0f} views/s), build with gate {count * 32 / built:.0f} views/s, verify "
              f"{verdict['bytes'] / 1e6 / verified:.0f} MB/s, plain copy {total / 1e6 / copied:.0f} MB/s (one process)")


def bench_loader(root: Path) -> None:
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    index, _, _ = write_samples(root / "chunk", 60, 32, 128)
    build_dataset([index], {"recordings": {}, "facts": {}, "held_out_camera": None}, root / "dataset", DatasetConfig())
    manifest = Manifest.open(root / "dataset")
    sampler = MixtureSampler(manifest, "100-0", 0, steps=10_000, batch_size=1, inputs=(4, 4), min_views=8)
    for label, config, augment in (("augmented", LoaderConfig(), True), ("plain", LoaderConfig(), False)):
        views, start, busy = 0, time.perf_counter(), time.process_time()
        for step in range(10_000):
            sample = load_sample(manifest, sampler.draw(step)[0], config, augment=augment)
            views += len(torch.unique(sample["index"][:, 0]))
            if time.perf_counter() - start > 5:
                break
        print(f"loader: {views / (time.process_time() - busy):.0f} distinct 128 px views per second of one core "
              f"({views / (time.perf_counter() - start):.0f} by the clock), {label}, hashes checked")


def bench_sampler(_: Path) -> None:
    class Pool:
        def pool(self, source, split, min_views=0):
            return np.arange(80_000), np.ones(80_000)

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
    for chosen in sys.argv[1:] or BENCHES:
        with tempfile.TemporaryDirectory() as folder:
            BENCHES[chosen](Path(folder))
