#!/usr/bin/env bash
# numba 0.68.1, njit(cache=True): a process that finds its kernel on the disk first readies the compiler that it will not ask for,
# scipy.linalg's import among it (`load_overload` calls `target_context.refresh()`): four fifths of the CPU time of the first call.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install -q "numba==0.68.1" "scipy==1.17.1" "numpy==2.4.6"
cat >kernel.py <<'P'
import sys, time
import numba, numpy
from numba.core import caching
from numba.core.runtime import rtsys


@numba.njit(cache=True)
def double(x):
    return x * 2


def load_alone(self, sig, context):
    rtsys.initialize(context)  # what compiled code calls
    return self._load_overload(sig, context)


if "alone" in sys.argv:
    caching.FunctionCache.load_overload = load_alone
values = numpy.arange(3.0)
start = time.process_time()
assert double(values).tolist() == [0, 2, 4]
print(time.process_time() - start, sum(double.stats.cache_hits.values()), "scipy.linalg" in sys.modules)
P
cat >measure.py <<'P'
import subprocess, sys


def first_call(*words):
    return subprocess.run([sys.executable, "kernel.py", *words], check=True, capture_output=True, text=True).stdout.split()


first_call()  # compiles
plain, alone = (sorted(first_call(*words) for _ in range(5))[2] for words in ((), ("alone",)))
print(f"Python {sys.version.split()[0]}: first call of a cached kernel {plain[0][:5]} CPU s, hits {plain[1]}, scipy.linalg {plain[2]};")
print(f"loaded alone {alone[0][:5]} CPU s, hits {alone[1]}, scipy.linalg {alone[2]}")
sys.exit(not (plain[1:] == ["1", "True"] and alone[1:] == ["1", "False"] and float(alone[0]) < 0.5 * float(plain[0])))
P
venv/bin/python measure.py
