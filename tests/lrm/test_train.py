"""Training: exact resume, guards, what a finished run leaves behind."""

import csv
import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file

from mousefacelift.errors import ConfigError, DataError, GateFailure, MissingWeights
from mousefacelift.lrm import train as train_module
from mousefacelift.lrm.config import GuardConfig, OptimizerConfig
from mousefacelift.lrm.run import plan_sampler, prepare
from mousefacelift.lrm.step import learning_rate
from mousefacelift.lrm.train import check_alarm, check_applied, train
from mousefacelift.lrm.weights import read_facts, read_model


class Killed(Exception):
    pass


def kill_after(monkeypatch, steps):
    """Make training die in the middle, as a killed process would, after `steps` further steps."""
    real, taken = train_module.take_step, []

    def step_or_die(run, batch):
        if len(taken) == steps:
            raise Killed
        taken.append(1)
        real(run, batch)

    monkeypatch.setattr(train_module, "take_step", step_or_die)


@pytest.mark.parametrize("killed_at", [3, 5])
def test_a_killed_and_resumed_run_equals_the_uninterrupted_one_bit_for_bit(request_for, trained, monkeypatch, killed_at):
    request = request_for()
    with monkeypatch.context() as patch:
        kill_after(patch, killed_at)
        with pytest.raises(Killed):
            train(request)
    assert not (request.out / "model.safetensors").exists()
    train(request)
    want, got = load_file(trained / "model.safetensors"), load_file(request.out / "model.safetensors")
    assert all(torch.equal(want[name], got[name]) for name in want)
    last = "checkpoints/step_00000006/training.pt"
    want, got = (torch.load(folder / last, weights_only=True)["optimizer"]["state"] for folder in (trained, request.out))
    assert all(torch.equal(want[i][name], got[i][name]) for i in want for name in ("exp_avg", "exp_avg_sq", "step"))
    want, got = (list(csv.DictReader(open(folder / "metrics.csv"))) for folder in (trained, request.out))
    assert [{k: v for k, v in row.items() if k != "samples_per_s"} for row in want] == \
           [{k: v for k, v in row.items() if k != "samples_per_s"} for row in got]


def test_a_finished_run_is_not_trained_again(request_for, trained, monkeypatch):
    request = dataclasses.replace(request_for(), out=trained)
    kill_after(monkeypatch, 0)
    before = (trained / "model.safetensors").read_bytes()
    train(request)
    assert (trained / "model.safetensors").read_bytes() == before


def test_checkpoints_of_another_configuration_are_set_aside(request_for, capsys):
    train(request_for(steps=2, validate_every=2))
    request = request_for(steps=3, validate_every=3)
    train(request)
    assert "training starts anew" in capsys.readouterr().out
    assert len(list(request.out.glob("checkpoints-*"))) == 1


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


def test_training_lowers_the_loss_on_the_toy_dataset(trained):
    rows = list(csv.DictReader(open(trained / "validation.csv")))
    assert float(rows[-1]["fg_psnr"]) > float(rows[0]["fg_psnr"]) - 0.5


def test_a_step_with_an_outlier_gradient_is_skipped_and_counted(request_for):
    run = prepare(request_for(optimizer=OptimizerConfig(skip_norm=1e-9)))
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    from mousefacelift.dataset.loader import make_loader
    from mousefacelift.lrm.step import take_step

    take_step(run, next(iter(make_loader(run.manifest, run.sampler, run.request.loader))))
    assert (run.state.skipped, run.state.applied, run.state.step) == (1, 0, 1)
    assert all(torch.equal(before[name], value) for name, value in run.model.state_dict().items())
    run.state.step = run.state.skipped = 100
    with pytest.raises(GateFailure, match="only 0 of 100 training steps"):
        check_applied(run)


def test_the_alarm_stops_a_run_only_when_asked_and_only_when_it_lasts(request_for):
    run = prepare(request_for(guards=GuardConfig(stop_on_collapse=True, alarm_after=0.0, patience=2)))
    run.state.step = 6
    run.state.alarms = [{"step": 6, "collapses": ["mean_image"]}]
    check_alarm(run)
    run.state.alarms.insert(0, {"step": 3, "collapses": ["mean_image"]})
    with pytest.raises(GateFailure, match="collapsed .mean_image"):
        check_alarm(run)


def test_the_learning_rate_warms_up_and_ends_at_zero():
    config = OptimizerConfig(learning_rate=1.0, warmup_steps=10)
    rates = [learning_rate(config, step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1.0) and rates[10] == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.0, abs=1e-12)
    assert all(a >= b for a, b in zip(rates[10:], rates[11:]))


def test_a_full_disk_leaves_the_earlier_checkpoints(request_for, monkeypatch):
    request = request_for()
    real, calls = torch.save, []

    def full(tensors, path):
        calls.append(path)
        if len(calls) == 2:
            raise RuntimeError("PytorchStreamWriter failed writing file: No space left on device")
        real(tensors, path)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(DataError, match="cannot be written") as caught:
            train(request)
    assert "No space left" in str(caught.value)
    assert [path.name for path in (request.out / "checkpoints").iterdir()] == ["step_00000002"]
    train(request)
    assert (request.out / "config.json").exists()


def test_bad_settings_are_refused(request_for, tmp_path):
    with pytest.raises(MissingWeights, match="weights to start from are missing"):
        prepare(request_for(init=str(tmp_path / "nowhere")))
    with pytest.raises(ConfigError, match="unknown model preset"):
        prepare(request_for(preset="smal"))
    with pytest.raises(ConfigError, match="at least 1"):
        prepare(request_for(steps=0))
    with pytest.raises(DataError, match="source 'distilled'"):
        plan_sampler(dataclasses.replace(request_for(), arm="80-20"))


def test_training_starts_from_given_weights_and_inherits_their_licence(request_for, trained, tmp_path):
    (trained / "LICENSE.txt").write_text("research only")
    request = request_for(init=str(trained), steps=1, optimizer=OptimizerConfig(learning_rate=0.0))
    try:
        train(request)
    finally:
        (trained / "LICENSE.txt").unlink()
    want, got = read_model(trained)[0].state_dict(), read_model(request.out)[0].state_dict()
    assert all(torch.allclose(want[name], got[name]) for name in want)
    assert (request.out / "LICENSE.txt").read_text() == "research only"


@pytest.mark.slow
def test_two_processes_train_like_one(request_for, toy_dataset, tmp_path):
    import subprocess
    import sys

    settings = {"preset": "tiny", "steps": 2, "validate_every": 2, "trackers": [], "precision": "fp32"}

    def run(out, processes):
        section = settings | {"launch": {"cpu_processes": processes}, "optimizer": {"accumulate": 2 // processes}}
        done = subprocess.run(
            [sys.executable, "-m", "mousefacelift", "lrm", "train", "--arm", "no-synthetic", "--dataset", str(toy_dataset),
             "--out", str(out), "--config-json", json.dumps({"train": section, "loader": {"image_size": 32}})],
            capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return load_file(out / "model.safetensors")

    one, two = run(tmp_path / "one", 1), run(tmp_path / "two", 2)
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=2e-5)


@pytest.mark.slow
def test_a_few_hundred_samples_teach_the_tiny_model_to_follow_its_input(tmp_path):
    from mousefacelift.dataset.config import LoaderConfig
    from mousefacelift.lrm.config import TrainConfig
    from mousefacelift.lrm.run import TrainRequest

    from .toy import build_toy_dataset

    dataset = build_toy_dataset(tmp_path / "dataset", frames=48, objects=40)
    config = TrainConfig(preset="tiny", steps=300, validate_every=100, trackers=())
    out = train(TrainRequest("no-synthetic", dataset, tmp_path / "run", config, loader=LoaderConfig(image_size=32)))
    reached = read_facts(out)["validation"]
    assert reached["fg_psnr"] > 15.5 and reached["skill_over_mean"] > -0.5  # untrained: 14.2 dB and -4.2 dB
    assert reached["input_swap"] > 3 and reached["retrieval_at_1"] > 3 * reached["retrieval_chance"]
