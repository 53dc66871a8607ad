"""Compiling and running the CPU kernels: an honest on-disk cache and a small thread pool.

Kernels are plain nogil functions that take tasks from a shared ticket counter until none is left; several threads run the
same call. numba's own parallel layers are not used: `workqueue` aborts the process when two Python threads enter it, `omp`
kills a forked child of a process that used it, and both keep a second pool of spinning threads beside torch's. Here a
forked child simply builds its own pool. What a task computes never depends on which thread runs it, so results are the
same, bit for bit, for any number of threads.
"""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numba import njit
from numba.core import caching

inlined = njit(forceinline=True, error_model="numpy")


def _source_digest() -> str:
    """Hash of every source file of this package: kernels inline functions of other modules."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


_STAMP = _source_digest()


def _stamped(name: str) -> type:
    """numba's cache locator `name` (private, renamed between versions) with this package's digest as its stamp."""
    base = getattr(caching, name, None) or getattr(caching, "_" + name)
    return type(name, (base,), {"get_source_stamp": lambda self: _STAMP})


class _CacheImpl(caching.CompileResultCacheImpl):
    _locator_classes = [_stamped(name) for name in
                        ("UserProvidedCacheLocator", "InTreeCacheLocator", "UserWideCacheLocator")]


class _Cache(caching.FunctionCache):
    _impl_class = _CacheImpl


def kernel(function):
    """Compile a nogil kernel on first use; the disk cache is valid for exactly this source of the whole package.

    numba's own cache looks only at the file that defines the kernel and would reuse stale code after a change in a module
    that the kernel inlines.
    """
    dispatcher = njit(nogil=True, error_model="numpy")(function)
    dispatcher._cache = _Cache(function)
    return dispatcher


_pool: ThreadPoolExecutor | None = None
_pool_size = 0
_pool_lock = threading.Lock()


def _forget_pool() -> None:
    global _pool, _pool_size, _pool_lock
    _pool, _pool_size, _pool_lock = None, 0, threading.Lock()  # the threads stayed in the parent


os.register_at_fork(after_in_child=_forget_pool)


def _workers(count: int) -> ThreadPoolExecutor:
    global _pool, _pool_size
    with _pool_lock:
        if _pool is None or _pool_size < count:
            if _pool is not None:
                _pool.shutdown(wait=False)
            _pool, _pool_size = ThreadPoolExecutor(count, thread_name_prefix="render"), count
        return _pool


def run(compiled, tasks: int, *arguments) -> None:
    """Run `compiled(tickets, tasks, *arguments)` on torch.get_num_threads() threads, this one included.

    Returns when all tasks are done. Helpers that have not started by then are called off, so a busy machine never makes
    a small render wait for a thread.
    """
    tickets = np.zeros(1, np.int64)
    helpers = min(torch.get_num_threads(), tasks) - 1
    if helpers > 0 and compiled.signatures:
        pool = _workers(helpers)
        futures = [pool.submit(compiled, tickets, tasks, *arguments) for _ in range(helpers)]
        compiled(tickets, tasks, *arguments)
        for future in futures:
            if not future.cancel():
                future.result()
    else:
        compiled(tickets, tasks, *arguments)
