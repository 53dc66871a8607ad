"""GPU leases: each job takes devices of its own before CUDA starts, and gives them back by dying.

    python -m mousefacelift.devices -n 1 -- CMD ...      run a foreign program with leased devices

`snakemake --resources gpu=2` limits how many GPU jobs run at once but does not tell them which device is theirs
(snakemake issue #281). Here every device is a file locked with flock(2): the kernel frees it when the process ends,
however it ends, and an orphan that still runs keeps its lock, rightly. A gate lock lets one asker collect at a time,
so that two jobs that each want two devices never hold one each, and a job that wants two is not starved by a stream
of jobs that want one.

Which devices there are: MFL_GPUS ("0,1"), else CUDA_VISIBLE_DEVICES, else /dev/nvidia<N>. MFL_JOBS_PER_GPU lets
several small jobs share one. Inside a SLURM job exactly the devices that SLURM gave are used: as many as asked for are
kept as they are, more are leased among the job's own processes, fewer or none is an error and never "all".
"""

from __future__ import annotations

import argparse
import fcntl
import glob
import os
import re
import sys
import tempfile
import time

from mousefacelift.errors import ConfigError

_held: list[int] = []  # open file descriptors of this process's leases


def acquire(count: int, timeout_s: float | None = None) -> list[str]:
    """Lease `count` devices for the life of this process and set CUDA_VISIBLE_DEVICES to them.

    Call it before anything touches CUDA. With `count` 0 the process is a CPU job and sees no device.

    Args:
        count: number of devices.
        timeout_s: give up after this time; None waits for ever.
    Returns:
        The device names leased.
    Raises:
        ConfigError: fewer devices exist (or were given by SLURM) than asked for, or the wait timed out.
    """
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized():
        raise ConfigError("devices must be leased before CUDA starts", likely="torch.cuda used before devices.acquire")
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    if count == 0:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        return []
    pool = device_pool()
    if len(pool) < count:
        raise ConfigError(
            f"this job asks for {count} GPU(s) and may use {len(pool)}",
            got=", ".join(pool) or "no device",
            where=_origin(),
            likely="SLURM gave the job no GPU" if "SLURM_JOB_ID" in os.environ else "a machine without GPU",
            hint="set `gpu: 0` for this stage in config.yaml to run on the CPU, or ask SLURM for gpu=1",
        )
    if "SLURM_JOB_ID" in os.environ and len(pool) == count:
        chosen = pool
    else:
        chosen = _lease(pool, count, timeout_s)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(chosen)
    return chosen


def device_pool() -> list[str]:
    """Names of the devices that this process may lease, in order."""
    for variable in ("MFL_GPUS", "CUDA_VISIBLE_DEVICES"):
        if variable == "MFL_GPUS" and "SLURM_JOB_ID" in os.environ:
            continue  # what SLURM gave wins
        if variable in os.environ:
            return [
                name.strip() for name in os.environ[variable].split(",") if name.strip() not in ("", "-1", "NoDevFiles")
            ]
    if "SLURM_JOB_ID" in os.environ:
        return []
    numbers = [re.fullmatch(r"/dev/nvidia(\d+)", path) for path in glob.glob("/dev/nvidia*")]
    return [str(number) for number in sorted(int(match[1]) for match in numbers if match)]


def _origin() -> str:
    names = ("SLURM_JOB_ID", "MFL_GPUS", "CUDA_VISIBLE_DEVICES")
    return ", ".join(f"{n}={os.environ[n]}" for n in names if n in os.environ) or "/dev/nvidia*"


def lock_folder() -> str:
    """Host-wide folder of lock files. TMPDIR is ignored: Snakemake sets it per job."""
    base = os.environ.get("MFL_LOCK_DIR") or os.path.join(
        "/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir(), "mousefacelift-devices"
    )
    if not os.path.isdir(base):
        os.makedirs(base, exist_ok=True)
        try:
            os.chmod(base, 0o1777)
        except PermissionError:
            pass  # made by another user in the same moment, who sets the mode
    return base


def open_lock(name: str) -> tuple[int, str]:
    """Descriptor and path of the lock file `name` in `lock_folder`, made when it is not there; closed on exec."""
    path = os.path.join(lock_folder(), re.sub(r"[^A-Za-z0-9._-]", "_", name) + ".lock")
    while True:
        try:  # no O_CREAT on an existing file: fs.protected_regular=2 refuses that in sticky folders of other users
            return os.open(path, os.O_RDWR | os.O_CLOEXEC), path
        except FileNotFoundError:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
                os.fchmod(descriptor, 0o666)
                return descriptor, path
            except FileExistsError:
                continue


def try_lock(descriptor: int) -> bool:
    """Whether this process now holds the lock of an open lock file; never waits."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def _lease(pool: list[str], count: int, timeout_s: float | None) -> list[str]:
    slots = int(os.environ.get("MFL_JOBS_PER_GPU", "1"))
    scope = f"job{os.environ['SLURM_JOB_ID']}-" if "SLURM_JOB_ID" in os.environ else ""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    gate, _ = open_lock(f"{scope}gate")
    taken: dict[str, int] = {}
    try:
        _wait(lambda: try_lock(gate), deadline, count, pool)
        _wait(lambda: _collect(pool, slots, scope, count, taken), deadline, count, pool)
    except BaseException:
        for descriptor in taken.values():
            os.close(descriptor)
        raise
    finally:
        os.close(gate)
    _held.extend(taken.values())
    return [name for name in pool if name in taken]


def _collect(pool: list[str], slots: int, scope: str, count: int, taken: dict[str, int]) -> bool:
    """Lock free devices until `count` are held; least-used slots first so that jobs spread over devices."""
    for slot in range(slots):
        for name in pool:
            if len(taken) == count:
                return True
            if name in taken:
                continue
            descriptor, _ = open_lock(f"{scope}gpu{name}-slot{slot}")
            if try_lock(descriptor):
                taken[name] = descriptor
            else:
                os.close(descriptor)
    return len(taken) == count


def _wait(done, deadline: float | None, count: int, pool: list[str]) -> None:
    told = False
    while not done():
        if deadline is not None and time.monotonic() > deadline:
            raise ConfigError(
                f"no {count} free GPU(s) among {', '.join(pool)} in time",
                likely="other jobs hold them",
                hint=f"fuser -v {lock_folder()}/*.lock",
            )
        if not told:
            print(f"waiting for {count} of GPUs {', '.join(pool)}", file=sys.stderr, flush=True)
            told = True
        time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m mousefacelift.devices", description="Run a command on leased GPUs."
    )
    parser.add_argument("-n", type=int, default=1, help="number of devices")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="-- command and arguments")
    args = parser.parse_args()
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        parser.error("no command given")
    acquire(args.n)
    for descriptor in _held:
        os.set_inheritable(descriptor, True)  # exec keeps the pid and must keep the lease
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
