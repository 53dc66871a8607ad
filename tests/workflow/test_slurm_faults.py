"""What goes wrong on clusters, on a real one-node SLURM: every fault ends in the same result, finished items are kept.

See test_slurm.py for what it needs. CI runs those that are not marked slow.
"""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from .conftest import start_cluster
from .test_slurm import ROOT, SNAKEMAKE

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(1800)]
ITEMS = 12
JOB = """
import sys, time
from pathlib import Path
from mousefacelift.chunks import run_chunk
from mousefacelift.locks import one_writer

out, log, seconds, megabytes = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
tried = Path(f"{log}.tried")
first = not tried.exists()
tried.touch()
ballast = b"x" * (megabytes * 10**6 * first)

def make(name, number, folder):
    with open(log, "a") as stream:
        stream.write(f"{name}\\n")
    time.sleep(seconds)
    (folder / "value.txt").write_text(str(number))
    return {}

with one_writer(out):
    run_chunk(out, "k", [(f"{i:03d}", i) for i in range(ITEMS)], make, {})
"""


def start(env, folder, seconds=1.0, megabytes=0, runtime=5, mem_mb=800):
    """Snakemake with one chunk job of twelve items, running."""
    (folder / "job.py").write_text(JOB.replace("ITEMS", str(ITEMS)))
    (folder / "Snakefile").write_text(f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from mousefacelift import workflow as flow
flow.use_checkout()
rule chunk:
    output: "chunk/index.json"
    resources: mem_mb={mem_mb}, runtime={runtime}
    shell: "python {folder}/job.py {{output}} {folder}/made.txt {seconds} {megabytes}"
""")
    command = [*SNAKEMAKE, "--directory", str(folder), "-s", str(folder / "Snakefile")]
    with open(folder / "run.log", "a") as log:
        return subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)


def wait_for(folder, items):
    """Until so many items have been begun; the names of their SLURM jobs' numbers so far."""
    for _ in range(1200):
        if (folder / "made.txt").exists() and len((folder / "made.txt").read_text().split()) >= items:
            return re.findall(r"SLURM jobid (\d+)", (folder / "run.log").read_text())
        time.sleep(0.1)
    raise AssertionError((folder / "run.log").read_text()[-3000:])


def check_result(folder, again=1):
    """The chunk is whole, and at most `again` items were made twice: those at work when the job ended."""
    made = (folder / "made.txt").read_text().split()
    assert sorted(set(made)) == [f"{i:03d}" for i in range(ITEMS)] and len(made) <= ITEMS + again, made
    assert [(folder / f"chunk/{i:03d}/value.txt").read_text() for i in range(ITEMS)] == [str(i) for i in range(ITEMS)]


def test_a_cancelled_job_is_sent_again_and_keeps_its_items(cluster, tmp_path):
    run = start(cluster, tmp_path)
    (job,) = wait_for(tmp_path, 4)
    subprocess.run(["scancel", job], env=cluster, check=True)
    assert run.wait() == 0, (tmp_path / "run.log").read_text()[-3000:]
    check_result(tmp_path)
    assert "Trying to restart job" in (tmp_path / "run.log").read_text()


@pytest.mark.slow
def test_a_job_over_its_time_goes_on_in_the_next_try(cluster, tmp_path):
    run = start(cluster, tmp_path, seconds=10.0, runtime=1)
    assert run.wait() == 0, (tmp_path / "run.log").read_text()[-3000:]
    check_result(tmp_path, again=2)
    assert "Trying to restart job" in (tmp_path / "run.log").read_text()


@pytest.mark.slow
def test_a_job_over_its_memory_is_killed_and_sent_again(cluster, tmp_path):
    run = start(cluster, tmp_path, seconds=2.0, megabytes=1500)  # the second try needs less, as another node might
    assert run.wait() == 0, (tmp_path / "run.log").read_text()[-3000:]
    check_result(tmp_path)
    assert "Trying to restart job" in (tmp_path / "run.log").read_text()


def test_a_restarted_controller_changes_nothing(cluster, tmp_path):
    run = start(cluster, tmp_path, seconds=2.0)
    wait_for(tmp_path, 3)
    pid = int((ROOT / os.path.join(cluster["SLURM_TEST_DIR"], "run/slurmctld.pid")).read_text())
    os.kill(pid, signal.SIGKILL)
    time.sleep(3)
    start_cluster(cluster)
    assert run.wait() == 0, (tmp_path / "run.log").read_text()[-3000:]
    check_result(tmp_path, again=0)


@pytest.mark.slow
def test_jobs_of_a_killed_snakemake_go_on_and_never_meet_a_second_writer(cluster, tmp_path):
    run = start(cluster, tmp_path, seconds=2.0)
    wait_for(tmp_path, 3)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    shutil.rmtree(tmp_path / ".snakemake/locks", ignore_errors=True)  # snakemake --unlock
    again = start(cluster, tmp_path, seconds=2.0)
    assert again.wait() == 0, (tmp_path / "run.log").read_text()[-3000:]
    made = (tmp_path / "made.txt").read_text().split()
    assert [made[i : i + ITEMS] for i in range(0, len(made), ITEMS)] in (
        [[f"{i:03d}" for i in range(ITEMS)]],
        [[f"{i:03d}" for i in range(ITEMS)]] * 2,  # the second began when the first was done, and made it anew
    )


@pytest.mark.slow
def test_a_lost_node_costs_the_item_at_work(cluster, tmp_path):
    run = start(cluster, tmp_path)
    wait_for(tmp_path, 4)
    node = subprocess.run(["sinfo", "-h", "-o", "%n"], env=cluster, capture_output=True, text=True).stdout.split()[0]
    scontrol = ["scontrol", "update", f"nodename={node}"]
    subprocess.run([*scontrol, "state=down", "reason=lost"], env=cluster, check=True)
    time.sleep(3)
    subprocess.run([*scontrol, "state=resume"], env=cluster)  # refused where its daemon has brought it back already
    assert run.wait() == 0, (tmp_path / "run.log").read_text()[-3000:]
    check_result(tmp_path)
