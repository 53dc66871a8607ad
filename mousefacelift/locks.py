"""One writer at a time for every output: a restarted run waits for what a killed one left running.

`kill -9` of Snakemake leaves its jobs alive. Without a lock the restarted run would write the same files beside them.
Locks are flock(2) on files of the host-wide folder that device leases use: the kernel frees them when a process ends,
however it ends.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mousefacelift.devices import open_lock, try_lock
from mousefacelift.errors import DataError

WAIT_S = 600.0


@contextmanager
def one_writer(out: str | Path, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold the right to write `out` on this host, waiting for another process that holds it.

    Raises:
        DataError: another process still writes `out` after `wait_s` seconds.
    """
    path = Path(out).absolute()
    name = f"out-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}"
    deadline, told = time.monotonic() + wait_s, False
    while (descriptor := _hold(name)) is None:
        if time.monotonic() >= deadline:
            raise DataError(
                f"{out} is being written by another process",
                likely="a job of a killed run that is still alive, or two runs in one results folder",
                hint="wait for it, or stop it, and start again",
            )
        if not told:
            print(f"waiting for another process that writes {out}", file=sys.stderr, flush=True)
            told = True
        time.sleep(0.2)
    try:
        yield
    finally:
        os.unlink(descriptor[1])
        os.close(descriptor[0])


def _hold(name: str) -> tuple[int, str] | None:
    """(locked descriptor, path) of the lock file `name`, or None while another process has it."""
    descriptor, path = open_lock(name)
    try:
        if try_lock(descriptor) and os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return descriptor, path
    except FileNotFoundError:
        pass  # its last holder removed it between our opening and locking it
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
