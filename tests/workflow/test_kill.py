"""Killing the whole run at random moments, in every way a user or a machine does it, changes nothing in the result.

python -m pytest -m slow tests/workflow/test_kill.py
"""

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIG = [str(ROOT / "config.yaml"), str(ROOT / "tests/configs/tiny.yaml")]
RECORDS = (
    "logs/",
    "benchmarks/",
    "dataset/parts/",
    "train/80-20/logs/",
)  # diaries and caches; everything else is a result
CLOCK = {"elapsed_s", "load_s", "total_s", "seconds", "samples_per_s"}  # keys and columns that hold wall time


def start(folder):
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-s",
        str(ROOT / "Snakefile"),
        "--directory",
        str(folder),
        "--cores",
        "2",
        "--rerun-incomplete",
        "--configfile",
        *CONFIG,
    ]
    with open(folder / "run.log", "a") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


def kill(run, how):
    """how: 'alone' (kill -9 of Snakemake, its jobs live on), or the signal that Ctrl-C, a shutdown or a power cut sends
    to all."""
    if how == "alone":
        run.kill()
    else:
        os.killpg(run.pid, {"interrupt": signal.SIGINT, "terminate": signal.SIGTERM, "power cut": signal.SIGKILL}[how])
    run.wait()


def finished(folder):
    """Jobs that ended in the folder's runs so far."""
    return (folder / "run.log").read_text().count("Finished jobid")


def ends_before(run, folder, jobs, delay_s):
    """Whether the run ends before `jobs` more of its jobs have ended and `delay_s` more have gone by. Jobs, because the
    number of kills then does not hang on the speed of the machine."""
    goal = finished(folder) + jobs
    while run.poll() is None and finished(folder) < goal:
        time.sleep(0.05)
    try:
        run.wait(timeout=delay_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def unlock(folder):
    subprocess.run(
        [
            sys.executable,
            "-m",
            "snakemake",
            "-s",
            str(ROOT / "Snakefile"),
            "--directory",
            str(folder),
            "--unlock",
            "--configfile",
            *CONFIG,
        ],
        check=True,
        capture_output=True,
    )


def without_clock(value):
    if isinstance(value, dict):
        return {key: without_clock(inner) for key, inner in value.items() if key not in CLOCK}
    return [without_clock(inner) for inner in value] if isinstance(value, list) else value


def content(path):
    """Bytes of a result without the wall times in it."""
    if path.suffix == ".json":
        return json.dumps(without_clock(json.loads(path.read_text())), sort_keys=True).encode()
    if path.suffix == ".csv":
        return pd.read_csv(path, dtype=str).drop(columns=CLOCK, errors="ignore").to_csv().encode()
    if path.suffix == ".html":
        return re.sub(r"elapsed s</td>\s*<td>[\d.]+", "", path.read_text()).encode()
    return path.read_bytes()


def fingerprints(results):
    """{file: hash of its content}; hidden files (locks, work folders) count, because none may be left."""
    files = {str(path.relative_to(results)): path for path in sorted(results.rglob("*")) if path.is_file()}
    return {
        name: hashlib.sha256(content(path)).hexdigest() for name, path in files.items() if not name.startswith(RECORDS)
    }


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_run_killed_at_random_moments_ends_in_the_same_result(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir(), killed.mkdir()
    assert start(whole).wait() == 0, (whole / "run.log").read_text()[-3000:]
    draw, kills = random.Random(0), 0
    ways = ["alone", "power cut", "interrupt", "terminate"]
    while True:
        run = start(killed)
        if ends_before(run, killed, draw.randint(1, 3), draw.uniform(0, 2.5)):
            assert run.returncode == 0, (killed / "run.log").read_text()[-3000:]
            break
        kill(run, ways[kills % len(ways)])
        kills += 1
        unlock(killed)
    assert kills >= 4
    expected, got = fingerprints(whole / "results"), fingerprints(killed / "results")
    assert set(got) == set(expected)
    assert [name for name in expected if got[name] != expected[name]] == []
