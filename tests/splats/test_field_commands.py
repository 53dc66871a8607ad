"""The stage with `method: field` through its commands: the same files, trust, flags and resume as with Gaussians."""

import json

import cv2
import numpy as np
import pytest

from mousefacelift.core.field import Field
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.samples import read_sample
from mousefacelift.splats.chunk import ChunkFitter
from mousefacelift.splats.config import FieldConfig
from tests.splats.conftest import toy_frame
from tests.splats.test_commands import CONFIG, Killed, run, write_chunk

FIELD = json.loads(json.dumps(CONFIG))
FIELD["splats"] |= {"method": "field"}
FIELD["splats"]["fit"] |= {"hull": {"grid": 32}, "field": {"steps": 5}}
FIELD["splats"]["novel"] |= {"mode": "gaps", "ring_views": 2}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A whole run: trust, fits, in-between views, ring."""
    root = tmp_path_factory.mktemp("fields")
    samples = write_chunk(root / "capture" / "000000-000001", [toy_frame(48, turn=10.0 * k) for k in range(2)])
    fits, trust = root / "fits" / "000000-000001" / "index.json", root / "trust.json"
    assert run("trust", samples, "--out", trust, config=FIELD) == 0
    assert run("fit", samples, "--trust", trust, "--out", fits, config=FIELD) == 0
    for kind in ("novel", "ring"):
        out = root / kind / "000000-000001" / "index.json"
        assert run(kind, fits, "--samples", samples, "--trust", trust, "--out", out, config=FIELD) == 0
    return root


def test_a_fit_holds_the_field_the_splat_and_the_record(results):
    chunk = results / "fits" / "000000-000001"
    for item in json.loads((chunk / "index.json").read_text())["items"]:
        record = json.loads((chunk / item["name"] / "fit.json").read_text())
        assert record["method"] == "field" and record["hash"] == item["hash"]
        assert record["steps"] == {"first": 5, "refitted": 10}[item["how"]]
        field, splat = (
            kind.read(chunk / item["name"] / f) for kind, f in ((Field, "field.npz"), (Gaussians, "splat.npz"))
        )
        assert field.active.any() and splat.count > 100


def test_views_are_rendered_from_the_field_with_trust_depth_and_parents(results):
    chunk, fits = results / "novel" / "000000-000001", results / "fits" / "000000-000001"
    item = json.loads((chunk / "index.json").read_text())["items"][0]
    sample = read_sample(chunk / item["name"])
    record = json.loads((fits / item["name"] / "fit.json").read_text())
    assert sample.facts.source == "splat" and len(sample.views) == item["views"] == 6
    for view in sample.views:
        assert view.facts.parents == (record["hash"],) and 0 <= view.facts.score <= 1
        steps = cv2.imread(str(chunk / item["name"] / view.facts.details["depth"]), cv2.IMREAD_UNCHANGED)
        assert 1.5 < np.median((steps * view.facts.details["depth_unit"])[view.rgba[..., 3] > 0.9]) < 3.6
    ring = json.loads((results / "ring" / "000000-000001" / "index.json").read_text())
    assert {item["views"] for item in ring["items"]} == {2}


def test_a_field_that_is_missing_is_no_reason_to_render_the_splat(results, tmp_path, capsys):
    fits = results / "fits" / "000000-000001"
    for name in ("000000", "000001"):
        folder = tmp_path / "fits" / name
        folder.mkdir(parents=True)
        for file in ("fit.json", "splat.npz"):
            (folder / file).write_bytes((fits / name / file).read_bytes())
    (tmp_path / "fits" / "index.json").write_bytes((fits / "index.json").read_bytes())
    words = ("novel", tmp_path / "fits" / "index.json", "--trust", results / "trust.json")
    assert run(*words, "--out", tmp_path / "out" / "index.json", config=FIELD) == 2
    assert "field.npz" in capsys.readouterr().err


def test_fields_are_exported_as_splats(results, tmp_path):
    fits = results / "fits" / "000000-000001" / "index.json"
    assert run("export", fits, "--out", tmp_path / "ply", config=FIELD) == 0
    assert sorted(file.name for file in (tmp_path / "ply").iterdir()) == ["000000.ply", "000001.ply"]


def test_an_outlier_is_refitted_with_twice_the_steps_and_flagged(results, tmp_path):
    trust = json.loads((results / "trust.json").read_text())
    trust["trust"]["limit"] = 1e-4
    (tmp_path / "trust.json").write_text(json.dumps(trust))
    out = tmp_path / "fits" / "index.json"
    words = ("fit", results / "capture/000000-000001/index.json", "--trust", tmp_path / "trust.json")
    assert run(*words, "--out", out, config=FIELD) == 0
    assert {(item["how"], item["steps"]) for item in json.loads(out.read_text())["items"]} <= {
        ("flagged", 5),
        ("flagged", 10),
    }


def test_fits_that_diverge_leave_no_field_and_refuse_the_chunk(results, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(FieldConfig, "lr_colors", float("nan"))
    out = tmp_path / "fits" / "index.json"
    words = ("fit", results / "capture/000000-000001/index.json", "--trust", results / "trust.json")
    assert run(*words, "--out", out, config=FIELD) == 3
    assert "NaN" in capsys.readouterr().err and not list(out.parent.glob("*/*.npz"))


def test_fits_killed_between_frames_end_with_the_same_bits(results, tmp_path, monkeypatch):
    samples = results / "capture/000000-000001/index.json"
    real, made, out = ChunkFitter.make, [], tmp_path / "fits" / "000000-000001" / "index.json"

    def make_or_die(self, name, sample, folder):
        if made:
            raise Killed
        made.append(name)
        return real(self, name, sample, folder)

    with monkeypatch.context() as patch:
        patch.setattr(ChunkFitter, "make", make_or_die)
        with pytest.raises(Killed):
            run("fit", samples, "--trust", results / "trust.json", "--out", out, config=FIELD)
    assert run("fit", samples, "--trust", results / "trust.json", "--out", out, config=FIELD) == 0
    for name in ("000000", "000001"):
        whole = results / "fits" / "000000-000001" / name
        assert all((whole / f).read_bytes() == (out.parent / name / f).read_bytes() for f in ("field.npz", "splat.npz"))
