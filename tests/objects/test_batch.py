"""Selection, sandbox and chunks: one bad asset is one bad row."""

import gzip
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from mousefacelift.config import load
from mousefacelift.core.samples import read_sample
from mousefacelift.errors import ConfigError, DataError
from mousefacelift.objects.batch import describe, render_chunk
from mousefacelift.objects.config import Limits, ObjectsConfig
from mousefacelift.objects.sandbox import Sandbox
from mousefacelift.objects.select import select_objects, selected_rows

from . import assets

HEX = [f"{k:032x}" for k in range(30)]


def config(**changes):
    base = {"count": 3, "size": 32, "supersampling": 2, "views": {"ring": 4}}
    return load(ObjectsConfig, base | changes, "objects")


def uids(selection, count=None):
    rows = range(len(selection["items"]) if count is None else count)
    return [item["uid"] for item in selected_rows(selection, rows)]


def write_list(path, rows=HEX):
    path.write_text("".join(f"000-{k % 3:03d},{uid}\n" for k, uid in enumerate(rows)))
    return str(path)


def test_a_larger_selection_extends_a_smaller_one(tmp_path):
    path = write_list(tmp_path / "list.csv", [*HEX, "1A2b3C4d5E6f7G8h9I0jKlMnOpQ"])
    chosen = config(source="list", path=path)
    small, large = (select_objects(chosen, 3, n) for n in (10, 31))
    assert small == large and len(set(uids(small))) == 31
    assert uids(small, 10) != uids(select_objects(chosen, 4, 10), 10)
    small, large = (select_objects(config(), 3, n) for n in (5, 9))
    assert small == large and uids(small, 5) == uids(small, 9)[:5] and len(set(uids(small, 9))) == 9


def test_order_does_not_depend_on_the_rows_order(tmp_path):
    one = select_objects(config(source="list", path=write_list(tmp_path / "a.csv")), 0, 10)
    other = select_objects(config(source="list", path=write_list(tmp_path / "b.csv", HEX[::-1])), 0, 10)
    assert uids(one) == uids(other)


def test_categories_and_licences_filter_and_are_counted(tmp_path):
    path = write_list(tmp_path / "list.csv")
    (tmp_path / "lvis.json").write_text(json.dumps({"mouse": HEX[:12], "cup": HEX[12:]}))
    notes = {uid: {"license": "by" if k % 2 else "by-nc"} for k, uid in enumerate(HEX)}
    (tmp_path / "notes.json.gz").write_bytes(gzip.compress(json.dumps(notes).encode()))
    chosen = select_objects(
        config(
            source="list",
            path=path,
            lvis=str(tmp_path / "lvis.json"),
            categories=["mouse"],
            annotations=str(tmp_path / "notes.json.gz"),
            licenses=["by"],
        ),
        0,
        6,
    )
    assert set(uids(chosen)) == set(HEX[1:12:2])
    assert chosen["left_out"] == {"category": 18, "license": 6}
    assert {item["license"] for item in chosen["items"]} == {"by"}


def test_a_selection_that_cannot_be_is_refused(tmp_path):
    path = write_list(tmp_path / "list.csv")
    with pytest.raises(ConfigError, match="more objects"):
        select_objects(config(source="list", path=path), 0, 31)
    with pytest.raises(ConfigError, match="annotation file"):
        select_objects(config(source="list", path=path, categories=["mouse"]), 0, 3)
    (tmp_path / "bad.csv").write_text("000-001,abc\nwhat is this\n")
    with pytest.raises(DataError, match="line 2"):
        select_objects(config(source="list", path=str(tmp_path / "bad.csv")), 0, 3)
    with pytest.raises(DataError, match="cannot be read"):
        select_objects(config(source="list", path=str(tmp_path / "none.csv")), 0, 3)
    with pytest.raises(ConfigError, match="needs a path"):
        config(source="folder")


def sleep_forever(*_):
    time.sleep(60)


def kill_self(*_):
    os.kill(os.getpid(), signal.SIGSEGV)


def take_memory(*_):
    return {"status": "done", "sum": int(np.ones(3 * 10**9, np.uint8).sum())}


def ordinary(value):
    return {"status": "done", "value": value}


def raise_error(*_):
    raise ValueError("odd file")


def test_the_sandbox_survives_what_an_asset_does_to_it():
    with Sandbox(Limits(seconds=2.0, memory_gb=1.0)) as sandbox:
        assert sandbox.run(ordinary, 7) == {"status": "done", "value": 7}
        assert sandbox.run(sleep_forever)["reason"] == "stopped after 2 s"
        assert sandbox.run(kill_self)["reason"] == "the worker died (SIGSEGV)"
        assert "out of memory" in sandbox.run(take_memory)["reason"]
        assert sandbox.run(raise_error) == {"status": "failed", "reason": "ValueError: odd file"}
        assert sandbox.run(ordinary, 8)["value"] == 8


def die_at_once(*_):
    os._exit(7)


def never_ready(*_):
    time.sleep(60)


def test_a_worker_that_does_not_start_is_told_with_its_cause_and_leaves_no_process(monkeypatch):
    from mousefacelift.objects import sandbox

    for serve, words in ((die_at_once, "it died \\(exit code 7\\)"), (never_ready, "not ready after 1 s")):
        monkeypatch.setattr(sandbox, "serve", serve)
        monkeypatch.setattr(sandbox, "START_S", 1 if serve is never_ready else 60)
        with Sandbox(Limits()) as box, pytest.raises(DataError, match=f"(?s)does not start.*{words}"):
            box.run(ordinary, 7)
        assert box._process is None and not multiprocessing.active_children()


def test_bad_assets_are_rows_with_reasons_and_good_ones_samples(tmp_path):
    folder = tmp_path / "meshes"
    folder.mkdir()
    assets.glb(folder / "good.glb", picture=assets.png())
    assets.glb(folder / "nan.glb", vertices=assets.TETRAHEDRON * [1, np.nan, 1])
    assets.glb(folder / "flat.glb", vertices=assets.TETRAHEDRON * [1, 0, 0])
    assets.glb(folder / "many.glb", change=assets.many_faces)
    assets.glb(folder / "animation.glb", change=assets.no_mesh)
    assets.glb(folder / "bomb.glb", picture=assets.huge_png())
    (folder / "archive.glb").write_bytes(b"PK\x03\x04" + bytes(50))
    chosen = config(source="folder", path=str(folder), count=7)
    out = tmp_path / "out/000000-000006/index.json"
    index = render_chunk(select_objects(chosen, 0, 7), range(0, 7), chosen, out, 1)
    rows = {row["uid"]: row for row in index["items"]}
    assert rows["good.glb"]["status"] == "done" and rows["good.glb"]["views"] == 4
    assert [uid for uid, row in rows.items() if row["status"] == "done"] == ["good.glb"]
    for uid, reason in (
        ("nan", "not finite"),
        ("flat", "no area"),
        ("many", "too many faces"),
        ("animation", "no triangles"),
        ("bomb", "texture"),
        ("archive", "not a GLB"),
    ):
        row = rows[f"{uid}.glb"]
        assert row["status"] == "refused" and reason in row["reason"] and row["views"] == 0
    assert describe(index).startswith("1 done, 6 refused, 0 failed, 0 missing")
    sample = read_sample(tmp_path / "out/000000-000006" / rows["good.glb"]["name"])
    assert sample.facts.asset == "good.glb" and sample.facts.licence == "unknown"
    assert len(sample.views) == 4 and sample.views[0].rgba[..., 3].max() == 1


def test_a_restarted_chunk_keeps_its_finished_objects(tmp_path, monkeypatch):
    chosen = config()
    selection = select_objects(chosen, 0, chosen.count)
    calls = []
    import mousefacelift.objects.batch as batch

    make = batch.make_object

    def counted(item, *rest):
        calls.append(item["name"])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return make(item, *rest)

    monkeypatch.setattr(batch, "make_object", counted)
    out = tmp_path / "000000-000002/index.json"
    with pytest.raises(KeyboardInterrupt):
        render_chunk(selection, range(0, 3), chosen, out, 1)
    render_chunk(selection, range(0, 3), chosen, out, 1)
    assert calls == ["000000", "000001", "000001", "000002"]


def test_an_object_does_not_depend_on_its_chunk(tmp_path):
    chosen = config()
    selection = select_objects(chosen, 0, chosen.count)
    render_chunk(selection, range(0, 3), chosen, tmp_path / "a/index.json", 1)
    render_chunk(selection, range(2, 3), chosen, tmp_path / "b/index.json", 2)
    for file in ("opencv_cameras.json", "images/cam_003.png"):
        assert (tmp_path / "a/000002" / file).read_bytes() == (tmp_path / "b/000002" / file).read_bytes()


def test_nothing_downloaded_is_an_error_that_says_how_to_fetch(tmp_path):
    chosen = config(source="list", path=write_list(tmp_path / "list.csv"), download={"folder": str(tmp_path / "none")})
    with pytest.raises(DataError, match="objects download"):
        render_chunk(select_objects(chosen, 0, chosen.count), range(0, 3), chosen, tmp_path / "out/index.json", 1)
    assert Path(tmp_path / "out/index.json").exists()
