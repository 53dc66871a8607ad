"""The disk cache of compiled kernels is valid for exactly the current source; tasks are each done once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

import mousefacelift
from mousefacelift.core.render.jit import _source_digest, kernel, run, take_ticket

PROGRAM = """
import numpy as np
from mousefacelift.core.render import project
a = np.ones(16, np.float32)
project.pack(np.zeros(1, np.int64), 1, a, a, a, a, np.empty(13 * 16, np.float32), 1, 16)
stats = project.pack.stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def hits_and_misses(source: Path, cache: Path) -> tuple[int, int]:
    environment = {**os.environ, "PYTHONPATH": str(source), "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, cwd=source, capture_output=True, text=True, check=True
    )
    hits, misses = done.stdout.split()
    return int(hits), int(misses)


def test_a_kernel_is_compiled_once_and_again_only_when_a_file_that_it_inlines_changed(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(
        Path(mousefacelift.__file__).parent, source / "mousefacelift", ignore=shutil.ignore_patterns("__pycache__")
    )
    assert hits_and_misses(source, tmp_path / "cache") == (0, 1)
    assert hits_and_misses(source, tmp_path / "cache") == (1, 0)
    with (source / "mousefacelift/core/render/simd/memory.py").open("a") as file:
        file.write("# changed\n")
    assert hits_and_misses(source, tmp_path / "cache") == (0, 1)


def test_the_digest_sees_names_and_contents_in_subfolders(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/a.py").write_text("x = 1")
    digests = [_source_digest(tmp_path)]
    (tmp_path / "inner/a.py").write_text("x = 2")
    digests.append(_source_digest(tmp_path))
    (tmp_path / "inner/a.py").rename(tmp_path / "inner/b.py")
    digests.append(_source_digest(tmp_path))
    assert len(set(digests)) == 3


@kernel
def _count(tickets, tasks, done):
    while True:
        task = take_ticket(tickets)
        if task >= tasks:
            return
        done[task] += 1


def test_every_task_is_done_exactly_once_by_any_number_of_threads():
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            for tasks in (0, 1, 1000):
                done = np.zeros(tasks, np.int64)
                run(_count, tasks, done)
                assert (done == 1).all()
    finally:
        torch.set_num_threads(before)
