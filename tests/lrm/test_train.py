"""Training: guards, alarm, settings, and what a finished run leaves behind."""

import csv
import dataclasses
import json
import shutil
import time

import pytest
import torch

from mousefacelift.cli import main
from mousefacelift.dataset.config import LoaderConfig
from mousefacelift.dataset.loader import make_loader
from mousefacelift.errors import ConfigError, DataError, GateFailure, MissingWeights
from mousefacelift.lrm.config import GuardConfig, OptimizerConfig
from mousefacelift.lrm.losses import balanced_mean
from mousefacelift.lrm.model_config import PRESETS
from mousefacelift.lrm.models import preset_of
from mousefacelift.lrm.run import chosen_precision, plan_sampler, prepare
from mousefacelift.lrm.step import batch_loss, learning_rate, take_step
from mousefacelift.lrm.train import check_alarm, check_updates, timed, train
from mousefacelift.lrm.weights import read_facts, read_model, write_model
from mousefacelift.report.config import ReportConfig
from mousefacelift.report.data_sections import training as training_section


def test_a_finished_run_says_what_it_saw_and_how_it_did(trained):
    mixture = json.loads((trained / "mixture.json").read_text())
    assert sum(row["count"] for row in mixture["realised"].values()) == mixture["steps"] * mixture["batch"] == 12
    facts = read_facts(trained)
    assert facts["applied_ratio"] == 1.0
    judged = {"skill_over_mean", "variance_ratio", "retrieval_at_1", "coverage", "view_copy", "input_swap"}
    assert judged <= set(facts["validation"])
    for name in ("curriculum.png", "mixture.png", "training.png", "validation.png", "validation.csv"):
        assert (trained / name).stat().st_size > 0
    assert len(list((trained / "checkpoints").iterdir())) <= 3


def test_the_time_that_steps_wait_for_batches_is_in_the_table(trained, request_for):
    rows = list(csv.DictReader(open(trained / "metrics.csv")))
    assert all(0 < float(row["wait_share"]) < 1 for row in rows)
    run = prepare(request_for())

    def slow():
        for _ in range(2):
            time.sleep(0.02)
            yield {}

    began = time.perf_counter()
    assert len([time.sleep(0.05) for _ in timed(slow(), run)]) == 2
    assert 0.04 <= run.waited <= time.perf_counter() - began - 0.1  # what comes between the batches does not count


def test_training_lowers_the_loss_on_the_toy_dataset(trained):
    rows = list(csv.DictReader(open(trained / "validation.csv")))
    assert float(rows[-1]["fg_psnr"]) > float(rows[0]["fg_psnr"]) - 0.5


def test_a_step_with_an_outlier_gradient_is_skipped_and_counted(request_for):
    run = prepare(request_for(optimizer=OptimizerConfig(skip_norm=1e-9, accumulate=2)))
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    take_step(run, next(iter(make_loader(run.manifest, run.sampler, run.request.loader))))
    assert (run.state.skipped, run.state.applied, run.state.step) == (1, 0, 1)
    assert all(torch.equal(before[name], value) for name, value in run.model.state_dict().items())


def test_the_renderer_is_given_the_background_that_lies_under_the_images(request_for, monkeypatch):
    """A network whose Gaussians are invisible renders the background alone."""
    monkeypatch.setitem(PRESETS, "blind", dataclasses.replace(PRESETS["tiny"], opacity_logit_offset=-30.0))
    run = prepare(request_for(preset="blind", precision="fp32", optimizer=OptimizerConfig(batch=3, accumulate=2)))
    batch = next(iter(make_loader(run.manifest, run.sampler, run.request.loader)))
    backgrounds = batch["bg_color"]
    assert len(backgrounds.unique(dim=0)) == len(backgrounds) > 2  # one per sample
    target = batch["image"][:, batch["input_image"].shape[1] :]
    empty = (backgrounds[:, None, :, None, None] - target[:, :, :3]).square().flatten(0, 1)
    want = balanced_mean(empty, target[:, :, 3:].flatten(0, 1), run.request.train.loss.foreground_share).mean()
    assert batch_loss(run, batch)[1]["l2"].item() == pytest.approx(want.item(), rel=1e-4)


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_step_that_is_not_finite_is_skipped_and_leaves_no_trace(request_for, poison):
    run = prepare(request_for())
    batch = next(iter(make_loader(run.manifest, run.sampler, run.request.loader)))
    batch["image"] = batch["image"].clone()
    batch["image"][:, -1, 0, 3, 3] = poison  # of a target, so that the loss is not finite
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    take_step(run, batch)
    assert (run.state.skipped, run.state.applied) == (1, 0) and not run.optimizer.state_dict()["state"]
    assert all(torch.equal(before[name], value) for name, value in run.model.state_dict().items())
    take_step(run, next(iter(make_loader(run.manifest, run.sampler, run.request.loader))))
    assert run.state.applied == 1 and run.state.applied_ratio == 0.5


@pytest.mark.parametrize("applied,stops", [(89, True), (90, False)])
def test_less_than_nine_tenths_applied_steps_stop_a_run(request_for, applied, stops):
    run = prepare(request_for(steps=400))
    run.state.applied, run.state.skipped, run.state.step = applied, 99 - applied, 99
    check_updates(run)  # too early to judge
    run.state.skipped, run.state.step = 100 - applied, 100
    if stops:
        with pytest.raises(GateFailure, match="only 89 of 100 training steps"):
            check_updates(run)
    else:
        check_updates(run)


def test_a_run_too_short_for_the_guard_is_judged_at_its_end_and_stays_stopped(request_for):
    request = request_for(optimizer=OptimizerConfig(skip_norm=1e-9, accumulate=2), save_every=1)
    for _ in range(2):  # starting it again changes nothing
        with pytest.raises(GateFailure, match="only 0 of 6 training steps"):
            train(request)
        assert [row["skipped"] for row in csv.DictReader(open(request.out / "metrics.csv"))] == [
            "1",
            "2",
            "3",
            "4",
            "5",
            "6",
        ]
        assert not (request.out / "config.json").exists()


def test_the_alarm_stops_a_run_only_when_asked_and_only_when_it_lasts(request_for):
    run = prepare(request_for(guards=GuardConfig(stop_on_collapse=True, alarm_after=0.0, patience=2)))
    run.state.step = 6
    run.state.alarms = [{"step": 6, "collapses": ["mean_image"]}]
    check_alarm(run)
    run.state.alarms.insert(0, {"step": 3, "collapses": ["mean_image"]})
    with pytest.raises(GateFailure, match="collapsed .mean_image"):
        check_alarm(run)


@pytest.mark.parametrize("stops", [False, True])
def test_a_tripped_alarm_is_in_the_checkpoints_the_tables_and_the_report_and_stops_when_asked(
    request_for, monkeypatch, stops, tmp_path
):
    """A network whose Gaussians are invisible renders white."""
    monkeypatch.setitem(PRESETS, "blind", dataclasses.replace(PRESETS["tiny"], opacity_logit_offset=-30.0))
    guards = GuardConfig(stop_on_collapse=stops, alarm_after=0.0, patience=2)
    request = request_for("train/blind", preset="blind", steps=12, save_every=100, guards=guards)
    if stops:
        for _ in range(2):  # and stays stopped
            with pytest.raises(GateFailure, match="collapsed .white_out"):
                train(request)
        assert not (request.out / "config.json").exists()
    else:
        train(request)
        assert [alarm["step"] for alarm in read_facts(request.out)["alarms"]] == [3, 6, 9, 12]
    newest = max((request.out / "checkpoints").glob("step_*/state.json"))
    state = json.loads(newest.read_text())
    assert state["step"] == (6 if stops else 12) and state["alarms"][-1] == {
        "step": state["step"],
        "collapses": ["white_out"],
    }
    rows = list(csv.DictReader(open(request.out / "validation.csv")))
    assert {row["collapses"] for row in rows} == {"white_out"} and len(rows) == (2 if stops else 4)
    text = " ".join(block.text for block in training_section(tmp_path, ReportConfig()).blocks if block.kind == "alarm")
    assert "white_out" in text


def test_the_learning_rate_warms_up_and_ends_at_zero():
    config = OptimizerConfig(learning_rate=1.0, warmup_steps=10, accumulate=2)
    rates = [learning_rate(config, step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1.0) and rates[10] == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.0, abs=1e-12)
    assert all(a >= b for a, b in zip(rates[10:], rates[11:]))


@pytest.mark.parametrize(
    "precision,has_gpu,processor,chosen",
    [
        ("auto", True, {}, "bf16"),
        ("auto", False, {}, "fp32"),
        ("auto", False, {"avx512_bf16": True}, "bf16"),
        ("auto", False, {"amx_bf16": True, "avx512_bf16": False}, "bf16"),
        ("auto", False, {"avx512_bf16": False}, "fp32"),
        ("fp32", True, {}, "fp32"),
        ("bf16", False, {}, "bf16"),
        ("fp16", True, {}, "fp16"),
    ],
)
def test_a_gpu_trains_in_bf16_by_default_and_a_processor_where_it_is_fast(precision, has_gpu, processor, chosen):
    assert chosen_precision(precision, has_gpu, processor) == chosen


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("g++") or shutil.which("clang++")), reason="torch.compile needs a C++ compiler on a CPU"
)
def test_compile_by_one_word_trains_the_same_network_under_the_published_names(request_for):
    out = train(request_for(compile=True, precision="fp32"))
    plain = train(request_for("plain", precision="fp32"))
    want, got = read_model(plain)[0].state_dict(), read_model(out)[0].state_dict()
    assert want.keys() == got.keys()
    for name in want:
        torch.testing.assert_close(got[name], want[name], rtol=1e-3, atol=5e-4)  # Adam's first steps amplify rounding


def test_weights_of_another_architecture_than_the_preset_are_refused_and_without_a_preset_taken(
    request_for, trained, tmp_path
):
    with pytest.raises(ConfigError, match="not of the preset's architecture") as caught:
        prepare(request_for(init=str(trained), preset="small"))
    assert "got tiny, expected small" in str(caught.value) and "set train.preset to 'tiny'" in str(caught.value)
    odd = dataclasses.replace(PRESETS["tiny"], layers=1)
    assert preset_of(odd) == "" and preset_of(dataclasses.replace(PRESETS["base"], image_size=128)) == "base"
    state = {name: value for name, value in read_model(trained)[0].state_dict().items() if "layers.1." not in name}
    write_model(tmp_path / "odd", state, odd, {})
    with pytest.raises(ConfigError, match="layers=1"):
        prepare(request_for(init=str(tmp_path / "odd")))
    assert prepare(request_for(init=str(tmp_path / "odd"), preset="")).sizes.layers == 1


def test_bad_settings_are_refused(request_for, tmp_path):
    with pytest.raises(MissingWeights, match="weights to start from are missing"):
        prepare(request_for(init=str(tmp_path / "nowhere")))
    with pytest.raises(ConfigError, match="unknown preset of gslrm"):
        prepare(request_for(preset="smal"))
    with pytest.raises(ValueError, match="steps is 0, and must be 1 or more"):
        prepare(request_for(steps=0))
    with pytest.raises(ConfigError, match="cannot take images of this size"):
        prepare(dataclasses.replace(request_for(), loader=LoaderConfig(image_size=36)))
    with pytest.raises(ConfigError, match="tracker 'wandbb' is not installed or not known"):
        prepare(request_for(trackers=("tensorboard", "wandbb")))
    with pytest.raises(ConfigError, match="needs the alpha"):
        prepare(dataclasses.replace(request_for(), loader=LoaderConfig(image_size=32, keep_alpha=False)))
    with pytest.raises(ConfigError, match="fp16 needs a GPU"):
        prepare(request_for(precision="fp16"))
    with pytest.raises(DataError, match="source 'distilled'"):
        plan_sampler(dataclasses.replace(request_for(), arm="80-20"))
    with pytest.raises(DataError, match="no usable sample") as caught:  # a sample has eight views at most
        plan_sampler(dataclasses.replace(request_for(), loader=LoaderConfig(image_size=32, inputs=(8, 9))))
    assert "expected at least 9 views" in str(caught.value)


@pytest.mark.parametrize(
    "mixture,arm,message",
    [
        ({"mouse": {"cats": 1.0}}, "80-20", "'mixture.mouse.cats' is not known"),
        ({"mouse": {"real": 0.0, "distilled": 0.0, "splat": 0.0}}, "80-20", "sum to 1"),
        ({}, "0-0", "does not sum to 100"),
        ({}, "mostly-mice", "is not known"),
        ({"scan_share": 1.0}, "no-synthetic", "source 'scan'"),
    ],
)
def test_a_mixture_that_is_none_ends_the_command_before_anything_is_written(
    toy_dataset, tmp_path, capsys, mixture, arm, message
):
    code = main(
        [
            "lrm",
            "train",
            "--arm",
            arm,
            "--dataset",
            str(toy_dataset),
            "--out",
            str(tmp_path / "run"),
            "--config-json",
            json.dumps({"train": {"preset": "tiny"}, "mixture": mixture}),
        ]
    )
    assert code == 2 and message in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.csv")) and not list(tmp_path.rglob("*.png"))


def test_training_starts_from_given_weights_and_inherits_their_licence(request_for, trained, tmp_path):
    (trained / "LICENSE.txt").write_text("research only")
    request = request_for(init=str(trained), steps=1, optimizer=OptimizerConfig(learning_rate=0.0, accumulate=2))
    try:
        train(request)
    finally:
        (trained / "LICENSE.txt").unlink()
    want, got = read_model(trained)[0].state_dict(), read_model(request.out)[0].state_dict()
    assert all(torch.allclose(want[name], got[name]) for name in want)
    assert (request.out / "LICENSE.txt").read_text() == "research only"


@pytest.mark.slow
def test_a_few_hundred_samples_teach_the_tiny_model_to_follow_its_input(tmp_path):
    from mousefacelift.lrm.config import TrainConfig
    from mousefacelift.lrm.run import TrainRequest

    from .toy import build_toy_dataset

    dataset = build_toy_dataset(tmp_path / "dataset", frames=48, objects=40)
    config = TrainConfig(preset="tiny", steps=300, validate_every=100, trackers=())
    out = train(TrainRequest("no-synthetic", dataset, tmp_path / "run", config, loader=LoaderConfig(image_size=32)))
    reached = read_facts(out)["validation"]
    assert reached["fg_psnr"] > 16.2 and reached["skill_over_mean"] > 0  # measured: 16.7 dB and 0.5 dB
    assert reached["input_swap"] > 4 and reached["retrieval_at_1"] > 6 * reached["retrieval_chance"]
