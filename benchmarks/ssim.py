"""Speed of the fused SSIM, forward and backward, against plain torch and pytorch-msssim in the same run.

python benchmarks/ssim.py
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
from pytorch_msssim import ssim as reference

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mousefacelift.core.ssim import ssim, ssim_map_torch


def measure(function, size: int, repeats: int = 11) -> np.ndarray:
    """Milliseconds of forward + backward for 6 RGB images, gradient of the first argument."""
    torch.manual_seed(0)
    a = torch.rand(6, 3, size, size).requires_grad_()
    b = torch.rand(6, 3, size, size)
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        torch.autograd.grad(function(a, b), a)
        times.append(1e3 * (time.perf_counter() - start))
    return np.array(times[2:])


def main() -> None:
    peers = {
        "fused": ssim,
        "plain torch": lambda a, b: ssim_map_torch(a, b).mean(),
        "pytorch-msssim": lambda a, b: reference(a, b, data_range=1.0),
    }
    for size in (256, 512):
        for name, function in peers.items():
            times = measure(function, size, 11 if name == "fused" else 3)
            print(
                f"6 x 3 x {size}^2 {name:15s} median {np.median(times):7.1f} ms, minimum {times.min():7.1f} ms",
                flush=True,
            )


if __name__ == "__main__":
    main()
