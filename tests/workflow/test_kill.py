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
    "train/80-20.lgm/logs/",
)  # diaries and caches; everything else is a result
CLOCK = {
    "elapsed_s",
    "load_s",
    "total_s",
    "seconds",
    "samples_per_s",
    "wait_share",
}  # keys and columns that hold wall time


def heed_interrupts():
    """A shell starts its background jobs with Ctrl-C ignored, and what they start inherits that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


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
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, preexec_fn=heed_interrupts)


def kill(run, how):
    """how: 'alone' (kill -9 of Snakemake, its jobs live on), or the signal that Ctrl-C, a shutdown or a power cut sends
    to all."""
    if how == "alone":
        run.kill()
    else:
        os.killpg(run.pid, {"interrupt": signal.SIGINT, "terminate": signal.SIGTERM, "power cut": signal.SIGKILL}[how])
    run.wait()


def begun(folder):
    """Rules of the jobs that began in the folder's runs so far."""
    return re.findall(r"^(?:local)?rule (\w+):$", (folder / "run.log").read_text(), re.M)


def finished(folder):
    """Jobs that ended well in the folder's runs so far."""
    return len(re.findall(r"^Finished jobid", (folder / "run.log").read_text(), re.M))


def ends_before(run, folder, jobs, delay_s, progress):
    """Whether the run ends before `jobs` more of its jobs have begun and `delay_s` more have gone by: a moment inside a
    job, so that the number of kills does not hang on the speed of the machine.

    With `progress` one job must have ended well first: on a busy machine no job would ever be let end otherwise.
    """
    done = finished(folder)
    while progress and run.poll() is None and finished(folder) == done:
        time.sleep(0.05)
    goal = len(begun(folder)) + jobs - progress  # another has begun by now
    while run.poll() is None and len(begun(folder)) < goal:
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
    if path.name == "chunks.json":  # hashes of indexes, which hold wall times
        return json.dumps(list(json.loads(path.read_text())["chunks"])).encode()
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


def kill_and_compare(folder, most, jobs):
    """Kill a run `most` times, after 1 to `jobs` more jobs each, let it end, compare it with an undisturbed one; the
    rule begun last before each kill.

    Most moments lie soon after a job began, since most jobs take a second or two; some lie up to four seconds later.
    """
    whole, killed = folder / "whole", folder / "killed"
    whole.mkdir(), killed.mkdir()
    assert start(whole).wait() == 0, (whole / "run.log").read_text()[-3000:]
    draw, hit = random.Random(0), []
    ways = ["alone", "power cut", "interrupt", "terminate"]
    while True:
        run = start(killed)
        if len(hit) == most:
            run.wait()
        if len(hit) == most or ends_before(run, killed, draw.randint(1, jobs), 4 * draw.random() ** 3, len(hit) % 2):
            assert run.returncode == 0, (killed / "run.log").read_text()[-3000:]
            break
        kill(run, ways[len(hit) % len(ways)])
        hit.append(begun(killed)[-1])
        unlock(killed)
    expected, got = fingerprints(whole / "results"), fingerprints(killed / "results")
    assert set(got) == set(expected)
    assert [name for name in expected if got[name] != expected[name]] == []
    return hit


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_run_killed_at_twelve_random_moments_ends_in_the_same_result(tmp_path):
    assert len(kill_and_compare(tmp_path, 12, jobs=2)) == 12


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_run_killed_at_thirty_random_moments_in_jobs_of_many_kinds_ends_in_the_same_result(tmp_path):
    hit = kill_and_compare(tmp_path, 30, jobs=1)
    assert len(hit) == 30 and len(set(hit)) >= 8, hit
