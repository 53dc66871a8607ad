"""CPU seconds, wall seconds and peak memory of a command, for the other benchmarks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

# A process inherits the peak of the one that forked it (Linux), so a small one stands between.
LAUNCH = """
import json, os, sys, time
start = time.perf_counter()
child = os.fork()
if child == 0:
    os.dup2(2, 1)
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
_, status, used = os.wait4(child, 0)
print(json.dumps([status, time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""


class Used(NamedTuple):
    """What a command and its children took; `peak_mb` of the largest of them."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def run_timed(command: list[str], folder: Path) -> Used:
    """What `python COMMAND`, run in `folder`, takes, imports included.

    Raises:
        SystemExit: it fails.
    """
    launcher = [sys.executable, "-S", "-c", LAUNCH, *command]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(launcher, cwd=folder, env=environment, capture_output=True, text=True)
    status, *numbers = json.loads(done.stdout)
    if status:
        raise SystemExit(f"{' '.join(command)[:300]}\n{done.stderr[-2000:]}")
    return Used(*numbers)
