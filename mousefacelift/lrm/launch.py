"""One job, one launch: how a training command becomes several processes on one or more nodes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from mousefacelift.config import load
from mousefacelift.errors import ConfigError
from mousefacelift.lrm.config import LaunchConfig


def is_worker(env: Mapping[str, str] = os.environ) -> bool:
    """Whether this process was started by torchrun."""
    return "LOCAL_RANK" in env and "WORLD_SIZE" in env


def leave(result: Path) -> NoReturn:
    """End this rank, which torchrun started, once its results are written; prints where they are.

    Nothing is torn down: gloo's destructor joins a thread that may wait for Python's lock, which the destructor holds
    (torch 2.13; one of sixteen runs of four ranks hung for good after its last step).
    """
    print(result)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def launch_command(
    config: LaunchConfig,
    gpus: int,
    arguments: Sequence[str],
    hosts: Sequence[str] = (),
    env: Mapping[str, str] = os.environ,
) -> list[str] | None:
    """Command that runs `mousefacelift ARGUMENTS` in every process of the job; None when this process is enough.

    One node: torchrun with one process per GPU (or `cpu_processes`). Several: `srun` starts torchrun once per node of
    the SLURM allocation, with all that the allocation has there; they meet on the first host.

    Args:
        hosts: of the SLURM allocation, needed for several nodes only.
    Raises:
        ConfigError: several nodes outside a SLURM allocation, or more than it has.
    """
    processes = gpus or config.cpu_processes
    if config.nodes == 1 and processes == 1:
        return None
    torchrun = [sys.executable, "-m", "mousefacelift.lrm.launch", "--nproc-per-node", str(processes)]
    target = ["-m", "mousefacelift", *arguments]
    if config.nodes == 1:
        return [*torchrun, "--standalone", *target]
    if len(hosts) < config.nodes:
        raise ConfigError(
            "training on several nodes needs a SLURM allocation that large",
            where="train.launch.nodes",
            got=f"{len(hosts)} nodes",
            expected=config.nodes,
            hint="snakemake --profile workflow/profiles/slurm asks for them; or salloc --nodes",
        )
    meeting = [
        "--rdzv-backend",
        "c10d",
        "--rdzv-id",
        env["SLURM_JOB_ID"],
        "--rdzv-endpoint",
        f"{hosts[0]}:{config.port}",
    ]
    nodes = [
        "srun",
        f"--nodes={config.nodes}",
        f"--ntasks={config.nodes}",
        "--ntasks-per-node=1",
        "--cpu-bind=none",
        "--kill-on-bad-exit=1",
    ]
    return [*nodes, *torchrun, "--nnodes", str(config.nodes), *meeting, *target]


def launch_job(settings: dict, gpus: int, arguments: Sequence[str]) -> bool:
    """Run the job in several processes if its configuration asks for them; False when this process is the job.

    Args:
        settings: the `train.launch` mapping. gpus: leased GPUs of this node. arguments: of the `mousefacelift` command.
    Raises:
        ConfigError: the launch is not possible.
        SystemExit: a process of the job failed and has said why; with its exit code.
    """
    config = load(LaunchConfig, settings, "train.launch")
    command = launch_command(config, gpus, arguments, allocated_hosts() if config.nodes > 1 else ())
    if command is None:
        return False
    code = subprocess.run(command, check=False).returncode
    if code:
        raise SystemExit(code if code > 0 else 1)
    return True


def torchrun(arguments: Sequence[str]) -> int:
    """PyTorch's own launcher; returns the exit code of the first process that failed (torchrun itself would return
    1)."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main

    try:
        main(list(arguments))
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
        return code if code > 0 else 1  # killed by a signal
    return 0


def allocated_hosts(env: Mapping[str, str] = os.environ) -> list[str]:
    """Hosts of the SLURM allocation that this process runs in, in SLURM's order; empty outside one.

    SLURM itself is asked: inside a job that Snakemake submitted, little more than SLURM_JOB_ID is left of the
    variables.
    """
    if "SLURM_JOB_ID" not in env:
        return []
    nodes = _ask("squeue", "--noheader", "--jobs", env["SLURM_JOB_ID"], "--format", "%N")
    return _ask("scontrol", "show", "hostnames", nodes).split()


def _ask(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise ConfigError(
            "SLURM does not say which nodes this job has",
            where=" ".join(command),
            got=getattr(error, "stderr", None) or str(error),
        ) from error


if __name__ == "__main__":
    sys.exit(torchrun(sys.argv[1:]))
