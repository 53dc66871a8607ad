"""GPU leases: each job takes devices of its own before CUDA starts, and gives them back by dying.

    python -m mousefacelift.devices -n 1 -- CMD ...      run a foreign program with leased devices

`snakemake --resources gpu=2` limits how many GPU jobs run at once but does not tell them which device is theirs
(snakemake issue #281). Here a lease is the name of a Unix socket in the kernel's abstract namespace, one per device:
there is no file that a cleaner of /tmp could delete, the kernel frees the name when the process ends, however it ends,
and an orphan that still runs keeps it, rightly. A gate lets one asker collect at a time, so that two jobs that each
want two devices never hold one each, and a job that wants two is not starved by a stream of jobs that want one.

Which devices there are: MFL_GPUS ("0,1"), else CUDA_VISIBLE_DEVICES, else /dev/nvidia<N>. MFL_JOBS_PER_GPU lets
several small jobs share one. Inside a SLURM job exactly the devices that SLURM gave are used: as many as asked for are
kept as they are, more are leased among the job's own processes, fewer or none is an error and never "all".
"""

from __future__ import annotations

import argparse
import errno
import glob
import os
import re
import socket
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

from mousefacelift.errors import ConfigError

_held: list[socket.socket] = []  # this process's leases


def acquire(count: int, timeout_s: float | None = None) -> list[str]:
    """Lease `count` devices for the life of this process and set CUDA_VISIBLE_DEVICES to them.

    Call it before anything touches CUDA. With `count` 0 the process is a CPU job and sees no device.

    Args:
        count: number of devices.
        timeout_s: give up after this time; None waits for ever.
    Returns:
        The device names leased.
    Raises:
        ConfigError: fewer devices exist (or were given by SLURM) than asked for, their names are wrong, or the wait
            timed out; the message names who holds them.
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
            hint="--gpus 0, or 0 for this step under jobs.gpus in config.yaml, runs on the CPU; SLURM: ask for gpu=1",
        )
    if "SLURM_JOB_ID" in os.environ and len(pool) == count:
        chosen = pool
    else:
        chosen = _lease(pool, count, timeout_s)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(chosen)
    return chosen


def device_pool() -> list[str]:
    """Names of the devices that this process may lease, in order.

    Raises:
        ConfigError: a name that is none, a device named twice (also once by number and once by UUID), or one that this
            machine does not have.
    """
    for variable in ("MFL_GPUS", "CUDA_VISIBLE_DEVICES"):
        if variable == "MFL_GPUS" and "SLURM_JOB_ID" in os.environ:
            continue  # what SLURM gave wins
        if variable in os.environ:
            names = [name.strip() for name in os.environ[variable].split(",")]
            return _checked([name for name in names if name not in ("", "-1", "NoDevFiles")], variable)
    return [] if "SLURM_JOB_ID" in os.environ else [str(number) for number in range(_device_count())]


def _device_count() -> int:
    return sum(bool(re.fullmatch(r"/dev/nvidia\d+", path)) for path in glob.glob("/dev/nvidia*"))


def _checked(names: list[str], variable: str) -> list[str]:
    wrong = [name for name in names if not re.fullmatch(r"\d{1,3}|(GPU|MIG)-[0-9A-Za-z/-]+", name)]
    count = _device_count()
    wrong += [name for name in names if name.isdigit() and count and int(name) >= count]
    keys = [] if wrong else [_device_key(name) for name in names]
    twice = [name for name, key in zip(names, keys) if keys.count(key) > 1]
    if wrong or twice:
        raise ConfigError(
            f"{variable} names a device twice" if twice else f"{variable} names what is no device here",
            got=f"{variable}={os.environ[variable]}, wrong: {', '.join(twice or wrong)}",
            expected="numbers as nvidia-smi counts them, or UUIDs, each once" + (f"; {count} devices" if count else ""),
            hint=f"export {variable}=0,1; to let several jobs share a device: MFL_JOBS_PER_GPU=2",
        )
    return names


@cache
def _device_key(name: str) -> str:
    """What a device is leased under: its number, also where it is named by UUID (or the start of one).

    Raises:
        ConfigError: nvidia-smi does not know the UUID, so that it could be any of the numbers.
    """
    if not name.startswith("GPU-"):
        return name if not name.isdigit() else str(int(name))
    try:
        command = ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"]
        listed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        listed = str(error)
    found = re.findall(rf"^(\d+), {re.escape(name)}[0-9a-f-]*$", listed, re.M)
    if len(found) != 1:
        raise ConfigError(
            f"device {name} is not known",
            got=listed.strip()[:300] or "nothing",
            expected="one line of `nvidia-smi --query-gpu=index,uuid --format=csv` that begins so",
            hint="name devices by number: MFL_GPUS=0,1",
        )
    return found[0]


def _origin() -> str:
    names = ("SLURM_JOB_ID", "MFL_GPUS", "CUDA_VISIBLE_DEVICES")
    return ", ".join(f"{n}={os.environ[n]}" for n in names if n in os.environ) or "/dev/nvidia*"


def _slots() -> int:
    text = os.environ.get("MFL_JOBS_PER_GPU", "1").strip()
    if not re.fullmatch(r"[1-9]\d?", text):
        raise ConfigError("MFL_JOBS_PER_GPU is no number of jobs", got=repr(text), expected="1 to 99")
    return int(text)


def _socket_name(name: str) -> str:
    """Name in the abstract namespace of this host; MFL_LEASES keeps apart what should not meet (tests)."""
    return f"\0mousefacelift{os.environ.get('MFL_LEASES', '')}-{name}"


def _try_hold(name: str) -> socket.socket | None:
    """The socket that holds the lease `name`, or None while another process has it; never waits."""
    holder = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        holder.bind(_socket_name(name))
        return holder
    except OSError as error:
        holder.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None


def _lease(pool: list[str], count: int, timeout_s: float | None) -> list[str]:
    scope = f"job{os.environ['SLURM_JOB_ID']}-" if "SLURM_JOB_ID" in os.environ else ""
    leases = [  # least-used slots first so that jobs spread over devices
        (name, f"{scope}gpu{_device_key(name)}-slot{slot}") for slot in range(_slots()) for name in pool
    ]
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    # whoever waits keeps later jobs from overtaking it, but only for the devices it waits for
    gates = sorted({f"{scope}gate{_device_key(name)}" for name in pool})
    gate: list[socket.socket] = []
    taken: dict[str, socket.socket] = {}

    def enter() -> bool:
        while len(gate) < len(gates) and (holder := _try_hold(gates[len(gate)])):
            gate.append(holder)
        return len(gate) == len(gates)

    try:
        _wait(enter, deadline, count, pool, leases)
        _wait(lambda: _collect(leases, count, taken), deadline, count, pool, leases)
    except BaseException:
        for holder in taken.values():
            holder.close()
        raise
    finally:
        for holder in gate:
            holder.close()
    _held.extend(taken.values())
    return [name for name in pool if name in taken]


def _collect(leases: list[tuple[str, str]], count: int, taken: dict[str, socket.socket]) -> bool:
    """Hold free devices until `count` are held."""
    for name, lease in leases:
        if len(taken) < count and name not in taken and (holder := _try_hold(lease)):
            taken[name] = holder
    return len(taken) == count


def _wait(done, deadline: float | None, count: int, pool: list[str], leases: list[tuple[str, str]]) -> None:
    told = False
    while not done():
        if deadline is not None and time.monotonic() > deadline:
            raise ConfigError(
                f"no {count} free GPU(s) among {', '.join(pool)} in time",
                got="; ".join(holders([lease for _, lease in leases])) or "nobody holds them now",
                likely="other jobs hold them",
                hint="wait for these processes, stop them, or set MFL_JOBS_PER_GPU",
            )
        if not told:
            print(f"waiting for {count} of GPUs {', '.join(pool)}", file=sys.stderr, flush=True)
            told = True
        time.sleep(0.1)


def holders(leases: list[str]) -> list[str]:
    """Lines 'LEASE: process PID COMMAND' of those who hold leases now, as far as /proc shows other users' processes."""
    wanted = {_socket_name(lease).replace("\0", "@"): lease for lease in leases}
    try:
        rows = [line.split() for line in Path("/proc/net/unix").read_text(errors="replace").splitlines()[1:]]
    except OSError:
        return []
    inodes = {f"socket:[{row[6]}]": wanted[row[7]] for row in rows if len(row) > 7 and row[7] in wanted}
    owners: dict[str, str] = {}
    for link in glob.iglob("/proc/[0-9]*/fd/*"):
        try:
            target = os.readlink(link)
            if target in inodes:
                pid = link.split("/")[2]
                command = Path("/proc", pid, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                owners[inodes[target]] = f"process {pid} {command[:80].strip()}"
        except OSError:
            continue  # ended meanwhile, or another user's
    return [f"{lease}: {owners.get(lease, 'a process of another user')}" for lease in sorted(inodes.values())]


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
    for holder in _held:
        holder.set_inheritable(True)  # exec keeps the pid and must keep the lease
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
