"""A run that dies goes on with the same bits, whatever it was doing; nothing of another configuration is mixed in or
lost."""

import csv
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from mousefacelift.dataset.config import LoaderConfig
from mousefacelift.errors import DataError
from mousefacelift.lrm import train as train_module
from mousefacelift.lrm.config import OptimizerConfig
from mousefacelift.lrm.run import TrainRequest
from mousefacelift.lrm.runlog import RunTable
from mousefacelift.lrm.state import Checkpoints, RunState
from mousefacelift.lrm.train import train

from .conftest import TINY
from .toy import build_toy_dataset

ROOT = Path(__file__).resolve().parents[2]


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


def assert_same_run(one, two, last_step):
    """Weights, optimiser state and every logged number of two runs are equal, bit for bit."""
    want, got = load_file(one / "model.safetensors"), load_file(two / "model.safetensors")
    assert all(torch.equal(want[name], got[name]) for name in want)
    last = f"checkpoints/step_{last_step:08d}/training.pt"
    want, got = (torch.load(folder / last, weights_only=True)["optimizer"]["state"] for folder in (one, two))
    assert want and all(
        torch.equal(want[i][name], got[i][name]) for i in want for name in ("exp_avg", "exp_avg_sq", "step")
    )
    for table in ("metrics.csv", "validation.csv"):
        want, got = (list(csv.DictReader(open(folder / table))) for folder in (one, two))
        assert [{k: v for k, v in row.items() if k not in ("samples_per_s", "wait_share")} for row in want] == [
            {k: v for k, v in row.items() if k not in ("samples_per_s", "wait_share")} for row in got
        ]


@pytest.fixture
def fresh_accelerator():
    """Precision is fixed for a process: forget it before and after a test that trains in another one."""
    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


@pytest.mark.parametrize(
    "killed_at,changes",
    [
        (3, {}),
        (5, {}),
        (3, {"layers": "lora", "lora_rank": 4}),
        (3, {"layers": "frozen", "frozen_share": 0.5}),
        (3, {"precision": "bf16", "checkpoint_activations": True, "optimizer": OptimizerConfig(batch=2, accumulate=2)}),
    ],
)
def test_a_killed_and_resumed_run_equals_the_uninterrupted_one_bit_for_bit(
    request_for, trained, monkeypatch, fresh_accelerator, killed_at, changes
):
    request = request_for("killed", **changes)
    with monkeypatch.context() as patch:
        kill_after(patch, killed_at)
        with pytest.raises(Killed):
            train(request)
    assert not (request.out / "model.safetensors").exists()
    train(request)
    assert_same_run(train(request_for("whole", **changes)) if changes else trained, request.out, 6)


def test_killed_at_any_moment_even_while_writing_a_run_goes_on_with_the_same_bits(toy_dataset, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.lrm.kill_worker", str(toy_dataset), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    status = json.loads(done.stdout.splitlines()[-1])
    assert status.pop("whole") == 0 and status.pop("last") == 0
    assert status.pop("on_a_full_disk") == 5 and "likely: a full disk" in done.stderr
    assert len(status) == 9 and all(
        code == -9 or name.startswith("after") and code == 0 for name, code in status.items()
    )
    assert_same_run(tmp_path / "whole", tmp_path / "killed", 12)
    assert not list((tmp_path / "killed" / "checkpoints").glob(".*"))  # no half-written rest
    assert len(list((tmp_path / "killed" / "checkpoints").iterdir())) <= 3  # the last two and the best


def test_a_run_killed_before_it_could_delete_old_checkpoints_deletes_them_when_it_resumes(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path, keep_last=2)
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "_delete_old", lambda *_: None)
        for step in (1, 2, 3, 4):
            checkpoints.save(RunState("key", step=step, best_step=1), {})
    found = checkpoints.resume(RunState("key"))
    assert found is not None and found[0].step == 4 and checkpoints.steps() == [1, 3, 4]


@pytest.mark.parametrize(
    "fault,message", [("missing", "cannot be read"), ("changed", "is not what the manifest lists")]
)
def test_a_file_lost_or_changed_during_a_run_is_named_and_the_run_goes_on_when_it_is_back(
    trained, tmp_path, monkeypatch, fault, message
):
    request = TrainRequest(
        "no-synthetic",
        build_toy_dataset(tmp_path / "dataset"),
        tmp_path / "run",
        TINY,
        loader=LoaderConfig(image_size=32),
    )
    images, real = sorted((tmp_path / "dataset").rglob("cam_*.png")), train_module.take_step
    before = [path.read_bytes() for path in images]

    def step_and_damage(run, batch):
        real(run, batch)
        if run.state.step == 3:
            for path, data in zip(images, before):
                path.unlink() if fault == "missing" else path.write_bytes(data + b"\n")

    with monkeypatch.context() as patch:
        patch.setattr(train_module, "take_step", step_and_damage)
        with pytest.raises(DataError, match=f"{tmp_path / 'dataset'}.*cam_.*{message}"):
            train(request)
    assert (request.out / "checkpoints" / "step_00000002" / "state.json").is_file()
    for path, data in zip(images, before):
        path.write_bytes(data)
    train(request)
    assert_same_run(trained, request.out, 6)


def test_a_finished_run_is_not_trained_again(request_for, trained, monkeypatch):
    request = dataclasses.replace(request_for(), out=trained)
    kill_after(monkeypatch, 0)
    before = (trained / "model.safetensors").read_bytes()
    train(request)
    assert (trained / "model.safetensors").read_bytes() == before


def test_checkpoints_of_another_configuration_are_set_aside_and_taken_up_again(request_for, capsys, monkeypatch):
    first, second = request_for(steps=2, validate_every=2), request_for(steps=3, validate_every=3)
    train(first)
    train(second)
    assert "the configuration changed" in capsys.readouterr().out
    assert len(list(first.out.glob("checkpoints-*"))) == 1
    kill_after(monkeypatch, 0)
    train(first)  # finished before: nothing is trained
    train(second)
    assert len(list(first.out.glob("checkpoints-*"))) == 1


def test_other_weights_to_start_from_are_another_configuration(request_for, trained, tmp_path, capsys):
    from mousefacelift.lrm.weights import read_facts, read_model, write_model

    model, sizes = read_model(trained)
    for factor in (1.0, 1.001):
        write_model(tmp_path / "start", {k: v * factor for k, v in model.state_dict().items()}, sizes, {})
        request = request_for(init=str(tmp_path / "start"), steps=1)
        train(request)
    assert "the configuration changed" in capsys.readouterr().out and read_facts(request.out)["init"] == str(
        tmp_path / "start"
    )


def test_the_best_checkpoint_and_the_last_ones_are_kept(request_for, monkeypatch):
    real, calls = train_module.validate, []

    def ever_worse(*arguments):
        values, *rest = real(*arguments)
        calls.append(1)
        return values | {"fg_psnr": -float(len(calls))}, *rest

    monkeypatch.setattr(train_module, "validate", ever_worse)
    request = request_for(
        steps=8, validate_every=2, save_every=1, keep_last=2, optimizer=OptimizerConfig(learning_rate=0.5, accumulate=2)
    )
    train(request)
    state = json.loads((request.out / "checkpoints" / "step_00000008" / "state.json").read_text())
    kept = sorted(int(path.name[5:]) for path in (request.out / "checkpoints").iterdir())
    assert kept == sorted({7, 8, state["best_step"]}) and state["best_step"] == 2
    best = dataclasses.replace(
        request, train=dataclasses.replace(request.train, keep="best"), out=request.out.with_name("best")
    )
    train(best)
    want = torch.load(best.out / "checkpoints" / f"step_{state['best_step']:08d}" / "training.pt", weights_only=True)[
        "model"
    ]
    got = load_file(best.out / "model.safetensors")
    assert all(torch.equal(want[name], got[name]) for name in want)
    assert json.loads((best.out / "config.json").read_text())["step"] == state["best_step"]


@pytest.mark.parametrize("damage", ["state.json", "training.pt", "zeros"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before_with_a_word(
    request_for, trained, monkeypatch, capsys, damage
):
    request = request_for()
    with monkeypatch.context() as patch:
        kill_after(patch, 5)
        with pytest.raises(Killed):
            train(request)
    newest = request.out / "checkpoints" / "step_00000004"
    path = newest / ("training.pt" if damage == "zeros" else damage)
    data = path.read_bytes()
    path.write_bytes(bytes(len(data)) if damage == "zeros" else data[: len(data) // 2])
    train(request)
    told = capsys.readouterr().err
    assert "passed over" in told and str(newest) in told and "resumed at step 3 of 6" in told
    assert_same_run(trained, request.out, 6)


def test_a_run_without_a_whole_checkpoint_stops_with_the_way_out(request_for):
    request = request_for(steps=3, validate_every=3)
    train(request)
    for path in (request.out / "checkpoints").glob("*/training.pt"):
        path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match="cannot be read") as caught:
        train(request)
    assert f"delete {request.out / 'checkpoints'}" in str(caught.value)


def test_a_run_goes_on_with_the_threads_it_began_with(request_for, trained, monkeypatch, capsys):
    """Another number of threads adds in another order and gives other bits."""
    began = torch.get_num_threads()
    request = request_for()
    with monkeypatch.context() as patch:
        kill_after(patch, 3)
        with pytest.raises(Killed):
            train(request)
    torch.set_num_threads(began + 1)
    try:
        train(request)
        assert torch.get_num_threads() == began
    finally:
        torch.set_num_threads(began)
    assert f"{began} threads as when the run began" in capsys.readouterr().err
    assert_same_run(trained, request.out, 6)


def test_more_samples_a_step_by_choice_is_another_configuration(request_for, capsys):
    train(request_for(steps=1))
    train(request_for(steps=1, optimizer=OptimizerConfig(accumulate=3)))
    assert "the configuration changed" in capsys.readouterr().out


def test_a_full_disk_under_a_table_is_told_and_a_torn_row_is_dropped(tmp_path):
    table = RunTable(tmp_path / "metrics.csv", 0)
    table.add({"step": 10, "loss": 0.5})
    table.add({"step": 20, "loss": 0.25})
    with open(table.path, "a") as stream:
        stream.write("3")
    assert [row["step"] for row in RunTable(table.path, 100).rows] == ["10", "20"]
    table.path.unlink()
    table.path.symlink_to("/dev/full")
    with pytest.raises(DataError, match="metrics.csv cannot be written") as caught:
        table.add({"step": 30, "loss": 0.1})
    assert "No space left" in str(caught.value)
