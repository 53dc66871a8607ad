#!/usr/bin/env bash
# CPython 3.11 with torch, numba, scipy and pandas: two fifths of the CPU time of a process that only imports them go to the collector
# of circular garbage, which goes over half a million live objects again and again, and once more as the process ends. Kept from them
# (gc.freeze), the same imports take 0.6 of the time. `python -X importtime` shows none of it by name.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install -q "torch==2.13.0" "numba==0.68.1" "scipy==1.17.1" "pandas==3.1.1" "numpy==2.4.6"
cat >measure.py <<'P'
import resource, subprocess, sys

IMPORTS = "import torch, numba, pandas, scipy.stats"
SPARED = "import gc, atexit; gc.disable(); atexit.register(gc.freeze); "


def seconds(code):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


seconds(IMPORTS)  # writes the compiled forms
plain, spared = (sorted(seconds(code) for _ in range(5))[2] for code in (IMPORTS, SPARED + IMPORTS))
print(f"Python {sys.version.split()[0]}: {plain:.2f} CPU s plain, {spared:.2f} without collections ({spared / plain:.2f})")
sys.exit(spared > 0.8 * plain)
P
venv/bin/python measure.py
