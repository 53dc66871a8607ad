"""The manifest: what goes in comes out, and everything that could leak or rot is refused or named."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mousefacelift.cli import main
from mousefacelift.core.cameras import canonical_fxfycxcy, orbit
from mousefacelift.core.samples import read_document
from mousefacelift.core.splits import Splits
from mousefacelift.dataset import build
from mousefacelift.dataset.build import build_dataset, expansion
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.dataset.rows import scan_index
from mousefacelift.dataset.splits import object_split
from mousefacelift.dataset.view_table import ViewTable
from mousefacelift.errors import DataError
from tests.dataset.conftest import CONFIG, QUICK, toy_sample, write_chunk


def test_every_sample_is_listed_with_its_source_split_and_camera(built):
    manifest = Manifest.open(built / "dataset")
    assert manifest.samples["source"].value_counts().to_dict() == {"real": 24, "object": 8, "distilled": 6}
    assert set(manifest.samples["reason"]) == {""}
    views = manifest.view_table()
    first = read_document(manifest.folder_of(0))["frames"][0]
    row = views.iloc[0]
    np.testing.assert_array_equal(
        [row["fx"], row["w2c_03"], row["w2c_23"]], [first["fx"], first["w2c"][0][3], first["w2c"][2][3]]
    )
    assert bytes(row["hash"]).hex() == first["hash"]


def test_held_out_camera_never_reaches_training(built):
    views = Manifest.open(built / "dataset").view_table()
    held = views[views["held_out"]]
    assert set(held["camera"]) == {5} and "train" not in set(held["protocol"])
    assert {"B", "C"} <= set(held["protocol"])


@pytest.fixture(scope="module")
def ring_cameras():
    return [orbit(a, 20, 2.7, canonical_fxfycxcy(32), 32, 32) for a in range(0, 360, 45)]


def build_views(root, index, splits):
    """(manifest, views) of one chunk built on its own."""
    build_dataset([*index], splits, root / "dataset", QUICK)
    manifest = Manifest.open(root / "dataset")
    return manifest, manifest.view_table()


def test_scans_of_a_recording_follow_its_frames_whatever_their_name(toy_chunks, ring_cameras, tmp_path):
    splits = toy_chunks[1]
    scans = {
        f"{f:06d}": toy_sample(ring_cameras, 7.0 * f, source="scan", recording="m1", asset=f"mesh{f}", frame=f)
        for f in (*range(24), 99)
    }
    manifest, _ = build_views(tmp_path, [write_chunk(tmp_path / "scans", scans)], splits)
    found = dict(zip(manifest.samples["frame"].tolist(), manifest.samples["split"]))
    assert found.pop(99) == "none"  # a frame that capture excluded is in no split
    assert found == splits.recordings["m1"]
    assert {"train", "val", "test", "guard"} == set(found.values())
    rows = manifest.pool("scan", "train")[0]
    assert [splits.of("m1", f) for f in manifest.samples["frame"].iloc[rows]] == ["train"] * len(rows)


def test_a_scan_of_an_unknown_recording_is_refused_and_one_of_none_is_split_by_name(toy_chunks, ring_cameras, tmp_path):
    lost = write_chunk(tmp_path / "lost", {"0": toy_sample(ring_cameras, source="scan", recording="m2", asset="m2")})
    with pytest.raises(DataError, match="'m2', named by scan samples, has no split"):
        build_dataset([lost], toy_chunks[1], tmp_path / "lost", QUICK)
    own = write_chunk(tmp_path / "own", {"0": toy_sample(ring_cameras, source="scan", recording="", asset="mesh")})
    manifest, _ = build_views(tmp_path, [own], toy_chunks[1])
    assert manifest.samples["split"].tolist() == [object_split("mesh", QUICK.splits)]


@pytest.mark.parametrize("place", ["view", "sample"])
def test_views_made_from_a_photo_of_the_held_out_camera_are_held_out(toy_chunks, ring_cameras, tmp_path, place):
    indexes, splits = toy_chunks
    photos = [f["hash"] for f in read_document(indexes[0].parent / "000003")["frames"]]
    sample = toy_sample(
        ring_cameras, 21.0, source="splat", frame=3, parents=("fit", *(photos if place == "sample" else photos[:5]))
    )
    if place == "view":
        made_from = [photos[5:] if i == 2 else photos[:1] for i in range(len(sample.views))]
        views = [replace(v, facts=replace(v.facts, parents=tuple(p))) for v, p in zip(sample.views, made_from)]
        sample = replace(sample, views=tuple(views))
    index = write_chunk(tmp_path / "splats", {"000003": sample})
    manifest, views = build_views(tmp_path, [indexes[0], index], splits)
    row = int(np.flatnonzero(manifest.samples["source"] == "splat")[0])
    own = views[(views["sample"] == row) & (views["owner"] == row)]
    expected = [True] * 8 if place == "sample" else [i == 2 for i in range(8)]
    assert own["held_out"].tolist() == expected and [p == "B" for p in own["protocol"]] == expected


def test_a_sample_made_from_photos_of_another_split_is_refused(toy_chunks, ring_cameras, tmp_path):
    indexes, splits = toy_chunks
    test_frame = splits.frames("m1", "test")[0]
    photo = read_document(indexes[0].parent / f"{test_frame:06d}")["frames"][0]["hash"]
    index = write_chunk(
        tmp_path / "splats", {"000003": toy_sample(ring_cameras, 21.0, source="splat", frame=3, parents=(photo,))}
    )
    with pytest.raises(DataError, match="photos of another split.*\n.*train, photos of test"):
        build_dataset([indexes[0], index], splits, tmp_path / "dataset", QUICK)


def test_distilled_samples_offer_the_photos_of_their_frame_without_copies(built):
    manifest = Manifest.open(built / "dataset")
    rows = np.flatnonzero(manifest.samples["source"] == "distilled")
    views = manifest.views_of(rows[0])
    assert len(views) == 11 and views.usable.sum() == 10
    owners = set(views.owner.tolist()) - {int(rows[0])}
    assert {manifest.samples["source"].iat[o] for o in owners} == {"real"}
    assert {manifest.samples["frame"].iat[o] for o in owners} == {manifest.samples["frame"].iat[rows[0]]}


def test_the_planned_size_is_reached_by_index_and_not_by_copies():
    """1,600 frames: 5 seen photos and 7 distilled views make the 12 angles; mirrored, 38,400; with in-between splats
    over 50,000."""

    parts = [("real", 6), ("distilled", 7), ("splat", 6)]
    samples = pd.DataFrame(
        {"split": "train", "decision": "accepted", "source": np.repeat([source for source, _ in parts], 1600)}
    )
    owner = np.repeat(np.arange(4800), np.repeat([views for _, views in parts], 1600))
    view = np.concatenate([np.tile(np.arange(views), 1600) for _, views in parts])
    sample = np.concatenate([owner, owner[owner < 1600] + 1600])  # photos offered again are not counted twice
    owner = np.concatenate([owner, owner[owner < 1600]])
    held_out = (np.concatenate([view, view[:9600]]) == 5) & (owner < 1600)
    counts = expansion(samples, ViewTable(None, owner, sample, None, owner, held_out, None))
    assert counts == {"mouse_samples": 4800, "mouse_items": 1600 * (5 + 7 + 6), "mouse_items_augmented": 3200 * 18}
    assert counts["mouse_items_augmented"] > 50_000


def test_order_of_chunks_changes_nothing(built, toy_chunks, tmp_path):
    indexes = sorted(built.glob("*/*/index.json"), reverse=True)
    build_dataset(indexes, toy_chunks[1], tmp_path / "dataset", QUICK)
    first, second = Manifest.open(built / "dataset"), Manifest.open(tmp_path / "dataset")
    assert first.header["build"] == second.header["build"]


def test_a_scan_that_was_kept_gives_the_same_tables(built, toy_chunks, tmp_path):
    """JSON keeps no NaN (a photo has no offset), the tables do."""
    indexes = sorted(built.glob("*/*/index.json"))
    tables = []
    for _ in range(2):
        build_dataset(indexes, toy_chunks[1], tmp_path / "dataset", QUICK)
        tables.append([(tmp_path / "dataset" / name).read_bytes() for name in ("samples.parquet", "views.parquet")])
    assert tables[0] == tables[1]
    kept = [path.read_text() for path in (tmp_path / "dataset/parts").glob("*.json")]
    assert kept and not any("NaN" in text for text in kept)


def test_commands_split_build_verify(toy_chunks, tmp_path, capsys):
    indexes, splits = toy_chunks
    track = {"recording": "m1", "fps": 10.0, "frames": list(range(24)), "cuts": [], "correlation_time_s": 0.2}
    (tmp_path / "track.json").write_text(json.dumps(track))
    out = tmp_path / "dataset"
    assert (
        main(
            [
                "dataset",
                "split",
                "--track",
                str(tmp_path / "track.json"),
                "--out",
                str(out / "splits.json"),
                "--config-json",
                CONFIG,
            ]
        )
        == 0
    )
    assert Splits.read(out / "splits.json") == splits
    assert (
        main(
            [
                "dataset",
                "build",
                "--index",
                *map(str, indexes),
                "--splits",
                str(out / "splits.json"),
                "--out",
                str(out),
                "--config-json",
                CONFIG,
            ]
        )
        == 0
    )
    assert main(["dataset", "verify", str(out)]) == 0
    assert "all as the manifest says" in capsys.readouterr().out
    shuffled = splits.to_json() | {"recordings": {"m1": {str(i): ("train", "val")[i % 2] for i in range(24)}}}
    (out / "splits.json").write_text(json.dumps(shuffled))
    assert (
        main(
            ["dataset", "build", "--index", *map(str, indexes), "--splits", str(out / "splits.json"), "--out", str(out)]
        )
        == 2
    )
    assert "shuffled" in capsys.readouterr().err


def test_a_recording_that_grows_reads_no_object_again(toy_chunks, tmp_path, monkeypatch):
    """Generated samples are judged beside the photos of their frame, objects alone."""
    (real, distilled, objects), splits = toy_chunks
    read = []

    def scan(index, *args):
        read.append(index)
        return scan_index(index, *args)

    monkeypatch.setattr(build, "scan_index", scan)
    build_dataset([distilled, objects], splits, tmp_path / "dataset", QUICK)
    assert sorted(read) == sorted([distilled, objects])
    read.clear()
    build_dataset([real, distilled, objects], splits, tmp_path / "dataset", QUICK)
    assert sorted(read) == sorted([real, distilled])
