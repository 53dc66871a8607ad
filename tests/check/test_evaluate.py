"""Evaluation of a predictions folder: the truth is best, what changed since is refused, memory holds one prediction."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from mousefacelift.check import evaluate, metric_table
from mousefacelift.check.config import EvaluateConfig
from mousefacelift.check.evaluate import WATCHED, evaluate_arm, watched_frames
from mousefacelift.check.predictions import Brief, Item, Reference, read_predictions
from mousefacelift.core.records import SampleFacts, ViewFacts
from mousefacelift.core.samples import Sample, View, read_document, read_sample, write_sample
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.errors import DataError
from tests.lrm.toy import HELD_OUT, build_toy_dataset

CONFIG = EvaluateConfig(bootstrap=20, consistency_frames=1, sheet_rows=2)
INPUTS, TEST = (0, 2, 4), (20, 21, 22, 23)


def write_predictions(root, dataset, paint):
    """A predictions folder of protocols A and C and their swaps, in which `paint(views)` stands for the network."""
    items = []
    for frame in TEST:
        for protocol, judged in (("A", (1, 3)), ("C", (HELD_OUT,))):
            for other in (frame, TEST[(TEST.index(frame) + 2) % 4]):
                items.append(prediction(root, dataset, protocol, frame, other, judged, paint))
    header = {"arm": "toy", "seed": 0, "size": 32, "background": "alpha"}
    (root / "index.json").write_text(json.dumps({"key": "k", "header": header, "items": items}))
    return root / "index.json"


def prediction(root, dataset, protocol, frame, other, judged, paint):
    name = f"{protocol}-toy-{frame:06d}" + ("" if other == frame else f"-swap-{other:06d}")
    at, shown = (dataset / f"real/{f:06d}" for f in (frame, other))
    cameras, photos = read_sample(at, [*INPUTS, *judged]), read_sample(shown, [*INPUTS, *judged])
    views = [
        View(rgba, view.camera, ViewFacts(camera))
        for rgba, view, camera in zip(paint([v.rgba for v in photos.views]), cameras.views, [*INPUTS, *judged])
    ]
    write_sample(root / name, Sample(tuple(views), SampleFacts("prediction", "toy", frame=frame)))

    def refer(folder, view, is_input=False):
        relative = f"../dataset/real/{folder.name}"
        return Reference(relative, view, view, read_document(folder)["frames"][view]["hash"], is_input)

    targets = (*(refer(at, i, True) for i in INPUTS), *(refer(at, i) for i in judged))
    kind, swap = ("target", None) if other == frame else ("swap", other)
    inputs = tuple(refer(shown, i) for i in INPUTS)
    return {"name": name} | Item(
        name, kind, protocol, "test", "toy", frame, swap, inputs, targets, {"alive": 9.0}
    ).to_row()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    build_toy_dataset(folder / "dataset", with_objects=False)
    return folder


def test_the_truth_beats_every_rung_and_shows_no_collapse(root):
    index = write_predictions(root / "good", root / "dataset", lambda images: images)
    summary = evaluate_arm(index, root / "dataset", root / "out", CONFIG)
    for protocol, cameras in (("A", [1, 3]), ("C", [HELD_OUT])):
        entry = summary["protocols"][protocol]
        scores = {method: values["fg_psnr"]["mean"] for method, values in entry["held_out"].items()}
        assert max(scores, key=scores.get) == "model" and scores["model"] > 60 and entry["cameras"] == cameras
        assert entry["collapse"]["judged"] and entry["collapse"]["frames"] == 4 and entry["collapse"]["findings"] == []
        assert entry["collapse"]["metrics"]["input_swap"] > 0
        assert entry["collapse"]["metrics"]["sharpness_ratio"] == pytest.approx(1, abs=1e-3)
        consistency = entry["consistency"]
        assert consistency["model_containment_mean"] == pytest.approx(consistency["truth_containment_mean"], abs=1e-6)
        assert entry["health"]["alive"] == 9 and entry["health"]["floater_share"] == 0 and entry["surface"] == {}
    table = pd.read_parquet(root / "out/metrics.parquet")
    assert len(table) == 5 * 4 * (5 + 4) and (root / "out/sheet.png").is_file()


def test_a_network_that_ignores_its_input_is_found_out(root):
    frozen = [view.rgba for view in read_sample(root / "dataset/real/000020", [*INPUTS, 1, 3]).views]
    index = write_predictions(root / "frozen", root / "dataset", lambda images: frozen[: len(images)])
    summary = evaluate_arm(index, root / "dataset", root / "out2", CONFIG)
    assert "mean_image" in summary["protocols"]["A"]["collapse"]["findings"]


def test_a_photo_that_was_made_again_is_refused_by_its_hash(root, tmp_path):
    shutil.copytree(root / "dataset", tmp_path / "dataset")
    index = write_predictions(tmp_path / "predictions", tmp_path / "dataset", lambda images: images)
    sample = read_sample(tmp_path / "dataset/real/000021")
    darker = tuple(
        replace(view, rgba=np.clip(view.rgba * [0.9, 1, 1, 1], 0, 1).astype(np.float32)) for view in sample.views
    )
    write_sample(tmp_path / "dataset/real/000021", replace(sample, views=darker))
    with pytest.raises(DataError, match="A-toy-000021 cannot be judged.*not the one that is meant"):
        evaluate_arm(index, tmp_path / "dataset", tmp_path / "out", CONFIG)


def test_predictions_can_be_moved_together_with_their_dataset_and_read_from_anywhere(root, tmp_path, monkeypatch):
    write_predictions(root / "moved", root / "dataset", lambda images: images)
    shutil.copytree(root, tmp_path / "elsewhere")
    monkeypatch.chdir("/")
    opened = read_predictions(tmp_path / "elsewhere/moved/index.json")
    assert opened.load(opened.item(opened.briefs[0])).truth[0].rgba.shape == (32, 32, 4)


def test_an_evaluation_reads_linked_results_from_any_folder_and_writes_nothing_into_them(root, tmp_path, monkeypatch):
    """Results on another disk behind a symbolic link, read by somebody who may not write there."""
    index = write_predictions(root / "linked", root / "dataset", lambda images: images)
    there = evaluate_arm(index, root / "dataset", tmp_path / "there", CONFIG)
    disk = tmp_path / "disk/of/another/depth"
    shutil.copytree(root, disk)
    (tmp_path / "results").symlink_to(disk)
    before = {path: path.stat().st_mtime_ns for path in sorted(disk.rglob("*"))}
    monkeypatch.chdir("/")
    linked = tmp_path / "results"
    here = evaluate_arm(linked / "linked/index.json", linked / "dataset", tmp_path / "here", CONFIG)
    assert json.dumps(here) == json.dumps(there)  # as text: a number that there is none of equals itself
    assert {path: path.stat().st_mtime_ns for path in sorted(disk.rglob("*"))} == before


def test_a_row_of_another_version_is_named(root, tmp_path):
    document = {"key": "k", "header": {}, "items": [{"name": "a", "kind": "target"}]}
    (tmp_path / "index.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="lacks a field"):
        read_predictions(tmp_path / "index.json")


def test_many_rows_are_written_in_parts_with_the_same_content_and_summary(root, tmp_path, monkeypatch):
    index = write_predictions(root / "parts", root / "dataset", lambda images: [0.9 * image for image in images])
    whole = evaluate_arm(index, root / "dataset", tmp_path / "whole", CONFIG)
    monkeypatch.setattr(metric_table, "PART", 50)
    parts = evaluate_arm(index, root / "dataset", tmp_path / "parts", CONFIG)
    assert json.dumps(parts) == json.dumps(whole)
    first, second = (tmp_path / name / "metrics.parquet" for name in ("whole", "parts"))
    assert pq.ParquetFile(first).num_row_groups == 1 and pq.ParquetFile(second).num_row_groups > 2
    pd.testing.assert_frame_equal(pd.read_parquet(first), pd.read_parquet(second))
    assert [path.name for path in (tmp_path / "parts").iterdir() if path.name.startswith(".")] == []


def item(frame, swap=None, recording="m"):
    kind = "target" if swap is None else "swap"
    return Brief(0, f"A-{recording}-{frame}-{swap}", kind, "A", recording, frame, swap)


def test_collapse_watches_a_bounded_number_of_frames_and_the_pairs_that_swap_their_pictures():
    def items(count):
        return [item(f) for f in range(count)] + [item(f, (f + count // 2) % count) for f in range(count)]

    assert watched_frames(items(WATCHED)) == {("m", f) for f in range(WATCHED)}
    many = items(5000)
    watched = watched_frames(many)
    assert WATCHED - 2 <= len(watched) <= WATCHED and {("m", 0), ("m", 4999)} <= watched
    pairs = [one for one in many[5000:] if {("m", one.frame), ("m", one.swap_frame)} <= watched]
    assert len(pairs) >= WATCHED // 2
    alone = watched_frames(many[:5000])
    assert len(alone) == WATCHED and max(np.diff(sorted(frame for _, frame in alone))) <= 5000 / (WATCHED - 1) + 1


@pytest.mark.parametrize("count", (5, 8, 12, 15, 2000))
def test_no_more_predictions_are_measured_than_asked_for_and_they_are_spread_from_first_to_last(count):
    items = [item(f) for f in range(count)] + [item(f, (f + count // 2) % count) for f in range(count)]
    measured = evaluate._protocol(items, {}, EvaluateConfig(consistency_frames=8)).measured
    assert len(measured) == min(count, 8) and {items[0].name, items[count - 1].name} <= measured
    assert evaluate._protocol(items, {}, EvaluateConfig(consistency_frames=0)).measured == frozenset()


def test_the_mean_image_is_averaged_over_no_more_frames_than_it_says(root, monkeypatch):
    manifest, seen = Manifest.open(root / "dataset"), []
    monkeypatch.setattr(evaluate, "read_sample", lambda folder: seen.append(folder) or read_sample(folder))
    evaluate.mean_images(manifest, {"toy"}, 32)
    frames, seen[:] = len(seen), []
    monkeypatch.setattr(evaluate, "MEAN_FRAMES", frames // 2 + 2)  # a stride of one would take them all
    evaluate.mean_images(manifest, {"toy"}, 32)
    assert len(seen) == frames // 2 + 2
