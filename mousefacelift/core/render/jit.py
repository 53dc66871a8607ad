"""Compiling and running the CPU kernels: an honest on-disk cache and a small thread pool.

Kernels are plain nogil functions that take tasks from a shared ticket counter until none is left; several threads run
the same call. numba's own parallel layers are not used: `workqueue` aborts the process when two Python threads enter
it, `omp` kills a forked child of a process that used it, and both keep a second pool of spinning threads beside
torch's. Here a forked child simply builds its own pool. What a task computes never depends on which thread runs it, so
results are the same, bit for bit, for any number of threads.
"""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from llvmlite import ir
from numba import njit
from numba.core import caching, cgutils, types
from numba.core.extending import intrinsic

from mousefacelift.core.compiled import SharedCache

inlined = njit(forceinline=True, error_model="numpy", no_cfunc_wrapper=True, no_cpython_wrapper=True)


def _source_digest(folder: Path) -> str:
    """Hash of every source file under `folder`, this package: kernels inline functions of other modules."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


_STAMP = _source_digest(Path(__file__).parent)


def _stamped(name: str) -> type:
    """numba's cache locator `name` (private, renamed between versions) with this package's digest as its stamp."""
    base = getattr(caching, name, None) or getattr(caching, "_" + name)
    return type(name, (base,), {"get_source_stamp": lambda self: _STAMP})


class _CacheImpl(caching.CompileResultCacheImpl):
    _locator_classes = [
        _stamped(name) for name in ("UserProvidedCacheLocator", "InTreeCacheLocator", "UserWideCacheLocator")
    ]


class _Cache(SharedCache):
    _impl_class = _CacheImpl


def kernel(function):
    """Compile a nogil kernel on first use; the disk cache is valid for exactly this source of the whole package.

    numba's own cache looks only at the file that defines the kernel and would reuse stale code after a change in a
    module that the kernel inlines.
    """
    dispatcher = njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True)(function)
    dispatcher._cache = _Cache(function)
    return dispatcher


@intrinsic
def take_ticket(typingctx, counter):
    """Next task number of an int64 [1] counter shared by threads. Decides who works, never what is computed."""

    def codegen(context, builder, sig, args):
        data = cgutils.create_struct_proxy(counter)(context, builder, args[0]).data
        return builder.atomic_rmw("add", data, ir.Constant(ir.IntType(64), 1), "monotonic")

    return types.int64(counter), codegen


_pool: ThreadPoolExecutor | None = None
_pool_lock = threading.Lock()


def _forget_pool() -> None:
    global _pool, _pool_lock
    _pool, _pool_lock = None, threading.Lock()  # the threads stayed in the parent


os.register_at_fork(after_in_child=_forget_pool)


def _workers() -> ThreadPoolExecutor:
    """The process's pool; it starts threads only as they are needed."""
    global _pool
    with _pool_lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="render")
        return _pool


def run(compiled, tasks: int, *arguments) -> None:
    """Run `compiled(tickets, tasks, *arguments)` on torch.get_num_threads() threads, this one included.

    Returns when all tasks are done. Helpers that have not started by then are called off, so a busy machine never makes
    a small render wait for a thread.
    """
    tickets = np.zeros(1, np.int64)
    helpers = min(torch.get_num_threads(), tasks) - 1
    if helpers > 0 and compiled.signatures:
        pool = _workers()
        futures = [pool.submit(compiled, tickets, tasks, *arguments) for _ in range(helpers)]
        compiled(tickets, tasks, *arguments)
        for future in futures:
            if not future.cancel():
                future.result()
    else:
        compiled(tickets, tasks, *arguments)
