"""One writer at a time for every output: a restarted run waits for what a killed one left running.

`kill -9` of Snakemake leaves its jobs alive, on other nodes too. Without a lock the restarted run would write the same
files beside them. The lock is the file `.<name>.lock` beside the output, on the file system that both write to: the
kernel frees it when a process ends, however it ends.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from mousefacelift.errors import DataError

WAIT_S = 600.0
_mine = threading.local()  # paths that this thread already holds: a command locks what its library calls lock again


@contextmanager
def one_writer(out: str | Path, wait_s: float | None = None) -> Iterator[None]:
    """Hold the right to write `out` (a chunk as a whole, when it is an index), waiting for another that holds it.

    Raises:
        DataError: another process writes `out` for more than `wait_s` (None: WAIT_S) seconds, or no lock can be made.
    """
    path = lock_path(out)
    held = _mine.__dict__.setdefault("paths", set())
    if path in held:
        yield
        return
    lock = FileLock(path, mode=0o666, poll_interval=0.2, thread_local=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _acquire(lock, out, WAIT_S if wait_s is None else wait_s)
    except OSError as error:
        raise DataError(
            f"{out} cannot be written", got=str(error), likely="a read-only folder or a full disk", hint="free it"
        ) from error
    held.add(path)
    try:
        yield
    finally:
        held.discard(path)
        path.unlink(missing_ok=True)  # while it is held: who waits for the unlinked file tries again on a new one
        lock.release()


def lock_path(out: str | Path) -> Path:
    """The lock file of an output, beside it; symbolic links are followed, so that every way to it has one lock."""
    path = Path(out).resolve()
    path = path.parent if path.name == "index.json" else path
    return path.with_name(f".{path.name}.lock")


def _acquire(lock: FileLock, out: str | Path, wait_s: float) -> None:
    try:
        lock.acquire(timeout=0)
        return
    except Timeout:
        print(f"waiting for another process that writes {out}", file=sys.stderr, flush=True)
    try:
        lock.acquire(timeout=wait_s)
    except Timeout as error:
        raise DataError(
            f"{out} is being written by another process",
            likely="a job of a killed run that is still alive, or two runs in one results folder",
            hint="wait for it, or stop it, and start again",
        ) from error
