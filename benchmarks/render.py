"""Speed of the CPU renderer: forward and backward through autograd, with depth, against its peers in the same run.

    python benchmarks/render.py                 # 10k Gaussians, 6 views, 256 and 512 px; reconstructor-sized scene
    python benchmarks/render.py --peers         # also a pure-torch tile renderer, a scalar build and the FMA peak
    python benchmarks/render_compile.py         # the first call: cold, and with the kernels on disk

Scene: a seeded mouse-like shell (see `mouse_scene`), random gradients on rgb, alpha and depth, gradients of all
parameters.
Reported: median and minimum over the repeats.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import canonical_fxfycxcy, orbit
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.render import render


def mouse_scene(count: int, seed: int = 0) -> Gaussians:
    """Ellipsoid body, head, ears, tail and some interior; scales near the spacing, 60 % opaque and 40 % faint."""
    rng = np.random.default_rng(seed)
    parts = [
        ((0, 0, 0), (0.85, 0.45, 0.42), 0.70),
        ((0.85, 0, 0.08), (0.32, 0.25, 0.25), 0.12),
        ((0.8, 0.2, 0.35), (0.06, 0.15, 0.17), 0.04),
        ((0.8, -0.2, 0.35), (0.06, 0.15, 0.17), 0.04),
    ]
    points = []
    for center, radii, share in parts:
        direction = rng.normal(size=(int(share * count), 3))
        points.append(np.array(center) + direction / np.linalg.norm(direction, axis=1, keepdims=True) * radii)
    tail = rng.random(int(0.04 * count))
    points.append(np.stack([-0.85 - 0.5 * tail, 0.2 * np.sin(3 * tail), -0.2 + 0.1 * tail], 1))
    inner = rng.normal(size=(count - sum(map(len, points)), 3))
    inner *= rng.random((len(inner), 1)) ** (1 / 3) / np.linalg.norm(inner, axis=1, keepdims=True)
    means = np.concatenate([*points, inner * [0.8, 0.4, 0.38]])
    spacing = 0.030 * math.sqrt(10_000 / count)
    scales = spacing * np.exp(0.45 * rng.normal(size=(count, 3)))
    logits = np.where(rng.random(count) < 0.6, 2.0, -1.5) + 0.4 * rng.normal(size=count)
    arrays = (means, rng.normal(size=(count, 4)), scales, 1 / (1 + np.exp(-logits)), rng.random((count, 3)))
    return Gaussians.from_rgb(*(torch.from_numpy(a.astype(np.float32)) for a in arrays))


def pixel_aligned_scene(size: int = 128, views: int = 4, seed: int = 0) -> tuple[Gaussians, CameraTensors]:
    """One Gaussian per pixel of 4 views, as the reconstructor predicts them, seen from 8 cameras."""
    torch.manual_seed(seed)
    cameras = CameraTensors.from_cameras(
        [orbit(45 * i, 20, 2.7, canonical_fxfycxcy(size), size, size) for i in range(8)]
    )
    inputs = cameras.select(list(range(0, 8, 8 // views)))
    v, u = torch.meshgrid(torch.arange(size) + 0.5, torch.arange(size) + 0.5, indexing="ij")
    fx, fy, cx, cy = cameras.fxfycxcy[0]
    rays = torch.stack([(u - cx) / fx, (v - cy) / fy, torch.ones_like(u)], -1).reshape(-1, 3)
    means = []
    for i in range(views):
        depth = 2.7 - 0.5 * torch.sqrt((0.6 - (rays[:, :2] * 2.7).square().sum(-1)).clamp_min(0))
        local = rays * (depth + 0.02 * torch.randn(len(rays)))[:, None]
        means.append((local - inputs.w2c[i, :3, 3]) @ inputs.w2c[i, :3, :3])
    means = torch.cat(means)
    count = len(means)
    scales = 0.015 * torch.exp(0.3 * torch.randn(count, 3))
    inside = means.norm(dim=-1) < 0.9
    opacities = torch.where(inside, torch.sigmoid(torch.randn(count)), torch.full((count,), 0.03))
    return Gaussians.from_rgb(means, torch.randn(count, 4), scales, opacities, torch.rand(count, 3)), cameras


def ring_cameras(size: int, views: int = 6) -> CameraTensors:
    return CameraTensors.from_cameras(
        [orbit(60 * i, 20 if i % 2 else 45, 2.7, canonical_fxfycxcy(size), size, size) for i in range(views)]
    )


def measure(gaussians: Gaussians, cameras: CameraTensors, repeats: int) -> dict[str, list[float]]:
    """Seconds of `repeats` forward passes without graph, and of forward + backward with all gradients."""
    leaves = [a.clone().requires_grad_() for a in vars(gaussians).values()]
    image = render(gaussians, cameras)
    upstream = [torch.randn_like(a) for a in (image.rgb, image.alpha, image.depth)]
    forward, both = [], []
    for i in range(repeats + 2):
        start = time.perf_counter()
        with torch.no_grad():
            render(gaussians, cameras)
        middle = time.perf_counter()
        image = render(Gaussians(*leaves), cameras)
        torch.autograd.grad((image.rgb, image.alpha, image.depth), leaves, upstream)
        if i >= 2:
            forward.append(middle - start)
            both.append(time.perf_counter() - middle)
    return {"forward": forward, "forward+backward": both}


def show(name: str, seconds: dict[str, list[float]]) -> None:
    parts = [
        f"{key} median {1e3 * float(np.median(s)):8.1f} ms, minimum {1e3 * min(s):8.1f} ms"
        for key, s in seconds.items()
    ]
    print(f"{name:42s} " + "; ".join(parts), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--peers", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    gaussians = mouse_scene(10_000)
    print(
        f"threads {args.threads}, repeats {args.repeats}, coverage "
        f"{float((render(gaussians, ring_cameras(256)).alpha > 0.5).float().mean()):.3f}"
    )
    cameras = {size: ring_cameras(size) for size in (256, 512)}
    for size, views in cameras.items():
        show(f"10k Gaussians, 6 views of {size} px", measure(gaussians, views, args.repeats))
    show("65k pixel-aligned, 8 views of 128 px", measure(*pixel_aligned_scene(), args.repeats))
    if args.peers:
        from render_peers import compare

        compare(gaussians, cameras, measure)


if __name__ == "__main__":
    main()
