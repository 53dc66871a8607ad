"""One job is one launch: processes of one node, nodes of a SLURM allocation, and what several processes learn
together."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mousefacelift.errors import ConfigError
from mousefacelift.lrm.config import LaunchConfig
from mousefacelift.lrm.launch import allocated_hosts, launch_command
from mousefacelift.workflow import training_resources
from tests.warm import run_warm

from .forked_ranks import IMPORTS

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "preset": "tiny",
    "steps": 5,
    "validate_every": 2,
    "save_every": 3,
    "log_every": 1,
    "validation_frames": 2,
    "trackers": [],
    "precision": "fp32",
}


def test_one_process_needs_no_launch_and_several_take_torchrun():
    assert launch_command(LaunchConfig(), 1, ["lrm", "train"], env={}) is None
    command = launch_command(LaunchConfig(), 4, ["lrm", "train"], env={})
    assert command[command.index("--nproc-per-node") + 1] == "4" and "--standalone" in command
    assert command[-4:] == ["-m", "mousefacelift", "lrm", "train"]
    command = launch_command(LaunchConfig(cpu_processes=2), 0, ["lrm", "train"], env={})
    assert command[command.index("--nproc-per-node") + 1] == "2"


def test_several_nodes_take_one_torchrun_each_through_srun():
    command = launch_command(LaunchConfig(nodes=2), 8, ["lrm", "train"], ["node1", "node2"], {"SLURM_JOB_ID": "77"})
    assert command[0] == "srun" and {"--nodes=2", "--ntasks-per-node=1"} <= set(command) and "node1:29511" in command
    assert command[command.index("--nnodes") + 1] == "2" and command[command.index("--nproc-per-node") + 1] == "8"
    with pytest.raises(ConfigError, match="SLURM allocation"):
        launch_command(LaunchConfig(nodes=2), 8, [], ["node1"], {"SLURM_JOB_ID": "77"})


def test_the_hosts_of_an_allocation_come_from_slurm_itself(tmp_path, monkeypatch):
    for name, answer in (("squeue", "n[1-2]"), ("scontrol", "n1\nn2")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{answer}'\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert allocated_hosts({}) == [] and allocated_hosts({"SLURM_JOB_ID": "77"}) == ["n1", "n2"]
    (tmp_path / "squeue").write_text("#!/bin/sh\necho 'Invalid job id' >&2; exit 1\n")
    with pytest.raises(ConfigError, match="which nodes"):
        allocated_hosts({"SLURM_JOB_ID": "77"})


def test_the_rule_asks_for_the_nodes_and_gpus_of_the_configuration():
    def asked(nodes, gpus):
        return training_resources({"train": {"launch": {"nodes": nodes}}, "jobs": {"gpus": {"train": gpus}}})

    assert asked(1, 4) == {"node_gpus": 4, "gpu": 4} and asked(1, 0) == {"node_gpus": 0, "gpu": 0}
    assert asked(2, 8) == {"node_gpus": 8, "nodes": 2, "tasks": 2, "tasks_per_gpu": 0, "mpi": "srun", "gres": "gpu:8"}


def train_arguments(dataset, out, **changes):
    section = {"train": SETTINGS | changes, "loader": {"image_size": 32}}
    return [
        "lrm",
        "train",
        "--arm",
        "no-synthetic",
        "--dataset",
        str(dataset),
        "--out",
        str(out),
        "--config-json",
        json.dumps(section),
    ]


def start(command, **env):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, env=os.environ | env)


def forked(processes, arguments):
    """The command in so many ranks of one thread, which a warm process forks."""
    done = run_warm("tests.lrm.forked_ranks:main", ["", str(processes), *arguments], IMPORTS, 300)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def two_ranks(notes, arguments, **env):
    """Two processes by the launcher's own torchrun, each noting what it did: (finished process, notes of both)."""
    notes.mkdir(exist_ok=True)
    launcher = [sys.executable, "-m", "mousefacelift.lrm.launch", "--standalone", "--nproc-per-node", "2"]
    done = start([*launcher, "-m", "tests.lrm.rank_worker", str(notes), *arguments], **env)
    return done, [json.loads((notes / f"rank{rank}.json").read_text()) for rank in (0, 1)]


def test_two_processes_share_a_step_and_learn_what_one_learns(toy_dataset, tmp_path):
    """The optimiser sees the same global batch of two samples, so weights and logged losses agree but for rounding."""
    one = forked(1, train_arguments(toy_dataset, tmp_path / "one", optimizer={"accumulate": 2}))
    assert one.returncode == 0, one.stderr
    two, ranks = two_ranks(
        tmp_path / "notes", train_arguments(toy_dataset, tmp_path / "two", optimizer={"accumulate": 1})
    )
    assert two.returncode == 0, two.stderr
    mixture = [json.loads((tmp_path / name / "mixture.json").read_text()) for name in ("one", "two")]
    assert mixture[0] == mixture[1] and mixture[0]["batch"] == 2
    for step in map(str, range(1, 6)):
        assert ranks[0][step]["weights"] == ranks[1][step]["weights"]
        assert len(ranks[0][step]["rows"]) == len(ranks[1][step]["rows"]) == 1
    assert any(ranks[0][step]["rows"] != ranks[1][step]["rows"] for step in ranks[0])
    tables = [list(csv.DictReader(open(tmp_path / name / "metrics.csv"))) for name in ("one", "two")]
    for want, got in zip(*tables, strict=True):
        for name in ("loss", "l2", "alpha", "fg_psnr", "grad_norm"):
            assert float(got[name]) == pytest.approx(float(want[name]), rel=1e-3), name
    want, got = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name in want:
        torch.testing.assert_close(got[name], want[name], rtol=1e-4, atol=2e-4)  # Adam's first steps amplify rounding


@pytest.mark.slow
def test_two_processes_of_which_one_was_killed_go_on_with_the_same_bits(toy_dataset, tmp_path):
    arguments = train_arguments(toy_dataset, tmp_path / "killed")
    done, _ = two_ranks(tmp_path / "notes", arguments, DIE_AT="4")
    assert done.returncode not in (0, 2, 3)
    done, resumed = two_ranks(tmp_path / "notes", arguments)
    assert done.returncode == 0 and "resumed at step" in done.stderr, done.stderr
    whole = start(
        [
            sys.executable,
            "-m",
            "mousefacelift",
            *train_arguments(toy_dataset, tmp_path / "whole", launch={"cpu_processes": 2}),
        ]
    )
    assert whole.returncode == 0, whole.stderr
    want, got = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed"))
    assert all(torch.equal(want[name], got[name]) for name in want)
    assert resumed[0].keys() == resumed[1].keys() and "1" not in resumed[0]


@pytest.mark.slow
def test_a_gate_that_stops_several_processes_keeps_its_exit_code(toy_dataset, tmp_path):
    arguments = train_arguments(
        toy_dataset, tmp_path / "out", launch={"cpu_processes": 2}, optimizer={"skip_norm": 1e-9}, guards={"after": 2}
    )
    done = start([sys.executable, "-m", "mousefacelift", *arguments])
    assert done.returncode == 3 and "only 0 of 2 training steps could be applied" in done.stderr


def run_of(dataset, out, processes, batch, accumulate):
    settings = {"optimizer": {"batch": batch, "accumulate": accumulate}, "launch": {"cpu_processes": processes}}
    return forked(processes, train_arguments(dataset, out, **settings))


def stopped_at_step_3(toy_dataset, tmp_path, processes, batch, accumulate):
    """A run whose newest checkpoint is that of step 3, as after a kill."""
    done = run_of(toy_dataset, tmp_path, processes, batch, accumulate)
    assert done.returncode == 0, done.stderr
    whole = load_file(tmp_path / "model.safetensors")
    shutil.rmtree(tmp_path / "checkpoints/step_00000005")
    (tmp_path / "model.safetensors").unlink()
    return whole


def test_a_run_goes_on_bit_for_bit_on_another_number_of_processes(toy_dataset, tmp_path):
    whole = stopped_at_step_3(toy_dataset, tmp_path / "run", 1, 1, 4)
    shutil.copytree(tmp_path / "run", tmp_path / "again")
    for out, processes, accumulate in (("run", 2, 2), ("again", 4, 1)):
        done = run_of(toy_dataset, tmp_path / out, processes, 1, accumulate)
        assert done.returncode == 0 and "resumed at step" in done.stderr, done.stderr
        got = load_file(tmp_path / out / "model.safetensors")
        assert [name for name in whole if not torch.equal(whole[name], got[name])] == []


def test_a_run_with_another_global_batch_stops_and_never_starts_anew(toy_dataset, tmp_path):
    stopped_at_step_3(toy_dataset, tmp_path / "run", 1, 1, 2)
    before = sorted(path.name for path in (tmp_path / "run/checkpoints").iterdir())
    for batch, accumulate in ((1, 2), (2, 1)):
        done = run_of(toy_dataset, tmp_path / "run", 2, batch, accumulate)
        assert done.returncode == 2 and "steps of another size" in done.stderr, done.stderr
        assert "4 samples a step on 2 processes" in done.stderr
    assert sorted(path.name for path in (tmp_path / "run/checkpoints").iterdir()) == before
