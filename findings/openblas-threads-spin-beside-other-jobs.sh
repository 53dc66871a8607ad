#!/usr/bin/env bash
# numpy's wheel (OpenBLAS) with as many threads as cores, beside other jobs: a product of small matrices waits for its second thread by
# spinning, and takes many times the time and CPU time of one thread. Snakemake sets OPENBLAS_NUM_THREADS to the threads of a rule, so that
# a rule with two threads of its own meets it. One thread gives the same bits here.
set -euo pipefail
if [ "$(nproc)" -lt 2 ]; then echo "needs two cores"; exit 0; fi
work=$(mktemp -d); trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv; venv/bin/pip install -q "numpy==2.4.6" 2>/dev/null
cat >measure.py <<'P'
import sys, time
import numpy as np

tall = np.random.default_rng(0).random((2000, 36))
tall.T @ tall
wall, cpu, total = time.perf_counter(), time.process_time(), 0.0
for _ in range(300):
    total += float((tall.T @ tall).sum())
    sum(range(3000))  # what a program does between two products
print(f"{time.perf_counter() - wall:.2f} s wall, {time.process_time() - cpu:.2f} CPU s, sum {total!r}", file=sys.stderr)
print(time.process_time() - cpu, total)
P
for _ in $(seq "$(nproc)"); do while :; do :; done & done # the other jobs
for threads in 1 "$(nproc)"; do
    echo "OpenBLAS with $threads thread(s):"
    OPENBLAS_NUM_THREADS=$threads venv/bin/python measure.py >"of_$threads"
done
venv/bin/python - "$(cat of_1)" "$(cat "of_$(nproc)")" <<'P'
import sys
(one, sum_one), (many, sum_many) = ([float(word) for word in text.split()] for text in sys.argv[1:])
print(f"CPU time of many threads over that of one: {many / one:.1f}; same bits: {sum_one == sum_many}")
sys.exit(many < 2 * one)
P
