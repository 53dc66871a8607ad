import json
import os
import re
import time

import pytest

from mousefacelift.cli import main

BEGIN = """Job stats:
job                 count
----------------  -------
fit_splats              3
train_lrm               1
all                     1
total                   5

Select jobs to execute...
"""
JOB = """[Sun Nov 29 10:{start:02d}:00 2026]
localrule {rule}:
    input: a, b
    output: {output}
    log: results/logs/{rule}/{name}.log
    jobid: {id}
    reason: Missing output files: {output}
"""
DONE = "[Sun Nov 29 10:{end:02d}:00 2026]\nFinished jobid: {id} (Rule: {rule})\n1 of 5 steps (20%) done\n"
FAILED = """[Sun Nov 29 10:{end:02d}:00 2026]
Error in rule {rule}:
    message: None
    jobid: {id}
    output: {output}
    log: results/logs/{rule}/{name}.log (check log file(s) for error details)
Trying to restart job {id}.
"""


def fit(number, **times):
    name = f"{number * 10:06d}-{number * 10 + 9:06d}"
    return {
        "rule": "fit_splats",
        "id": number,
        "name": name,
        "output": f"results/splats/m/fits/{name}/index.json",
        **times,
    }


@pytest.fixture
def folder(tmp_path):
    """A run in which one chunk is done, one failed and runs again with 3 of 10 items, and one waits."""
    first, second = fit(0, start=0, end=10), fit(1, start=2, end=4)
    text = BEGIN + JOB.format(**first) + JOB.format(**second) + FAILED.format(**second)
    text += JOB.format(**second | {"start": 5}) + DONE.format(**first)
    (tmp_path / ".snakemake/log").mkdir(parents=True)
    (tmp_path / ".snakemake/log/2026-11-29T100000.snakemake.log").write_text(text)
    (tmp_path / ".snakemake/log/2026-11-29T110000.snakemake.log").write_text("Building DAG of jobs...\n")  # a dry run
    done = tmp_path / "results/splats/m/fits/000000-000009"
    for name in range(10):
        (done / f"{name:06d}").mkdir(parents=True)
    (done / "index.json").write_text(json.dumps({}))
    for name in ("000010", "000011", "000012", ".000013.making"):
        (done.parent / ".000010-000019.key.work" / name).mkdir(parents=True)
    log = tmp_path / "results/logs/fit_splats/000010-000019.log"
    log.parent.mkdir(parents=True)
    log.write_text("DataError: the fit of frame '000011' diverged\n  likely: x\n\r 30%|###   | 3/10 [00:09<00:21]")
    return tmp_path


def test_jobs_items_rates_time_left_and_retries_are_told(folder, capsys):
    assert main(["status", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    begin, news = lines[0].split("; last news ")
    assert begin == "run of 2026-11-29 10:00:00: 1 of 4 jobs done (25 %), about 0:30:00 left"
    assert re.fullmatch(r"\d\d:\d\d:\d\d, 0:00:\d\d ago", news)
    assert lines[2].split() == ["fit_splats", "1", "of", "3", "1", "13", "of", "~30", "0.02"]
    assert lines[3].split() == ["train_lrm", "0", "of", "1", "0"]
    assert lines[4] == "slow: 0:10:00 fit_splats results/splats/m/fits/000000-000009/index.json"
    assert lines[5].startswith("failed 1x: fit_splats") and "DataError: the fit of frame '000011' diverged" in lines[5]


def test_what_slurm_said_of_a_failure_is_told_before_what_the_job_said(folder, capsys):
    log = folder / ".snakemake/log/2026-11-29T100000.snakemake.log"
    said = (
        "SLURM-job '12' failed, SLURM status is: 'OUT_OF_MEMORY'. For further error details see the cluster/cloud log"
    )
    log.write_text(log.read_text().replace("message: None", f"message: {said}"))
    main(["status", str(folder)])
    assert "SLURM status is: 'OUT_OF_MEMORY'; DataError: the fit of frame" in capsys.readouterr().out


def test_a_repeated_log_of_slurm_counts_no_failure_and_a_word_behind_a_progress_bar_is_read(folder, capsys):
    log, rule = folder / ".snakemake/log/2026-11-29T100000.snakemake.log", "=" * 80
    inner = FAILED.format(**fit(1, end=4) | {"id": 0}).replace("Trying", "trying")
    repeated = f"Logfile results/slurm/7.log:\n{rule}\n=========\n{inner}{rule}\n"
    log.write_text(log.read_text().replace("Trying to restart", repeated + "Trying to restart"))
    job = folder / "results/logs/fit_splats/000010-000019.log"
    job.write_text(
        "\r 30%|###   | 3/10 [00:09<00:21]GateFailure: only 6 of 10 steps\n  likely: x\n\r 30%| 3/10 [00:09<00:21]"
    )
    main(["status", str(folder)])
    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("failed")]
    assert len(failed) == 1 and failed[0].startswith("failed 1x: fit_splats") and "GateFailure: only 6" in failed[0]


def test_a_run_that_died_shows_by_its_last_news(folder, capsys):
    hour_ago = time.time() - 3700
    for path in folder.rglob("*.log"):
        os.utime(path, (hour_ago, hour_ago))
    main(["status", str(folder)])
    assert re.search(r"last news \d\d:\d\d:\d\d, 1:01:\d\d ago", capsys.readouterr().out)


def test_chunks_that_nobody_reads_any_more_are_named(folder, capsys):
    fits = folder / "results/splats/m/fits"
    (fits / "chunks.json").write_text(json.dumps({"chunks": {"000000-000019": ""}}))
    main(["status", str(folder)])
    assert "read by nobody: results/splats/m/fits/000000-000009" in capsys.readouterr().out


def test_a_folder_without_a_run_says_so(tmp_path, capsys):
    assert main(["status", str(tmp_path)]) == 2
    assert "no run of the pipeline" in capsys.readouterr().err
