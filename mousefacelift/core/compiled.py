"""Kernels on the disk: what one process compiles, others wait for instead of compiling it too.

Jobs that begin side by side on a fresh installation need the same kernels at the same moment. numba's cache lets each
of them compile for itself, seconds of every core.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from filelock import FileLock
from numba.core import caching
from numba.core.runtime import rtsys

WAIT_S = 120.0  # then a process compiles by itself: what it waits for may have stopped


def compiled(**options):
    """Decorator: a kernel that numba compiles on first use without the GIL and keeps on the disk.

    Args:
        options: of `numba.njit`.
    """

    def decorate(function):
        dispatcher: Any = numba.njit(**{"nogil": True, "no_cfunc_wrapper": True} | options)(function)
        dispatcher._cache = SharedCache(function)
        dispatcher._compiler.compile = dispatcher._cache.letting_go(dispatcher._compiler.compile)
        return dispatcher

    return decorate


def inlined(**options):
    """Decorator: a function of kernels that LLVM puts into them.

    Numba's own `inline="always"` repeats the analysis of the whole kernel at every call: several times the compilation.
    """
    return numba.njit(**{"forceinline": True, "no_cfunc_wrapper": True, "no_cpython_wrapper": True} | options)


class SharedCache(caching.FunctionCache):
    """numba's cache of a kernel, behind a lock file beside its index.

    Who finds nothing holds the lock until it has compiled and stored; who waited for the lock looks again. Where no
    lock can be made every process compiles for itself, as numba does.
    """

    _lock: FileLock | None = None

    def load_overload(self, sig, target_context):
        """The stored kernel of a signature, or None: compile it."""
        found = self._stored(sig, target_context)
        if found is None and self._enabled:
            self._hold()
            found = self._stored(sig, target_context)
            if found is not None:
                self._let_go()
        return found

    def _stored(self, sig, target_context):
        """What numba's own method finds, which first readies the context to compile: 0.17 s, half of them for importing
        scipy.linalg. Machine code that is there needs the runtime alone; whoever compiles later readies it then."""
        rtsys.initialize(target_context)
        return self._load_overload(sig, target_context)

    def save_overload(self, sig, data) -> None:
        """Store a compiled kernel and let the others go on."""
        try:
            super().save_overload(sig, data)
        finally:
            self._let_go()

    def letting_go(self, compile_kernel: Callable) -> Callable:
        """`compile_kernel`, after whose failure the others go on: they wait for nothing."""

        def compile_or_let_go(args, return_type):
            try:
                return compile_kernel(args, return_type)
            except BaseException:
                self._let_go()
                raise

        return compile_or_let_go

    def _hold(self) -> None:
        if self._lock is None:
            path = Path(self._cache_path) / f"{self._impl.filename_base}.lock"
            self._lock = FileLock(path, mode=0o666, poll_interval=0.05, thread_local=False)
        # too long a wait (a Timeout is an OSError), or no locks there, which filelock 3 tells by NotImplementedError
        with contextlib.suppress(OSError, NotImplementedError):
            self._impl.locator.ensure_cache_path()
            self._lock.acquire(timeout=WAIT_S)

    def _let_go(self) -> None:
        if self._lock is not None and self._lock.is_locked:
            Path(self._lock.lock_file).unlink(missing_ok=True)  # while it is held: who waits for it makes a new one
            self._lock.release(force=True)
