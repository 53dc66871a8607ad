"""The pipeline on a real one-node SLURM with two fake GPUs (tests/slurm): submission, leases, the whole tiny run.

apt-get install --no-install-recommends slurmctld slurmd slurm-client munge
python -m pytest -m slurm tests/workflow/test_slurm.py    (as root; MFL_REQUIRE_SLURM=1: missing SLURM is a failure)
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SNAKEMAKE = [sys.executable, str(ROOT / "tests/slurm/polling.py"), "--profile", str(ROOT / "workflow/profiles/slurm")]
SNAKEMAKE += ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1"]
SNAKEMAKE += ["--max-status-checks-per-second", "1"]
FEWER = """arms: ["80-20"]
jobs: {frames_per_job: 24, objects_per_job: 6}
single: {animals: 2, frames: 2, unknown: 0}
train: {steps: 10, validate_every: 10, save_every: 10}
"""
pytestmark = [pytest.mark.slurm, pytest.mark.timeout(3600)]


def snakemake(env, folder, *arguments):
    run = subprocess.run(
        [*SNAKEMAKE, "--directory", str(folder), *arguments], env=env, capture_output=True, text=True, timeout=1500
    )
    assert run.returncode == 0, run.stderr[-4000:]
    return run.stderr + run.stdout


def test_gpu_jobs_use_what_slurm_gave_and_nothing_else(cluster, tmp_path):
    hold = "import os; from mousefacelift import devices; print(devices.acquire({n})); import time; time.sleep(4)"
    (tmp_path / "Snakefile").write_text(f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from mousefacelift import workflow as flow
flow.use_checkout()
rule all:
    input: "one0.txt", "one1.txt", "both.txt", "none.txt"
rule one:
    output: "one{{i,[01]}}.txt"
    resources: gpu=1, mem_mb=800, runtime=2
    shell: 'date +%s >{{output}}; python -c "{hold.format(n=1)}" >>{{output}}; date +%s >>{{output}}'
rule both:
    output: "both.txt"
    resources: gpu=2, mem_mb=800, runtime=2
    shell: 'python -c "{hold.format(n=2)}" >{{output}}'
rule none:
    output: "none.txt"
    resources: mem_mb=800, runtime=2
    shell: '(python -c "{hold.format(n=1)}" 2>&1 || true) >{{output}}'
""")
    snakemake(cluster, tmp_path, "-s", str(tmp_path / "Snakefile"))
    ones = [(tmp_path / f"one{i}.txt").read_text().split("\n")[:3] for i in (0, 1)]
    if int(ones[0][0]) < int(ones[1][2]) and int(ones[1][0]) < int(ones[0][2]):  # they ran at the same time
        assert {one[1] for one in ones} == {"['0']", "['1']"}
    assert {one[1] for one in ones} <= {"['0']", "['1']"}
    assert (tmp_path / "both.txt").read_text().strip() == "['0', '1']"
    assert "ConfigError" in (tmp_path / "none.txt").read_text()


def test_the_tiny_pipeline_runs_through_slurm_at_the_first_try(cluster, tmp_path):
    (tmp_path / "fewer.yaml").write_text(FEWER)
    log = snakemake(
        cluster,
        tmp_path,
        "-s",
        str(ROOT / "Snakefile"),
        "--configfile",
        str(ROOT / "config.yaml"),
        str(ROOT / "tests/configs/tiny.yaml"),
        str(tmp_path / "fewer.yaml"),
    )
    assert (tmp_path / "results/report/index.html").stat().st_size > 10_000
    assert len(re.findall(r"submitted with SLURM jobid", log)) >= 25 and "Trying to restart job" not in log
