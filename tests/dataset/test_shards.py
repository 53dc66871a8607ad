"""Packed shards give the same bits as sample folders, and what is broken in them is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mousefacelift.dataset.config import (
    LoaderConfig,
    MixtureConfig,
    MouseShares,
    Phase,
)
from mousefacelift.dataset.loader import load_sample, make_loader
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.dataset.mixture import Draw, MixtureSampler
from mousefacelift.dataset.shards import write_shards
from mousefacelift.errors import DataError
from tests.dataset.conftest import PLAIN

SHARED = MixtureConfig(
    mouse=MouseShares(0.5, 0.5, 0.0), phases=(Phase(1.0, (2.0, 2.0)),)
)  # all sources from the first step


@pytest.fixture
def packed(manifest):
    """The manifest anew, with its training samples packed into several shards."""
    write_shards(manifest, ("train",), max_bytes=60_000)
    return Manifest.open(manifest.folder)


@pytest.mark.parametrize("workers", [0, 1])
def test_shards_train_on_the_same_bits_as_sample_folders(packed, workers):
    sampler = MixtureSampler(packed, "60-40", 4, steps=8, batch_size=3, mixture=SHARED, min_views=5)
    config = LoaderConfig(image_size=32, inputs=(3, 4))
    batches = [
        make_loader(packed, sampler, replace(config, store=store), workers=workers) for store in ("folders", "shards")
    ]
    sources = set()
    for first, second in zip(*batches, strict=True):
        assert first.keys() == second.keys() and first["source"] == second["source"]
        assert all(torch.equal(first[k], second[k]) for k in first if isinstance(first[k], torch.Tensor))
        sources |= set(first["source"])
    assert sources == {"real", "distilled", "object"}  # a distilled sample also reads the photos of its frame


def test_shards_are_read_and_not_the_folders(packed, monkeypatch):
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was opened"))
    row = int(packed.pool("real", "train")[0][0])
    load_sample(packed, Draw(0, 0, row, "real", 0, 3), replace(PLAIN, store="shards"))


@pytest.mark.parametrize(
    "fault, message",
    [
        ("image", "not what the manifest lists"),
        ("camera", "not what the manifest lists"),
        ("document", "cannot be read"),
        ("short", "cut short"),
        ("missing", "cannot be read"),
        ("build", "another build"),
        ("split", "not in shards"),
        ("unpacked", "no readable index"),
    ],
)
def test_broken_shards_are_named(packed, fault, message):
    folder = packed.folder / "shards"
    row = int(packed.pool("real", "val" if fault == "split" else "train")[0][0])
    shard = next(
        path
        for path in folder.glob("*.tar")
        if f"{row:08d}.cameras.json".encode() in path.read_bytes() or fault == "split"
    )
    data = bytearray(shard.read_bytes())
    if fault in ("image", "camera", "document"):
        member, mark, after = {
            "image": ("cam_000.png", b"IDAT", 30),
            "camera": ("cameras.json", b'"fx": ', 6),
            "document": ("cameras.json", b"{", 0),
        }[fault]
        position = data.index(mark, data.index(f"{row:08d}.{member}".encode())) + after
        data[position] ^= 1
        shard.write_bytes(bytes(data))
    elif fault == "short":
        shard.write_bytes(bytes(data[:100]))
    elif fault == "missing":
        shard.unlink()
    elif fault == "build":
        packed.header = packed.header | {"build": "another"}
    elif fault == "unpacked":
        (folder / "index.parquet").unlink()
    with pytest.raises(DataError, match=message):
        for seed in range(12):
            load_sample(packed, Draw(0, 0, row, "real", seed, 4), replace(PLAIN, store="shards"))
