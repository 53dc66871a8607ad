"""The manifest: what goes in comes out, and everything that could leak or rot is refused or named."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mousefacelift.chunks import read_index
from mousefacelift.cli import main
from mousefacelift.core.cameras import canonical_fxfycxcy, orbit
from mousefacelift.core.samples import read_document
from mousefacelift.core.splits import Splits
from mousefacelift.dataset.build import build_dataset, expansion
from mousefacelift.dataset.config import DatasetConfig, GateConfig
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.dataset.splits import object_split
from mousefacelift.dataset.verify import verify_dataset
from mousefacelift.errors import DataError
from tests.dataset.conftest import rig_cameras, toy_sample, write_chunk

QUICK = DatasetConfig(gate=GateConfig(mask_size=32))
CONFIG = json.dumps({"dataset": {"gate": {"mask_size": 32}}, "seed": 0})


@pytest.fixture(scope="module")
def built(toy_chunks, tmp_path_factory):
    root = tmp_path_factory.mktemp("built")
    indexes, splits = toy_chunks
    folders = []
    for index in indexes:
        folders.append(root / index.parent.parent.name / index.parent.name)
        shutil.copytree(index.parent, folders[-1])
    build_dataset([folder / "index.json" for folder in folders], splits, root / "dataset", QUICK)
    return root


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

    def rows(source, views):
        samples = pd.DataFrame({"split": "train", "decision": "accepted", "source": source}, index=range(1600))
        return samples, pd.DataFrame(
            {"sample": np.repeat(np.arange(1600), views), "held_out": np.tile(np.arange(views) == 5, 1600)}
        )

    parts = [rows("real", 6), rows("distilled", 7), rows("splat", 6)]
    samples = pd.concat([part[0] for part in parts], ignore_index=True)
    views = pd.concat(
        [part[1].assign(sample=part[1]["sample"] + 1600 * i) for i, part in enumerate(parts)], ignore_index=True
    )
    views["held_out"] &= samples["source"].to_numpy()[views["sample"]] == "real"
    views["owner"] = views["sample"]
    attached = views[views["sample"] < 1600].assign(
        sample=lambda t: t["sample"] + 1600
    )  # photos offered again are not counted twice
    counts = expansion(samples, pd.concat([views, attached], ignore_index=True))
    assert counts == {"mouse_samples": 4800, "mouse_items": 1600 * (5 + 7 + 6), "mouse_items_augmented": 3200 * 18}
    assert counts["mouse_items_augmented"] > 50_000


def test_order_of_chunks_changes_nothing(built, toy_chunks, tmp_path):
    indexes = sorted(built.glob("*/*/index.json"), reverse=True)
    build_dataset(indexes, toy_chunks[1], tmp_path / "dataset", QUICK)
    first, second = Manifest.open(built / "dataset"), Manifest.open(tmp_path / "dataset")
    assert first.header["build"] == second.header["build"]


def test_verify_passes_and_training_may_open(built):
    assert verify_dataset(built / "dataset")["passed"]
    assert len(Manifest.open_verified(built / "dataset")) == 38


@pytest.mark.parametrize("place", ["image", "camera", "meta"])
def test_verify_names_any_flipped_byte(built, place):
    folder = built / "real" / "000000-000023" / "000003"
    path = folder / ("images/cam_002.png" if place == "image" else "opencv_cameras.json")
    before = path.read_bytes()
    position = (
        len(before) // 2
        if place == "image"
        else before.index(b'"fx"') + 7
        if place == "camera"
        else before.index(b"CC0")
    )
    changed = bytearray(before)
    changed[position] = changed[position] ^ 1
    path.write_bytes(bytes(changed))
    try:
        verdict = verify_dataset(built / "dataset")
        assert not verdict["passed"] and any(str(path) in problem for problem in verdict["problems"])
        with pytest.raises(DataError, match="did not pass"):
            Manifest.open_verified(built / "dataset")
    finally:
        path.write_bytes(before)


def test_verify_names_missing_files_and_orphans(built):
    folder = built / "objects" / "0" / "o1"
    image, extra = folder / "images/cam_001.png", folder / "images/cam_999.png"
    before = image.read_bytes()
    image.unlink()
    extra.write_bytes(before)
    orphan = folder.with_name("o_extra")
    shutil.copytree(built / "objects" / "0" / "o2", orphan)
    try:
        problems = verify_dataset(built / "dataset")["problems"]
        assert any("cam_001.png: missing" in p for p in problems) and any("cam_999.png: not in" in p for p in problems)
        assert any("o_extra" in p for p in problems)
    finally:
        image.write_bytes(before)
        extra.unlink()
        shutil.rmtree(orphan)


def test_a_rebuild_must_be_verified_again(built, toy_chunks):
    verify_dataset(built / "dataset")
    path = built / "dataset" / "verify.json"
    stale = json.loads(path.read_text()) | {"build": "other"}
    path.write_text(json.dumps(stale))
    with pytest.raises(DataError, match="verified before its last build"):
        Manifest.open_verified(built / "dataset")


def test_older_schema_is_refused(built, tmp_path):
    shutil.copytree(built / "dataset", tmp_path / "old")
    header = json.loads((tmp_path / "old" / "dataset.json").read_text())
    (tmp_path / "old" / "dataset.json").write_text(json.dumps(header | {"schema": 0}))
    with pytest.raises(DataError, match="another schema version"):
        Manifest.open(tmp_path / "old")


def test_a_table_of_an_older_schema_or_cut_short_is_refused(built, tmp_path):
    import pyarrow.parquet as pq

    shutil.copytree(built / "dataset", tmp_path / "old")
    path = tmp_path / "old" / "views.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["score"]), path)
    with pytest.raises(DataError, match="another schema.*\n.*missing \\['score'\\]"):
        Manifest.open(tmp_path / "old")
    pq.write_table(table.replace_schema_metadata({"mousefacelift_schema": "0"}), path)
    with pytest.raises(DataError, match="another schema.*\n.*version 0"):
        Manifest.open(tmp_path / "old")
    path.write_bytes((built / "dataset" / "views.parquet").read_bytes()[:-100])
    with pytest.raises(DataError, match="cannot be read"):
        Manifest.open(tmp_path / "old")


def test_two_writers_at_once_are_refused(toy_chunks, tmp_path, monkeypatch):
    monkeypatch.setattr("mousefacelift.locks.WAIT_S", 0.1)
    indexes, splits = toy_chunks
    code = (
        "import sys; from mousefacelift.locks import one_writer\n"
        "with one_writer(sys.argv[1]): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "d")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline().strip() == "held"
        with pytest.raises(DataError, match="being written by another process"):
            build_dataset(indexes, splits, tmp_path / "d", QUICK)
        other.stdin.close()


def test_the_same_frame_twice_is_refused(toy_chunks, tmp_path):
    indexes, splits = toy_chunks
    again = write_chunk(tmp_path / "again", {"000003": toy_sample(rig_cameras(32), frame=3)})
    with pytest.raises(DataError, match="twice"):
        build_dataset([indexes[0], again], splits, tmp_path / "dataset", QUICK)


@pytest.mark.parametrize("fault", ["zeros", "text", "bytes"])
def test_one_damaged_sample_is_refused_by_name_and_the_others_are_listed(toy_chunks, tmp_path, fault, capsys):
    indexes, splits = toy_chunks
    chunk = tmp_path / "real" / "000000-000023"
    shutil.copytree(indexes[0].parent, chunk)
    broken = chunk / "000004/opencv_cameras.json"
    broken.write_bytes({"zeros": bytes(500), "text": b"{", "bytes": b"\xff\xfe"}[fault])
    header = build_dataset([chunk / "index.json"], splits, tmp_path / "dataset", QUICK)
    assert header["counts"]["samples"] == 23 and len(header["damaged"]) == 1
    assert str(broken) in header["damaged"][0] and str(broken) in capsys.readouterr().err
    assert Manifest.open(tmp_path / "dataset").header["damaged"] == header["damaged"]


@pytest.mark.parametrize(
    "fault, message",
    [
        ("truncated", "cut short"),
        ("sixteen", "16-bit"),
        ("no_alpha", "no alpha"),
        ("other_size", "differ in size"),
        ("missing", "cannot be read"),
        ("flipped_byte", "cannot be decoded"),
        ("swapped_files", "not those that were written"),
    ],
)
def test_damaged_images_are_named_and_nothing_is_written(toy_chunks, tmp_path, fault, message):
    import cv2

    sample = toy_sample(rig_cameras(32), frame=0)
    index = write_chunk(tmp_path / "chunk", {"000000": sample})
    path = tmp_path / "chunk" / "000000" / "images" / "cam_001.png"
    document = tmp_path / "chunk" / "000000" / "opencv_cameras.json"
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if fault == "truncated":
        path.write_bytes(path.read_bytes()[:-40])
    elif fault == "sixteen":
        cv2.imwrite(str(path), pixels.astype(np.uint16) * 257)
    elif fault == "no_alpha":
        cv2.imwrite(str(path), pixels[..., :3])
    elif fault == "other_size":
        cv2.imwrite(str(path), cv2.resize(pixels, (16, 16)))
        frames = json.loads(document.read_text())
        [frame.pop("hash") for frame in frames["frames"]]
        document.write_text(json.dumps(frames))
    elif fault == "flipped_byte":  # in the packed pixels of a file without a recorded hash
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
        frames = json.loads(document.read_text())
        [frame.pop("hash") for frame in frames["frames"]]
        document.write_text(json.dumps(frames))
    elif fault == "missing":
        path.unlink()
    else:
        other = path.with_name("cam_002.png")
        first, second = path.read_bytes(), other.read_bytes()
        path.write_bytes(second)
        other.write_bytes(first)
    with pytest.raises(DataError, match=message):
        build_dataset([index], toy_chunks[1], tmp_path / "dataset", QUICK)
    assert not (tmp_path / "dataset" / "dataset.json").exists()


FULL_DISK = """
import json, resource, signal, sys
from pathlib import Path
from mousefacelift.core.splits import Splits
from mousefacelift.dataset.build import build_dataset
from mousefacelift.dataset.config import DatasetConfig, GateConfig
from mousefacelift.errors import DataError

indexes, splits, out, limit = json.loads(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the kernel then refuses to write on, in the middle of a file
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    build_dataset([Path(index) for index in indexes], Splits.read(splits), Path(out),
                  DatasetConfig(gate=GateConfig(mask_size=32)))
except DataError as error:
    print(error)
    sys.exit(2)
"""


def build_limited(indexes, splits, out, limit):
    """The build in a process whose files cannot grow beyond `limit` bytes."""
    path = out.parent / "limited.json"
    splits.write(path)
    arguments = json.dumps([[str(index) for index in indexes], str(path), str(out), limit])
    return subprocess.run([sys.executable, "-c", FULL_DISK, arguments], capture_output=True, text=True)


@pytest.mark.parametrize("limit", [2_000, 16_000])  # of which the first is met in a part, the second in a table
def test_a_disk_that_is_full_in_the_middle_of_a_write_leaves_the_old_dataset(built, toy_chunks, tmp_path, limit):
    out = tmp_path / "dataset"
    indexes = sorted(built.glob("*/*/index.json"))
    build_dataset(indexes[:1], toy_chunks[1], out, QUICK)
    verify_dataset(out)
    before = {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()}
    if limit > 2_000:  # the parts are there
        build_dataset(indexes, toy_chunks[1], tmp_path / "other", QUICK)
        shutil.copytree(tmp_path / "other" / "parts", out / "parts", dirs_exist_ok=True)
    run = build_limited(indexes, toy_chunks[1], out, limit)
    assert run.returncode == 2 and "cannot be written" in run.stdout and "full disk" in run.stdout, run.stderr
    assert {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()} == before
    assert len(Manifest.open_verified(out)) == len(read_index(indexes[0])["items"])
    build_dataset(indexes, toy_chunks[1], out, QUICK)  # space is there again
    assert len(Manifest.open(out)) == 38


def test_two_builds_at_once_end_with_one_whole_dataset(built, toy_chunks, tmp_path):
    toy_chunks[1].write(tmp_path / "splits.json")
    indexes = map(str, sorted(built.glob("*/*/index.json")))
    command = [
        sys.executable,
        "-m",
        "mousefacelift",
        "dataset",
        "build",
        "--index",
        *indexes,
        "--splits",
        str(tmp_path / "splits.json"),
        "--out",
        str(tmp_path / "dataset"),
        "--config-json",
        CONFIG,
    ]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ends = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0, 0], ends  # the second waits for the first
    assert verify_dataset(tmp_path / "dataset")["passed"] and not list((tmp_path / "dataset").glob(".*.tmp"))


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
