#!/usr/bin/env bash
# Everything that only a GPU can tell, in one command of under 8 minutes on one H100 or H200:
#
#     bash benchmarks/gpu.sh [FOLDER]      writes FOLDER/NAME.txt (default: results/gpu) and FOLDER/summary.txt
#
# Needs CUDA, gsplat (envs/gpu.yaml) and nvcc for its first compilation. Every part has a limit of its own, so a slow one
# takes no time from the next. Exit status: 1 if any part failed. Targets stand in docs/performance.md, "GPU".
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:-results/gpu}; mkdir -p "$out"; : > "$out/summary.txt"; failed=0
python -c 'import torch; assert torch.cuda.is_available(), "no CUDA device: nothing to measure"' || exit 1

part() {  # NAME SECONDS COMMAND...
    local name=$1 limit=$2 began=$SECONDS status=0; shift 2
    timeout "$limit" "$@" > "$out/$name.txt" 2>&1 || status=$?
    [ $status = 0 ] || failed=1
    echo "$name: status $status, $((SECONDS - began)) s of $limit" | tee -a "$out/summary.txt"
    tail -n 25 "$out/$name.txt"
}

part machine 20 python -m mousefacelift doctor
part gsplat_agrees 150 python -m pytest -q -m gpu tests/core/test_render_gsplat.py tests/gpu -p no:cacheprovider
part training 80 python benchmarks/lrm.py --device cuda           # forward of 4 x 512 px: published 0.23 s on an A100
part generator 110 python benchmarks/distill_published.py speed --photos 1 --steps 50   # random weights, published sizes
part fits 100 python benchmarks/fit.py --gpu --batch 32           # target: 1,600 frames in 15 minutes
exit $failed
