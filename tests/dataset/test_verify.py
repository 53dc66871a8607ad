"""Verification: it passes what is whole, and names any byte, file or table that is not."""

from __future__ import annotations

import json
import shutil

import pytest

from mousefacelift.dataset import verify
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.dataset.verify import verify_dataset
from mousefacelift.errors import DataError


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


def test_the_verdict_is_the_same_however_few_rows_are_read_at_a_time(built, monkeypatch):
    path = built / "distilled/000000-000005/000002/images/cam_001.png"
    before = path.read_bytes()
    path.write_bytes(before[:-1])
    try:
        whole = verify_dataset(built / "dataset")
        monkeypatch.setattr(verify, "STRETCH", 7)  # a sample with its photos has 11 rows
        assert verify_dataset(built / "dataset") == whole and whole["problem_count"] == 1
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize("name", ["samples.parquet", "views.parquet"])
def test_a_damaged_table_is_named_by_verify(built, name):
    path = built / "dataset" / name
    before = path.read_bytes()
    for data in (b"", before[:-9], before[:4] + bytes(len(before) // 2) + before[4 + len(before) // 2 :]):
        path.write_bytes(data)
        with pytest.raises(DataError, match=f"table .*{name} cannot be read"):
            verify_dataset(built / "dataset")
    path.write_bytes(before)
    document = json.loads((built / "dataset/dataset.json").read_text())
    document["counts"]["view_rows" if name == "views.parquet" else "samples"] += 1
    whole = (built / "dataset/dataset.json").read_bytes()
    (built / "dataset/dataset.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="not of one build"):
        verify_dataset(built / "dataset")
    (built / "dataset/dataset.json").write_bytes(whole)
