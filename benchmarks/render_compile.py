"""Seconds of the first render in a fresh process, forward and backward: kernels compiled, and kernels read from disk.

    python benchmarks/render_compile.py

Each measurement is a process of its own with its own NUMBA_CACHE_DIR, empty for the cold call and filled by it for the
warm ones. Imports are timed apart, because any program that uses torch and numba pays them. The SSIM kernels come last.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
import sys, time
start = time.perf_counter()
import torch
middle = time.perf_counter()
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/benchmarks"]
from mousefacelift.core import ssim_kernels
from mousefacelift.core.render import cpu, render
from mousefacelift.core.ssim import ssim
from mousefacelift.core.gaussians import Gaussians
from render import mouse_scene, ring_cameras
scene, cameras = mouse_scene(200), ring_cameras(32)
leaves = [a.requires_grad_() for a in vars(scene).values()]
ready = time.perf_counter()
image = render(Gaussians(*leaves), cameras)
forward = time.perf_counter()
torch.autograd.grad(image.rgb.sum() + image.depth.sum(), leaves)
backward = time.perf_counter()
a = torch.rand(1, 3, 64, 64, requires_grad=True)
torch.autograd.grad(ssim(a, torch.rand(1, 3, 64, 64)), a)
print(f"import torch {middle - start:.2f} s, package and numba {ready - middle:.2f} s; first render: "
      f"forward {forward - ready:.2f} s, backward {backward - forward:.2f} s, together {backward - ready:.2f} s; "
      f"first SSIM {time.perf_counter() - backward:.2f} s")
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as cache:
        for name in ("cold", "warm", "warm"):
            done = subprocess.run(
                [sys.executable, "-c", PROGRAM, str(ROOT)],
                env={**os.environ, "NUMBA_CACHE_DIR": cache},
                check=True,
                capture_output=True,
                text=True,
            )
            print(f"{name}: {done.stdout.strip()}", flush=True)


if __name__ == "__main__":
    main()
