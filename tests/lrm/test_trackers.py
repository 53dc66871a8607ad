"""Trackers: tensorboard built in, wandb when it is installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mousefacelift.lrm.train import train

ROOT = Path(__file__).resolve().parents[2]
# What accelerate's tracker calls of the wandb package; every call is noted in WANDB_NOTES.
STUB = """
import json, os

def note(name, **what):
    with open(os.environ["WANDB_NOTES"], "a") as stream:
        stream.write(json.dumps({"call": name, **what}) + "\\n")

class Run:
    def log(self, values, step=None, **_):
        note("log", step=step, values=values)

    def finish(self):
        note("finish")

class config:
    update = staticmethod(lambda values, **_: note("config", values=values))

def init(project=None, **_):
    note("init", project=project)
    return Run()
"""


def test_tensorboard_holds_what_the_tables_hold(request_for):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = train(request_for(trackers=("tensorboard",)))
    events = EventAccumulator(str(next((out / "logs").rglob("events.out.tfevents.*")).parent))
    events.Reload()
    names = events.Tags()["scalars"]
    assert {
        "loss",
        "fg_psnr",
        "applied_ratio",
        "grad_norm",
        "count_real",
        "epochs_real",
        "validation/fg_psnr",
        "validation/skill_over_mean",
        "validation/variance_ratio",
        "validation/retrieval_at_1",
        "validation/coverage",
        "validation/view_copy",
        "validation/input_swap",
        "validation/full_psnr",
    } <= set(names)
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3, 4, 5, 6]
    assert [event.step for event in events.Scalars("validation/fg_psnr")] == [3, 6]


@pytest.mark.slow
def test_wandb_is_told_the_same_when_it_is_installed(toy_dataset, tmp_path):
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb" / "__init__.py").write_text(STUB)
    (tmp_path / "wandb-0.20.0.dist-info").mkdir()
    (tmp_path / "wandb-0.20.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: wandb\nVersion: 0.20.0\n"
    )
    section = {
        "preset": "tiny",
        "steps": 2,
        "validate_every": 2,
        "log_every": 1,
        "validation_frames": 2,
        "trackers": ["wandb"],
    }
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mousefacelift",
            "lrm",
            "train",
            "--arm",
            "no-synthetic",
            "--dataset",
            str(toy_dataset),
            "--out",
            str(tmp_path / "run"),
            "--config-json",
            json.dumps({"train": section, "loader": {"image_size": 32}}),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "WANDB_NOTES": str(tmp_path / "notes")},
    )
    assert done.returncode == 0, done.stderr
    notes = [json.loads(line) for line in (tmp_path / "notes").read_text().splitlines()]
    assert [note["call"] for note in notes] == ["init", "config", "log", "log", "log", "finish"]
    assert notes[1]["values"] == {"arm": "no-synthetic", "steps": 2}
    assert "loss" in notes[2]["values"] and "validation/fg_psnr" in notes[4]["values"] and notes[4]["step"] == 2
