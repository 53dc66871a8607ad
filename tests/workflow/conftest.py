"""A one-node SLURM for the tests that are marked `slurm`; see test_slurm.py for what it needs."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "slurm"


@pytest.fixture(scope="session")
def cluster():
    """Environment of a running one-node cluster; it and what is left of its jobs are stopped and removed afterwards.

    SLURM_TEST_DIR names its folder, for a caller that must clean up where this process is killed.
    """
    if os.geteuid() != 0 or not shutil.which("slurmctld", path=os.environ["PATH"] + ":/usr/sbin"):
        reason = "needs root and the Debian packages slurmctld slurmd slurm-client munge"
        pytest.fail(reason) if os.environ.get("MFL_REQUIRE_SLURM") else pytest.skip(reason)
    made = None if "SLURM_TEST_DIR" in os.environ else tempfile.mkdtemp(prefix="mousefacelift-slurm-")
    folder = Path(made or os.environ["SLURM_TEST_DIR"]) / "c"
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.parent.chmod(0o755)  # munge refuses sockets below private folders
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "MFL_", "CUDA_"))}
    env |= {"SLURM_TEST_DIR": str(folder), "ONE_NODE_TRIAL": str(folder), "PATH": env["PATH"] + ":/usr/sbin"}
    try:
        start_cluster(env)
        yield env | {"SLURM_CONF": str(folder / "etc/slurm.conf"), "PATH": f"{folder / 'bin'}:{env['PATH']}"}
    finally:
        stop = ["bash", str(SCRIPTS / "stop-slurm.sh"), "--purge"]
        subprocess.run(stop, env=env, check=True, timeout=120)
        shutil.rmtree(made or folder, ignore_errors=True)


def start_cluster(env):
    """Start the cluster, or what of it does not run. Daemons inherit no pipe: nobody would see its end."""
    log = Path(env["SLURM_TEST_DIR"]).with_suffix(".start.log")
    with open(log, "w") as stream:
        started = subprocess.run(
            ["bash", str(SCRIPTS / "start-slurm.sh")], env=env, stdout=stream, stderr=stream, timeout=120
        )
    assert started.returncode == 0, log.read_text()
