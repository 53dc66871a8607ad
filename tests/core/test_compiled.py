"""Two processes that need a kernel at the same moment compile it once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core.errors import TypingError

ROOT = Path(__file__).resolve().parents[2]
KERNEL = """
from mousefacelift.core.compiled import compiled

@compiled(error_model="numpy")
def double(x):
    return helper(x) + x

@compiled()
def helper(x):
    return x
"""
USE = """
import sys
from pathlib import Path
import kernels
from numba.core import caching
if "slow" in sys.argv:
    save = caching.FunctionCache.save_overload
    def save_slowly(self, sig, data):
        if "double" in self._name:
            print("compiled, not yet stored", flush=True)
            sys.stdin.readline()
        save(self, sig, data)
    caching.FunctionCache.save_overload = save_slowly
if "no-lock" in sys.argv:  # a folder cannot be opened as a file
    cache = kernels.double._cache
    (Path(cache.cache_path) / f"{cache._impl.filename_base}.lock").mkdir(parents=True)
print("start", flush=True)
assert kernels.double(2.5) == 5
stats = kernels.double.stats
print("compiled", sum(stats.cache_misses.values()), "loaded", sum(stats.cache_hits.values()), flush=True)
"""


@pytest.fixture
def start(tmp_path):
    """Starts a process that calls the kernel, with `words` as its arguments."""
    (tmp_path / "kernels.py").write_text(KERNEL)
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": paths, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    running = []

    def start(*words):
        command = [sys.executable, "-c", USE, *words]
        pipe = subprocess.PIPE
        running.append(subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_who_comes_second_waits_and_compiles_nothing(start, tmp_path):
    first = start("slow")
    assert first.stdout.readline() == "start\n"
    assert first.stdout.readline() == "compiled, not yet stored\n"
    second = start()
    assert second.stdout.readline() == "start\n"
    with pytest.raises(subprocess.TimeoutExpired):  # alone it compiles within 0.3 s
        second.wait(2)
    assert first.communicate("go on\n")[0] == "compiled 1 loaded 0\n"
    assert second.communicate()[0] == "compiled 0 loaded 1\n"
    assert not list((tmp_path / "cache").rglob("*.lock"))


def test_who_waits_for_a_killed_process_compiles_by_itself(start):
    first = start("slow")
    first.stdout.readline()
    assert first.stdout.readline() == "compiled, not yet stored\n"
    second = start()
    second.stdout.readline()
    first.kill()
    assert second.communicate(timeout=60)[0] == "compiled 1 loaded 0\n"


def test_where_no_lock_can_be_made_a_process_compiles_by_itself(start):
    assert start("no-lock").communicate(timeout=60)[0] == "start\ncompiled 1 loaded 0\n"


READ = """
import sys
import numba
import numpy as np
import kernels
assert kernels.count(np.arange(5.0)).tolist() == [0, 2, 4, 6, 8]
print("loaded", sum(kernels.count.stats.cache_hits.values()), "compiler", "scipy.linalg" in sys.modules, flush=True)
assert numba.njit(lambda x: np.linalg.inv(kernels.count(x)[1:3, None] * np.eye(2)).sum())(np.arange(5.0)) == 0.75
"""
ALLOCATES = """
import numpy as np
from mousefacelift.core.compiled import compiled

@compiled()
def count(x):
    made = np.empty_like(x)
    for i in range(len(x)):
        made[i] = 2 * x[i]
    return made
"""


def test_a_kernel_from_the_disk_does_not_wait_for_the_compiler_which_is_there_when_it_is_asked_for(tmp_path):
    (tmp_path / "kernels.py").write_text(ALLOCATES)
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": paths, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    made, found = (
        subprocess.run([sys.executable, "-c", READ], env=environment, check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    )
    assert (made, found) == ("loaded 0 compiler True\n", "loaded 1 compiler False\n")


def test_a_kernel_that_does_not_compile_gives_its_lock_back(tmp_path, monkeypatch):
    (tmp_path / "broken_kernels.py").write_text(KERNEL.replace("helper(x) + x", "helper(x) + x.nothing"))
    monkeypatch.syspath_prepend(tmp_path)
    import broken_kernels

    kernel = broken_kernels.double
    with pytest.raises(TypingError, match="nothing"):
        kernel(2.5)
    assert kernel._cache._lock is not None and not kernel._cache._lock.is_locked
    assert not Path(kernel._cache._lock.lock_file).exists()
