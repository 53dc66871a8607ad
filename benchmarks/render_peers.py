"""Peers of the CPU renderer in one run: a renderer of plain torch over tiles, and the machine's measured FMA peak."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.gaussians import Gaussians, gaussian_colors
from mousefacelift.core.render import RenderConfig
from mousefacelift.core.render.jit import kernel, take_ticket
from mousefacelift.core.render.simd import fill, fma, store
from tests.core.oracle_render import project

TILE = 16


def render_view(leaves, colors, w2c, intrinsics, width, height, config):
    """[H, W, 5] rgb, depth, alpha of one view: every tile blends the Gaussians whose 3.33-sigma box touches it."""
    means, quats, scales, opacities = leaves
    centers, cov, z, _ = project(means, quats, scales, w2c, intrinsics, width, height, config)
    order = torch.argsort(z.detach())
    centers, conic, opacities = centers[order], torch.linalg.inv(cov)[order], opacities[order]
    payload = torch.cat([colors, z[:, None], torch.ones_like(z[:, None])], -1)[order]
    reach = 3.33 * torch.sqrt(torch.diagonal(cov.detach(), dim1=-2, dim2=-1))[order]
    low, high = centers.detach() - reach, centers.detach() + reach
    image = torch.zeros(height, width, 5)
    v, u = torch.meshgrid(torch.arange(TILE) + 0.5, torch.arange(TILE) + 0.5, indexing="ij")
    for y in range(0, height, TILE):
        band = ((low[:, 1] < y + TILE) & (high[:, 1] > y)).nonzero()[:, 0]
        for x in range(0, width, TILE):
            chosen = band[(low[band, 0] < x + TILE) & (high[band, 0] > x)]
            if len(chosen) == 0:
                continue
            dx, dy = (u.reshape(-1, 1) + x) - centers[chosen, 0], (v.reshape(-1, 1) + y) - centers[chosen, 1]
            k = conic[chosen]
            power = 0.5 * (k[:, 0, 0] * dx * dx + k[:, 1, 1] * dy * dy) + k[:, 0, 1] * dx * dy
            alpha = torch.clamp(opacities[chosen] * torch.exp(-power), max=config.alpha_max)
            alpha = torch.where(alpha >= config.alpha_min, alpha, 0.0)
            after = torch.cumprod(1 - alpha, -1)
            before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], -1)
            weight = torch.where(after > config.t_stop, alpha * before, 0.0)
            image[y:y + TILE, x:x + TILE] = (weight @ payload[chosen]).reshape(TILE, TILE, 5)
    return image


def seconds_torch(gaussians: Gaussians, cameras: CameraTensors, views: int = 1) -> float:
    """Forward + backward of all views, extrapolated from the first `views`."""
    leaves = [a.clone().requires_grad_() for a in vars(gaussians).values()]
    colors = gaussian_colors(Gaussians(*leaves), cameras)[0]
    start = time.perf_counter()
    for view in range(views):
        image = render_view(leaves[:4], colors, cameras.w2c[view], cameras.fxfycxcy[view], cameras.width, cameras.height,
                            RenderConfig())
        torch.autograd.grad(image, leaves, torch.randn_like(image), retain_graph=True)
    return (time.perf_counter() - start) * cameras.w2c.shape[0] / views


@kernel
def _multiply_add(tickets, tasks, out, rounds):
    while take_ticket(tickets) < tasks:
        a = b = c = d = e = f = g = h = fill(out, 1)
        for _ in range(rounds):
            a, b, c, d = fma(a, 0.999, 0.1), fma(b, 0.999, 0.2), fma(c, 0.999, 0.3), fma(d, 0.999, 0.4)
            e, f, g, h = fma(e, 0.999, 0.5), fma(f, 0.999, 0.6), fma(g, 0.999, 0.7), fma(h, 0.999, 0.8)
        store(out, 0, a + b + c + d + e + f + g + h)


def peak_gflops(rounds: int = 20_000_000) -> float:
    """Single-precision FMA peak of one thread: 8 independent chains of 16 lanes."""
    out, best = np.zeros(16, np.float32), 1e9
    for _ in range(3):
        start = time.perf_counter()
        _multiply_add(np.zeros(1, np.int64), 1, out, rounds)
        best = min(best, time.perf_counter() - start)
    return rounds * 8 * 16 * 2 / best / 1e9


def compare(gaussians: Gaussians, cameras: dict[int, CameraTensors], best: dict[int, float]) -> None:
    print(f"FMA peak of one thread {peak_gflops():.0f} GFLOP/s", flush=True)
    for size, views in cameras.items():
        seconds = seconds_torch(gaussians, views)
        print(f"plain torch over tiles, {size} px: {1e3 * seconds:.0f} ms for 6 views (from one), "
              f"{seconds / best[size]:.0f} times the kernels' minimum", flush=True)
