"""A toy mouse: three ellipsoids and a tail, ray-cast into exact silhouettes, so that every camera fault is known."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mousefacelift.core.cameras import Camera, canonical_fxfycxcy, orbit, rays
from mousefacelift.core.records import ItemRow, SampleFacts, ViewFacts
from mousefacelift.core.samples import Sample, View, write_sample
from mousefacelift.core.splits import Splits
from mousefacelift.dataset.build import build_dataset
from mousefacelift.dataset.config import AugmentConfig, DatasetConfig, GateConfig, LoaderConfig
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.dataset.verify import verify_dataset

QUICK = DatasetConfig(gate=GateConfig(mask_size=32))
CONFIG = json.dumps({"dataset": {"gate": {"mask_size": 32}}, "seed": 0})
PLAIN = LoaderConfig(image_size=32, augment=AugmentConfig(False, 0.0, 0, 0, 0))
RIG_AZIMUTHS = (217.1, 29.9, 96.1, 334.7, 160.0, 281.2)  # the real rig about the mean mouse position
RIG_ELEVATIONS = (7.6, 22.1, 9.7, 8.0, 21.8, 23.9)
PARTS = (
    ((0, 0, 0), (0.5, 0.24, 0.22)),
    ((0.5, 0.05, 0.02), (0.22, 0.15, 0.15)),
    ((-0.62, 0.1, -0.1), (0.3, 0.06, 0.06)),
)


def toy_view(camera: Camera, heading: float = 0.0, facts: ViewFacts | None = None) -> View:
    """The toy mouse turned by `heading` degrees about +z, seen by `camera`: exact alpha, colour by surface point."""
    origin, directions = rays(camera)
    angle = np.radians(heading)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    origin, directions = origin @ turn, directions @ turn
    nearest = np.full(directions.shape[:2], np.inf)
    for center, radii in PARTS:
        o, d = (origin - center) / np.array(radii), directions / np.array(radii)
        a, b, c = (d * d).sum(-1), (d * o).sum(-1), (o * o).sum() - 1
        discriminant = b * b - a * c
        depth = np.where(discriminant > 0, (-b - np.sqrt(np.maximum(discriminant, 0))) / a, np.inf)
        nearest = np.minimum(nearest, np.where(depth > 0, depth, np.inf))
    hit = np.isfinite(nearest)
    points = origin + directions * np.where(hit, nearest, 0)[..., None]
    colour = np.clip(0.35 + 0.3 * points, 0, 1) * hit[..., None]
    return View(np.concatenate([colour, hit[..., None]], -1).astype(np.float32), camera, facts or ViewFacts())


def rig_cameras(size: int = 64) -> list[Camera]:
    """Six cameras where the real rig has them, distance 2.7."""
    return [orbit(a, e, 2.7, canonical_fxfycxcy(size), size, size) for a, e in zip(RIG_AZIMUTHS, RIG_ELEVATIONS)]


def toy_sample(cameras: list[Camera], heading: float = 0.0, **changes) -> Sample:
    """A sample of the toy mouse; views are numbered as rig cameras when the source is real, else believed."""
    given = {"source": "real", "recording": "m1", "time_s": 0.0, "licence": "CC0-1.0", "config_hash": "toy"} | changes
    facts = SampleFacts(**given)
    known = [ViewFacts(camera=i) if facts.source == "real" else ViewFacts(score=1.0) for i in range(len(cameras))]
    views = [toy_view(camera, heading, view) for camera, view in zip(cameras, known)]
    return Sample(tuple(views), facts)


def write_chunk(folder: Path, samples: dict[str, Sample]) -> Path:
    """A finished chunk as the stages write it: item folders and index.json; returns the index."""
    items = []
    for name, sample in samples.items():
        hashes = tuple(write_sample(folder / name, sample))
        items.append({"name": name} | ItemRow(len(hashes), sample.facts.frame, hashes=hashes).to_row())
    index = folder / "index.json"
    index.write_text(json.dumps({"key": "k", "header": {}, "items": items}))
    return index


@pytest.fixture(scope="session")
def toy_chunks(tmp_path_factory) -> tuple[list[Path], Splits]:
    """Chunks of 24 real frames, 8 objects and 6 distilled frames at 32 px, and splits for them."""
    from mousefacelift.dataset.config import SplitConfig
    from mousefacelift.dataset.splits import split_recordings

    root = tmp_path_factory.mktemp("toy")
    real = {f"{f:06d}": toy_sample(rig_cameras(32), 7.0 * f, frame=f, time_s=f / 10) for f in range(24)}
    extra = [orbit(a, 15, 2.7, canonical_fxfycxcy(32), 32, 32) for a in (0, 60, 120, 190, 250)]
    distilled = {f"{f:06d}": toy_sample(extra, 7.0 * f, frame=f, source="distilled") for f in range(6)}
    ring = [orbit(a, 20, 2.7, canonical_fxfycxcy(32), 32, 32) for a in range(0, 360, 45)]
    objects = {f"o{i}": toy_sample(ring, 40.0 * i, source="object", asset=f"o{i}", recording=f"o{i}") for i in range(8)}
    indexes = [
        write_chunk(root / "real" / "000000-000023", real),
        write_chunk(root / "distilled" / "000000-000005", distilled),
        write_chunk(root / "objects" / "0", objects),
    ]
    track = {"recording": "m1", "fps": 10.0, "frames": list(range(24)), "cuts": [], "correlation_time_s": 0.2}
    return indexes, split_recordings([track], SplitConfig())


@pytest.fixture(scope="session")
def built_once(toy_chunks, tmp_path_factory):
    """Folder with copies of the toy chunks and, in `dataset`, the verified dataset of them; not to be changed."""
    root = tmp_path_factory.mktemp("built")
    indexes, splits = toy_chunks
    folders = []
    for index in indexes:
        folders.append(root / index.parent.parent.name / index.parent.name)
        shutil.copytree(index.parent, folders[-1])
    build_dataset([folder / "index.json" for folder in folders], splits, root / "dataset", QUICK)
    verify_dataset(root / "dataset")
    return root


@pytest.fixture(scope="module")
def built(built_once, tmp_path_factory):
    """A module's own copy of the built toy dataset and its chunks."""
    return Path(shutil.copytree(built_once, tmp_path_factory.mktemp("copy") / "built"))


@pytest.fixture(scope="module")
def manifest(built):
    """The toy dataset, verified."""
    return Manifest.open_verified(built / "dataset")
