"""Peers of the CPU renderer in one run: plain torch over tiles, a scalar build of the same algorithm, the FMA peak."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from render_boxes import box_kernels
from render_scalar import count_pairs, difference, kernels, scalar_raster, scalar_raster_backward

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.gaussians import Gaussians, gaussian_colors
from mousefacelift.core.render import RenderConfig
from mousefacelift.core.render.jit import kernel, run, take_ticket
from mousefacelift.core.render.simd import LANES, fill, fma, store
from tests.core.oracle_render import project

TILE = 16
FLOP_PER_PAIR = (
    105  # 36 forward (quadratic form 5, exp 16, blending 12, rest) and about 70 backward, the forward again included
)


def render_view(leaves, colors, w2c, intrinsics, width, height, config):
    """[H, W, 5] rgb, depth, alpha of one view: every tile blends the Gaussians whose 3.33-sigma box touches it."""
    means, quats, scales, opacities = leaves
    centers, cov, z, _ = project(means, quats, scales, w2c, intrinsics, width, height, config)
    order = torch.argsort(z.detach())
    centers, conic, opacities = centers[order], torch.linalg.inv(cov)[order], opacities[order]
    payload = torch.cat([colors, z[:, None], torch.ones_like(z[:, None])], -1)[order]
    reach = 3.33 * torch.sqrt(torch.diagonal(cov.detach(), dim1=-2, dim2=-1))[order]
    low, high = centers.detach() - reach, centers.detach() + reach
    rows, empty = [], torch.zeros(TILE, TILE, 5)
    v, u = torch.meshgrid(torch.arange(TILE) + 0.5, torch.arange(TILE) + 0.5, indexing="ij")
    for y in range(0, height, TILE):
        band = ((low[:, 1] < y + TILE) & (high[:, 1] > y)).nonzero()[:, 0]
        row = []
        for x in range(0, width, TILE):
            chosen = band[(low[band, 0] < x + TILE) & (high[band, 0] > x)]
            if len(chosen) == 0:
                row.append(empty)
                continue
            dx, dy = (u.reshape(-1, 1) + x) - centers[chosen, 0], (v.reshape(-1, 1) + y) - centers[chosen, 1]
            k = conic[chosen]
            power = 0.5 * (k[:, 0, 0] * dx * dx + k[:, 1, 1] * dy * dy) + k[:, 0, 1] * dx * dy
            alpha = torch.clamp(opacities[chosen] * torch.exp(-power), max=config.alpha_max)
            alpha = torch.where(alpha >= config.alpha_min, alpha, 0.0)
            after = torch.cumprod(1 - alpha, -1)
            before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], -1)
            weight = torch.where(after > config.t_stop, alpha * before, 0.0)
            row.append((weight @ payload[chosen]).reshape(TILE, TILE, 5))
        rows.append(torch.cat(row, 1))
    return torch.cat(rows)[:height, :width]


def seconds_torch(gaussians: Gaussians, cameras: CameraTensors, views: int = 1) -> float:
    """Forward + backward of all views, extrapolated from the first `views`."""
    leaves = [a.clone().requires_grad_() for a in vars(gaussians).values()]
    colors = gaussian_colors(Gaussians(*leaves), cameras)[0]
    start = time.perf_counter()
    for view in range(views):
        image = render_view(
            leaves[:4], colors, cameras.w2c[view], cameras.fxfycxcy[view], cameras.width, cameras.height, RenderConfig()
        )
        torch.autograd.grad(image, leaves, torch.randn_like(image), retain_graph=True)
    return (time.perf_counter() - start) * cameras.w2c.shape[0] / views


@kernel
def _multiply_add(tickets, tasks, out, rounds):
    while True:
        task = take_ticket(tickets)
        if task >= tasks:
            return
        a = b = c = d = e = f = g = h = fill(out, 1)
        for _ in range(rounds):
            a, b, c, d = fma(a, 0.999, 0.1), fma(b, 0.999, 0.2), fma(c, 0.999, 0.3), fma(d, 0.999, 0.4)
            e, f, g, h = fma(e, 0.999, 0.5), fma(f, 0.999, 0.6), fma(g, 0.999, 0.7), fma(h, 0.999, 0.8)
        store(out, LANES * task, a + b + c + d + e + f + g + h)


def peak_gflops(rounds: int = 4_000_000) -> float:
    """Single-precision FMA peak of all threads: 8 independent chains of 16 lanes each, 4 tasks a thread, best of 5."""
    tasks, best = 4 * torch.get_num_threads(), 1e9
    out = np.zeros(LANES * tasks, np.float32)
    run(_multiply_add, 1, out, 1)
    for _ in range(5):
        start = time.perf_counter()
        run(_multiply_add, tasks, out, rounds)
        best = min(best, time.perf_counter() - start)
    return tasks * rounds * 8 * LANES * 2 / best / 1e9


def compare(gaussians: Gaussians, cameras: dict[int, CameraTensors], measure) -> None:
    """Print the ratios of medians; `measure(gaussians, cameras, repeats)` gives the seconds of a run."""
    peak = peak_gflops()
    print(f"FMA peak {peak:.0f} GFLOP/s on {torch.get_num_threads()} threads; forward + backward, medians:", flush=True)
    for size, views in cameras.items():
        mine = float(np.median(measure(gaussians, views, 15)["forward+backward"]))
        every, live, most = count_pairs(gaussians, views)
        print(f"{size} px: {1e3 * mine:.1f} ms", flush=True)
        for name, pixel_kernels in (
            ("scalar build of the same tiles", (scalar_raster, scalar_raster_backward)),
            ("scalar, OpenSplat's kind", box_kernels(views.w2c.shape[0], size * size, most)),
        ):
            with kernels(*pixel_kernels):
                seconds = float(np.median(measure(gaussians, views, 5)["forward+backward"]))
            print(
                f"  {name}: {1e3 * seconds:.0f} ms, {seconds / mine:.1f} times; images and gradients differ by "
                f"{difference(gaussians, views, *pixel_kernels):.1e}",
                flush=True,
            )
        seconds = seconds_torch(gaussians, views)
        print(
            f"  plain torch over tiles, from one view: {1e3 * seconds:.0f} ms, {seconds / mine:.0f} times", flush=True
        )
        for name, pairs in (("alpha >= 1/255", every), ("these blended", live)):
            rate = FLOP_PER_PAIR * pairs / mine / 1e9
            print(
                f"  {pairs / 1e6:.2f} million pairs of {name} x {FLOP_PER_PAIR} flop: {rate:.0f} GFLOP/s, "
                f"{100 * rate / peak:.0f} % of the peak",
                flush=True,
            )
