"""The pipeline on a real one-node SLURM with two fake GPUs (tests/slurm): submission, leases, the whole tiny run.

apt-get install --no-install-recommends slurmctld slurmd slurm-client munge
python -m pytest -m slurm tests/workflow/test_slurm.py    (as root; MFL_REQUIRE_SLURM=1: missing SLURM is a failure)
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "tests/slurm"
QUICK = [
    "--slurm-status-command",
    "squeue",
    "--slurm-init-seconds-before-status-checks",
    "1",
    "--seconds-between-status-checks",
    "2",
    "--max-status-checks-per-second",
    "1",
]
pytestmark = [pytest.mark.slurm, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def cluster():
    """Environment of a running one-node cluster; it is stopped and removed afterwards."""
    if os.geteuid() != 0 or not shutil.which("slurmctld", path=os.environ["PATH"] + ":/usr/sbin"):
        reason = "needs root and the Debian packages slurmctld slurmd slurm-client munge"
        pytest.fail(reason) if os.environ.get("MFL_REQUIRE_SLURM") else pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="mousefacelift-slurm-"))  # munge refuses sockets below private folders
    folder.chmod(0o755)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "MFL_", "CUDA_"))}
    env |= {"SLURM_TEST_DIR": str(folder / "c"), "PATH": env["PATH"] + ":/usr/sbin"}
    started = subprocess.run(
        ["bash", str(SCRIPTS / "start-slurm.sh")], env=env, capture_output=True, text=True, timeout=120
    )
    try:
        assert started.returncode == 0, started.stderr
        yield env | {"SLURM_CONF": str(folder / "c/etc/slurm.conf"), "PATH": f"{folder / 'c/bin'}:{env['PATH']}"}
    finally:
        subprocess.run(["bash", str(SCRIPTS / "stop-slurm.sh"), "--purge"], env=env, check=True)
        shutil.rmtree(folder)


def snakemake(env, folder, *arguments):
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "snakemake",
            "--profile",
            str(ROOT / "workflow/profiles/slurm"),
            "--directory",
            str(folder),
            *QUICK,
            *arguments,
        ],
        env=env,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    return run.stderr + run.stdout


def test_gpu_jobs_use_what_slurm_gave_and_nothing_else(cluster, tmp_path):
    hold = "import os; from mousefacelift import devices; print(devices.acquire({n})); import time; time.sleep(6)"
    (tmp_path / "Snakefile").write_text(f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from mousefacelift import workflow as flow
flow.use_checkout()
rule all:
    input: "one0.txt", "one1.txt", "both.txt", "none.txt"
rule one:
    output: "one{{i,[01]}}.txt"
    resources: gpu=1, mem_mb=300, runtime=2
    shell: 'date +%s >{{output}}; python -c "{hold.format(n=1)}" >>{{output}}; date +%s >>{{output}}'
rule both:
    output: "both.txt"
    resources: gpu=2, mem_mb=300, runtime=2
    shell: 'python -c "{hold.format(n=2)}" >{{output}}'
rule none:
    output: "none.txt"
    resources: mem_mb=300, runtime=2
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
    log = snakemake(
        cluster,
        tmp_path,
        "-s",
        str(ROOT / "Snakefile"),
        "--configfile",
        str(ROOT / "config.yaml"),
        str(ROOT / "tests/configs/tiny.yaml"),
    )
    assert (tmp_path / "results/report/index.html").stat().st_size > 10_000
    assert len(re.findall(r"submitted with SLURM jobid", log)) >= 25 and "Trying to restart job" not in log
