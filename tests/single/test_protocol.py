"""Protocol S from pictures to report, at miniature size."""

import json
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from mousefacelift.check.config import EvaluateConfig
from mousefacelift.check.single import evaluate_single
from mousefacelift.check.table import format_single
from mousefacelift.cli import main
from mousefacelift.core.samples import read_sample
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.errors import ConfigError, DataError
from mousefacelift.report.config import ReportConfig
from mousefacelift.report.single_section import numbers, single
from mousefacelift.single.animals import film_animals
from mousefacelift.single.plan import animal_questions, frame_questions
from mousefacelift.single.predict import predict_single

from ..distill.toy_poses import write_rings
from .conftest import CONFIG


@pytest.fixture(scope="module")
def animals(tmp_path_factory):
    index = tmp_path_factory.mktemp("beds") / "animals/index.json"
    film_animals("animals", index, CONFIG, 0)
    return index


@pytest.fixture(scope="module")
def run(methods, toy_dataset, animals, tmp_path_factory):
    """Results folder of a whole run over both beds."""
    root = tmp_path_factory.mktemp("results")
    indexes = [root / f"predict_single/{bed}/index.json" for bed in ("frames", "animals")]
    asked = frame_questions(Manifest.open(toy_dataset), CONFIG), animal_questions(animals, CONFIG)
    for index, questions in zip(indexes, asked, strict=True):
        predict_single(questions, index.parent.name, methods, index, CONFIG, 0)
    evaluate_single(indexes, toy_dataset, root / "evaluate_single", EvaluateConfig(sheet_rows=2, bootstrap=50))
    return root


def test_every_camera_in_turn_is_the_picture_and_all_others_judge(toy_dataset):
    asked = frame_questions(Manifest.open(toy_dataset), CONFIG)
    known = [question for question in asked if question.knows_camera]
    assert len(known) == 3 * 6 and len(asked) - len(known) == CONFIG.unknown
    assert {question.camera for question in known} == set(range(6))
    for question in known:
        assert question.camera not in question.cameras and len(question.targets) == 5
        assert [c for c, hidden in zip(question.cameras, question.held_out) if hidden] == [5] * (question.camera != 5)
    table = Manifest.open(toy_dataset).samples
    split = dict(zip(table.loc[table["source"] == "real", "frame"], table.loc[table["source"] == "real", "split"]))
    assert {split[question.frame] for question in asked} <= {"val", "test"}


def test_test_animals_are_filmed_once_and_carry_their_truth(animals):
    sample = read_sample(animals.parent / "000001")
    assert len(sample.views) == 1 + CONFIG.views and sample.facts.details["coat"] == "agouti"
    areas = [float((view.rgba[..., 3] > 0.5).mean()) for view in sample.views]
    assert min(areas) > 0.02 and max(areas) < 0.5
    with np.load(animals.parent / "000001/truth.npz") as truth:
        assert set(np.unique(truth["part"])) == {0, 1, 2, 3} and truth["own"].shape == (CONFIG.views, 48, 48)
        assert 0.5 < truth["seen"].mean() < 1
        drawn = truth["own"][0] != 255
        assert (drawn & (sample.views[1].rgba[..., 3] > 0.3)).sum() > 0.9 * drawn.sum()  # truth and picture agree
    before = (animals.parent / "000001/images/cam_000.png").stat().st_mtime_ns
    assert film_animals("animals", animals, CONFIG, 0)["items"]
    other = animals.parents[1] / "other/index.json"
    film_animals("animals", other, CONFIG, 1)
    first, second = (read_sample(p.parent / "000001").views[0].rgba for p in (animals, other))
    assert before and not np.array_equal(first, second)
    with pytest.raises(ConfigError, match=r"single\.mammal"):
        film_animals("mammal", other, CONFIG, 0)


def test_every_method_is_judged_on_every_view(run):
    views = pd.read_parquet(run / "evaluate_single/views.parquet")
    known = views[views["knows_camera"]]
    assert set(known["method"]) == {"model", "nearest", "others", "one_silhouette", "mean_image", "white"}
    assert set(views.loc[~views["knows_camera"], "method"]) == {"model", "nearest"}
    counts = known.groupby(["bed", "method"]).size()
    assert (counts["animals"] == 2 * CONFIG.views).all() and (counts["frames"] == 3 * 6 * 5).all()
    assert known["iou"].notna().all() and (known.loc[known["method"] == "white", "iou"] == 0).all()
    solids = pd.read_parquet(run / "evaluate_single/solids.parquet")
    assert set(solids["method"]) == {"model", "nearest", "others"} and set(solids["bed"]) == {"animals"}


def test_the_summary_says_everything_the_specification_asks_for(run):
    summary = json.loads((run / "evaluate_single/summary.json").read_text())
    frames, animals = summary["beds"]["frames"], summary["beds"]["animals"]
    for bed in (frames, animals):
        assert set(bed["known"]["model"]["iou"]) >= {"mean", "n", "n_eff", "low", "high"}
        assert set(bed["estimates"]) == {"model", "nearest"} and bed["unusual"]["pictures"] > 0
        assert {"turn_error", "elevation_error", "scale_error"} == set(bed["estimates"]["model"])
        assert bed["paired"]["iou"]["n"] == bed["known"]["model"]["iou"]["n"] and bed["by_angle"]
        assert bed["collapse"]["judged"] and "variance_ratio" in bed["collapse"]["metrics"]
    assert frames["known"]["model"]["iou"]["n"] == 3 and set(frames["held_out_camera"]) >= {"model", "nearest"}
    assert {"recall_tail", "volume_iou", "chamfer", "f1", "head_tail_swap", "left_right_swap"} <= set(
        animals["solid"]["model"]
    )
    assert summary["verdict"]["bed"] == "frames" and "nearest filmed pose" in format_single(summary)


def test_the_report_begins_with_the_verdict_and_the_turntable(run):
    section = single(run, ReportConfig())
    verdict = json.loads((run / "evaluate_single/summary.json").read_text())["verdict"]
    assert section.blocks[0].text == verdict["text"]
    assert section.blocks[1].uri.startswith("data:image/webp") and "turntable" in section.blocks[1].title
    assert any("error against angle" in block.title for block in numbers(run, ReportConfig()).blocks)


@pytest.mark.parametrize("dies", ["in the model, at its second call", "behind it, at the second picture"])
def test_a_killed_prediction_goes_on_with_the_batch_of_the_next_picture(methods, animals, tmp_path, monkeypatch, dies):
    monkeypatch.setattr("mousefacelift.single.predict.AT_ONCE", 2)
    questions, sizes, others = animal_questions(animals, CONFIG)[:3], [], []

    class Model:
        def answers(self, pictures, *rest):
            sizes.append(len(pictures))
            if "model" in dies and len(sizes) == 2:
                raise InterruptedError
            return [methods.nearest.answer(picture, True, 0) for picture in pictures]

    class Nearest:
        def answer(self, *args):
            others.append(args)
            if "behind" in dies and len(others) == 2:
                raise InterruptedError
            return methods.nearest.answer(*args)

    index, deadly = tmp_path / "animals/index.json", replace(methods, model=Model(), nearest=Nearest())
    with pytest.raises(InterruptedError):
        predict_single(questions, "animals", deadly, index, CONFIG, 0)
    document = predict_single(questions, "animals", deadly, index, CONFIG, 0)
    assert sizes == ([2, 1, 1] if "model" in dies else [2, 2, 1])
    assert len(document["items"]) == 3 and len(others) == (3 if "model" in dies else 4)


def test_predictions_of_nothing_are_refused(toy_dataset, tmp_path):
    (tmp_path / "index.json").write_text(json.dumps({"key": "0", "header": {"bed": "frames", "size": 32}, "items": []}))
    with pytest.raises(DataError, match="are empty"):
        evaluate_single([tmp_path / "index.json"], toy_dataset, tmp_path / "out", EvaluateConfig())


def test_the_commands_run_from_folders_and_refuse_a_bed_without_its_pictures(trained, animals, tmp_path, capsys):
    index, splits = write_rings(tmp_path)
    assert (
        main(["distill", "library", "--rings", str(index), "--splits", str(splits), "--out", str(tmp_path / "l")]) == 0
    )
    (tmp_path / "gen").mkdir()
    facts = {"kind": "nearest", "library": "../l", "weights": {}, "photo_area": 0.1}
    (tmp_path / "gen/generator.json").write_text(json.dumps(facts))
    nearest = {"candidates": 1, "refined": 1, "steps": 1}
    config = {"single": asdict(CONFIG), "distill": {"generator": {"kind": "nearest"}, "nearest": nearest}}
    command = ["single", "predict", "--bed", "animals", "--model", str(trained), "--generator", str(tmp_path / "gen")]
    command += ["--library", str(tmp_path / "l"), "--out", str(tmp_path / "p/index.json")]
    command += ["--config-json", json.dumps(config)]
    assert main(command) == 2 and "--animals" in capsys.readouterr().err
    assert main([*command, "--animals", str(animals)]) == 0
    document = json.loads((tmp_path / "p/index.json").read_text())
    assert len(document["items"]) == CONFIG.animals + CONFIG.unknown and document["header"]["size"] == 32
