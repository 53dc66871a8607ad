"""A worker process for foreign assets: one bad file is refused or stopped, the batch goes on.

Part of the objects stage. The worker is a fresh interpreter that handles one asset after another. It may take only so
much memory and time; what exceeds them, or crashes the worker, is reported as that asset's failure and a new worker
is started for the next one.
"""

import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from mousefacelift.errors import DataError, MouseFaceLiftError
from mousefacelift.objects.config import Limits

DONE, REFUSED, FAILED = "done", "refused", "failed"
START_S = 120  # a worker imports the renderer; on a loaded machine that takes its time


class Sandbox:
    """Runs functions of one asset in a worker process, under limits; use as a context manager.

    Args:
        limits: seconds and memory per asset.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._context = multiprocessing.get_context("spawn")
        self._process = self._pipe = None

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_) -> None:
        self._stop()

    def run(self, function: Callable[..., dict], *args) -> dict:
        """The function's row, or {"status": "refused" | "failed", "reason": ...}; never raises for the asset's sake.

        Args:
            function: importable; returns a dict.
        """
        if self._process is None or not self._process.is_alive():
            self._start()
        try:
            self._pipe.send((function, args))
            if not self._pipe.poll(self.limits.seconds):
                self._stop()
                return {"status": FAILED, "reason": f"stopped after {self.limits.seconds:g} s"}
            return self._pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return {"status": FAILED, "reason": f"the worker died ({self._cause_of_death()})"}

    def _start(self) -> None:
        self._pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(target=serve, args=(theirs, self.limits.memory_gb), daemon=True)
        self._process.start()
        theirs.close()
        try:
            if self._pipe.poll(START_S):
                self._pipe.recv()
                return
            cause = f"not ready after {START_S} s"
            self._stop()
        except (EOFError, ConnectionResetError):
            cause = f"it died ({self._cause_of_death()})"
        raise DataError(
            "the worker process for assets does not start",
            got=cause,
            likely="too little memory, or code that was changed meanwhile; its own words stand above",
            hint="run the command again: what is finished is kept",
        )

    def _cause_of_death(self) -> str:
        """Signal or exit code of the worker, which is then gone."""
        self._process.join(5)
        code = self._process.exitcode
        self._stop()
        return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"

    def _stop(self) -> None:
        if self._process is not None:
            kill_session(self._process.pid)
            self._process.kill()  # one that has no session of its own yet
            self._process.join(5)
            self._pipe.close()
        self._process = self._pipe = None


def kill_session(pid: int) -> None:
    """End a worker and the programs that it started (they are in its session)."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def serve(pipe, memory_gb: float) -> None:
    """The worker's loop: receive (function, args), send a row; ends when the parent is gone."""
    import mousefacelift.objects.make  # noqa: F401 - loaded before the memory limit is set

    os.setsid()
    limit_memory(memory_gb)
    pipe.send("ready")
    while True:
        try:
            function, args = pipe.recv()
        except EOFError:
            return
        pipe.send(attempt(function, args))


def attempt(function: Callable[..., dict], args: tuple) -> dict:
    """The function's row; an error becomes a row that says what was wrong with the asset."""
    try:
        return function(*args)
    except MouseFaceLiftError as error:
        return refusal(error)
    except MemoryError:
        return {"status": FAILED, "reason": "out of memory: more than limits.memory_gb"}
    except Exception as error:  # the boundary of the sandbox: whatever a foreign file provokes is that file's failure
        return {"status": FAILED, "reason": f"{type(error).__name__}: {error}"}


def refusal(error: MouseFaceLiftError) -> dict:
    """The row of a refused asset: the whole message as `reason`, its first sentence as `kind`, by which rows count."""
    return {"status": REFUSED, "kind": error.what, "reason": " ".join(str(error).split())}


def limit_memory(memory_gb: float) -> None:
    """Let this process add at most `memory_gb` of address space to what it has now (Linux)."""
    if not sys.platform.startswith("linux"):
        return
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + int(memory_gb * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
