"""The stage through its commands, on chunk folders as capture writes them."""

import json

import cv2
import numpy as np
import pytest

from mousefacelift.cli import main
from mousefacelift.core.records import ItemRow, SampleFacts, ViewFacts
from mousefacelift.core.samples import Sample, View, read_sample, write_sample
from mousefacelift.core.splat_files import read_ply, read_spz
from tests.splats.conftest import toy_frame

CONFIG = {
    "splats": {
        "fit": {
            "size": 48,
            "count": 400,
            "batch": 2,
            "hull": {"grid": 40},
            "optimise": {"steps": 12},
        },
        "trust": {"frames": 1, "pairs": False},
        "novel": {"size": 48, "max_error": 0.9, "ring_views": 8},
    },
    "dataset": {"splits": {"held_out_camera": None}},
    "seed": 1,
}


def write_chunk(folder, frames):
    items = []
    for number, frame in enumerate(frames):
        views = tuple(
            View(image, camera, ViewFacts(k)) for k, (image, camera) in enumerate(zip(frame.rgba, frame.cameras))
        )
        facts = SampleFacts("real", "toy", frame=number, time_s=number / 10, config_hash="toy")
        hashes = tuple(write_sample(folder / f"{number:06d}", Sample(views, facts)))
        items.append({"name": f"{number:06d}"} | ItemRow(len(views), number, hashes=hashes).to_row())
    (folder / "index.json").write_text(json.dumps({"key": "x", "header": {}, "items": items}))
    return folder / "index.json"


def run(*words, config=CONFIG):
    return main(["splats", *map(str, words), "--config-json", json.dumps(config)])


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A whole run: fits, trust, in-between views, ring."""
    root = tmp_path_factory.mktemp("splats")
    samples = write_chunk(root / "capture" / "000000-000002", [toy_frame(48, turn=10.0 * k) for k in range(3)])
    fits, trust = root / "fits" / "000000-000002" / "index.json", root / "trust.json"
    assert run("trust", samples, "--out", trust) == 0
    assert run("fit", samples, "--trust", trust, "--out", fits) == 0
    for kind in ("novel", "ring"):
        out = root / kind / "000000-000002" / "index.json"
        assert run(kind, fits, "--samples", samples, "--trust", trust, "--out", out) == 0
    return root


def test_every_frame_has_a_splat_with_its_record(results):
    chunk = results / "fits" / "000000-000002"
    items = json.loads((chunk / "index.json").read_text())["items"]
    assert [item["name"] for item in items] == ["000000", "000001", "000002"]
    for item in items:
        record = json.loads((chunk / item["name"] / "fit.json").read_text())
        assert (chunk / item["name"] / "splat.npz").exists()
        assert len(record["cameras"]) == len(record["parents"]) == 6
        assert record["hash"] == item["hash"] and record["sample"]["recording"] == "toy"


def test_rendered_views_carry_camera_angle_trust_depth_and_parents(results):
    chunk = results / "novel" / "000000-000002"
    item = json.loads((chunk / "index.json").read_text())["items"][0]
    sample = read_sample(chunk / item["name"])
    fits = json.loads((results / "fits" / "000000-000002" / "index.json").read_text())["items"]
    assert sample.facts.source == "splat" and sample.facts.recording == "toy"
    assert len(sample.views) == item["views"] == 12
    for view in sample.views:
        assert view.facts.parents == (fits[0]["hash"],) and -180 < view.facts.offset <= 180
        assert 0 < view.facts.details["nearest_real_angle"] < 60 and 0 <= view.facts.score <= 1
        assert (view.rgba[..., 3] > 0.5).sum() > 20
        depth = (
            cv2.imread(str(chunk / item["name"] / view.facts.details["depth"]), cv2.IMREAD_UNCHANGED)
            * view.facts.details["depth_unit"]
        )
        solid = view.rgba[..., 3] > 0.9
        assert 1.5 < np.median(depth[solid]) < 3.6


def test_the_ring_has_its_views(results):
    chunk = results / "ring" / "000000-000002"
    assert {i["views"] for i in json.loads((chunk / "index.json").read_text())["items"]} == {8}


def test_trust_reports_fit_and_hull_on_left_out_cameras(results):
    document = json.loads((results / "trust.json").read_text())
    assert len(document["rows"]) == 6 and {"psnr", "iou", "hull_psnr"} <= set(document["left_out_one"])


def test_views_above_the_allowed_error_are_not_written(results, tmp_path):
    strict = json.loads(json.dumps(CONFIG))
    strict["splats"]["novel"]["max_error"] = 1e-6
    out = tmp_path / "strict" / "index.json"
    assert (
        run(
            "novel",
            results / "fits/000000-000002/index.json",
            "--trust",
            results / "trust.json",
            "--out",
            out,
            config=strict,
        )
        == 0
    )
    items = json.loads(out.read_text())["items"]
    assert all(item["views"] == 0 and len(item["refused"]) == 12 and item["status"] == "refused" for item in items)
    assert not list(out.parent.glob("*/images/*"))


def test_the_evaluations_camera_is_kept_out_of_the_fits(results, tmp_path):
    hidden = CONFIG | {"dataset": {"splits": {"held_out_camera": 5}}}
    samples = results / "capture" / "000000-000002" / "index.json"
    out = tmp_path / "fits" / "index.json"
    assert run("fit", samples, "--trust", results / "trust.json", "--out", out, config=hidden) == 0
    record = json.loads((out.parent / "000000" / "fit.json").read_text())
    assert len(record["cameras"]) == 5 and record["held_out"] == 5


def test_a_frame_that_cannot_be_fitted_is_named_and_leaves_no_splat(tmp_path, capsys):
    frames = [toy_frame(48), toy_frame(48, turn=8.0), toy_frame(48, turn=12.0)]
    frames[1].rgba[2, ..., 3] = 0
    samples = write_chunk(tmp_path / "capture", frames)
    out = tmp_path / "fits" / "index.json"
    loose = json.loads(json.dumps(CONFIG))
    loose["splats"]["fit"]["max_failed"] = 0.5
    assert run("trust", samples, "--out", tmp_path / "trust.json") == 0  # its frame is the bad one: the next stands in
    assert run("fit", samples, "--trust", tmp_path / "trust.json", "--out", out, config=loose) == 0
    items = json.loads(out.read_text())["items"]
    assert "no foreground" in items[1]["failed"] and items[0].get("hash") and items[2].get("hash")
    assert not (out.parent / "000001" / "splat.npz").exists()
    assert "000001" in capsys.readouterr().err
    assert run("fit", samples, "--trust", tmp_path / "trust.json", "--out", tmp_path / "again" / "index.json") == 3


def test_stale_fits_are_refused(results, tmp_path):
    samples = write_chunk(tmp_path / "capture", [toy_frame(48, turn=90.0 + k) for k in range(3)])
    words = (
        "novel",
        results / "fits/000000-000002/index.json",
        "--samples",
        samples,
        "--trust",
        results / "trust.json",
    )
    assert run(*words, "--out", tmp_path / "out" / "index.json") == 2


@pytest.mark.parametrize("layout", ["facelift", "inria"])
def test_export_writes_one_file_per_frame(results, tmp_path, layout):
    assert run("export", results / "fits/000000-000002/index.json", "--out", tmp_path / layout, "--format", layout) == 0
    files = sorted((tmp_path / layout).iterdir())
    assert [f.name for f in files] == ["000000.ply", "000001.ply", "000002.ply"]
    assert read_ply(files[0]).count == 400


def test_export_writes_a_film(results, tmp_path):
    out = tmp_path / "film.mp4"
    assert (
        run("export", results / "fits/000000-000002/index.json", "--out", out, "--format", "mp4", "--size", "64") == 0
    )
    assert cv2.VideoCapture(str(out)).get(cv2.CAP_PROP_FRAME_COUNT) == 3


def test_export_writes_compact_splats_that_read_back(results, tmp_path):
    assert run("export", results / "fits/000000-000002/index.json", "--out", tmp_path / "spz", "--format", "spz") == 0
    files = sorted((tmp_path / "spz").iterdir())
    assert [f.name for f in files] == ["000000.spz", "000001.spz", "000002.spz"]
    stored = np.load(results / "fits/000000-000002/000001/splat.npz")["means"]
    assert np.abs(np.sort(read_spz(files[1]).means.numpy(), 0) - np.sort(stored, 0)).max() < 1e-3


def test_show_takes_a_fitted_splat(results, tmp_path):
    assert main(["show", str(results / "fits/000000-000002/000000/splat.npz"), "--out", str(tmp_path / "shown")]) == 0
    assert {path.suffix for path in (tmp_path / "shown").iterdir()} >= {".png", ".mp4", ".html"}


def test_an_outlier_of_the_recording_is_refitted_flagged_and_not_rendered(results, tmp_path):
    trust = json.loads((results / "trust.json").read_text())
    trust["trust"]["limit"] = 1e-4
    (tmp_path / "trust.json").write_text(json.dumps(trust))
    samples, fits = results / "capture/000000-000002/index.json", tmp_path / "fits" / "index.json"
    assert run("fit", samples, "--trust", tmp_path / "trust.json", "--out", fits) == 0
    assert {item["how"] for item in json.loads(fits.read_text())["items"]} == {"flagged"}
    out = tmp_path / "novel" / "index.json"
    assert run("novel", fits, "--trust", results / "trust.json", "--out", out) == 0
    document = json.loads(out.read_text())
    assert document["items"] == [] and set(document["header"]["left_out"]) == {"000000", "000001", "000002"}


def test_a_fit_that_diverges_leaves_no_splat(results, tmp_path, capsys):
    wild = json.loads(json.dumps(CONFIG))
    wild["splats"]["fit"]["optimise"] |= {"lr_means": 50.0}
    samples, out = results / "capture/000000-000002/index.json", tmp_path / "fits" / "index.json"
    assert run("fit", samples, "--trust", results / "trust.json", "--out", out, config=wild) == 3
    failed = [item for item in json.loads(out.read_text())["items"] if item.get("failed")]
    words = capsys.readouterr().err
    assert failed and all("at step" in item["failed"] and item["name"] in words for item in failed)
    assert not any(list((out.parent / item["name"]).glob("splat.*")) for item in failed)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("start, batch", [("hull", 3), ("warm", 1)])
@pytest.mark.parametrize("after", [1, 2, 4])
def test_fits_killed_inside_a_batch_or_a_warm_chain_end_with_the_same_bits(
    results, tmp_path, monkeypatch, start, batch, after
):
    from mousefacelift.splats.chunk import ChunkFitter

    frames = [toy_frame(48, turn=10.0 * k) for k in range(5)]
    samples = write_chunk(tmp_path / "capture/000000-000004", frames)
    config = json.loads(json.dumps(CONFIG))
    config["splats"]["fit"] |= {"start": start, "batch": batch, "cold_every": 3, "count": 120}
    config["splats"]["fit"]["optimise"]["steps"] = 4

    def fit(name):
        out = tmp_path / name / "000000-000004/index.json"
        run("fit", samples, "--trust", results / "trust.json", "--out", out, "--threads", 1, config=config)
        return {
            item["name"]: ((out.parent / item["name"] / "splat.npz").read_bytes(), item)
            for item in json.loads(out.read_text())["items"]
        }

    real, made = ChunkFitter.make, []

    def make_or_die(self, name, sample, folder):
        if len(made) == after:
            raise Killed
        made.append(name)
        return real(self, name, sample, folder)

    with monkeypatch.context() as patch:
        patch.setattr(ChunkFitter, "make", make_or_die)
        with pytest.raises(Killed):
            fit("killed")
    whole, killed = fit("whole"), fit("killed")
    assert [name for name in whole if whole[name] != killed[name]] == []
