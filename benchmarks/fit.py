"""Time one fit on the CPU against the same fit with SSIM and rasteriser of plain torch.

    python benchmarks/fit.py                      6 views of 256 px, 8 thousand Gaussians, 300 steps
    python benchmarks/fit.py --gpu                1,600 frames at 512 px in batches of 64, one H200

The peer's time is extrapolated from a few steps (at least three). Images: coloured ellipsoids with a striped coat,
ray cast, soft edges. The GPU part needs a CUDA device and gsplat, and has not been run yet: none was at hand.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "splats"), str(ROOT / "tests" / "core")]

from conftest import toy_frame  # noqa: E402

from mousefacelift.splats.config import HullConfig, OptimiseConfig, SplatsConfig  # noqa: E402
from mousefacelift.splats.fit import fit_frames  # noqa: E402
from mousefacelift.splats.score import score_views  # noqa: E402


def settings(steps: int, count: int) -> SplatsConfig:
    return SplatsConfig(count=count, hull=HullConfig(grid=96), optimise=OptimiseConfig(steps=steps, heldout=0.0, check_every=50))


def time_fit(frames, config, device="cpu") -> tuple[float, list]:
    start = time.perf_counter()
    fits = fit_frames(frames, config, 0, device)
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start, fits


def time_plain_torch(frame, count: int, steps: int, rows: int) -> float:
    """Seconds per step of a fit whose rasteriser and SSIM are plain torch operations (all Gaussians in bands of rows)."""
    import numpy as np
    from pytorch_msssim import ssim

    from mousefacelift.core.camera_tensors import CameraTensors
    from mousefacelift.splats.frames import crop_together
    from mousefacelift.splats.parameters import activate, make_optimiser, stack_parameters
    from mousefacelift.splats.start import carve_body, hull_start

    cut = crop_together([frame])[0]
    start = hull_start(frame, carve_body(frame, HullConfig()), count, np.random.default_rng(0))
    parameters = stack_parameters([start])
    optimiser = make_optimiser(parameters, OptimiseConfig())
    cameras = CameraTensors.from_cameras(cut.cameras)
    goal = torch.from_numpy(cut.rgba[..., :3] * cut.rgba[..., 3:])
    begin = time.perf_counter()
    for _ in range(steps):
        gaussians = activate(parameters)
        pictures = [_plain_view(gaussians, cameras, v, rows) for v in range(len(cut.cameras))]
        picture = torch.stack(pictures)
        a, b = (t.permute(0, 3, 1, 2) for t in (picture[..., :3], goal))
        loss = 0.8 * (a - b).abs().mean() + 0.2 * (1 - ssim(a, b, data_range=1.0))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    return (time.perf_counter() - begin) / steps


def _plain_view(gaussians, cameras, view: int, rows: int) -> torch.Tensor:
    """[H, W, 4] of one view: Gaussians sorted by depth, every band of rows blended by a cumulative product."""
    from torch.utils.checkpoint import checkpoint

    w2c, (fx, fy, cx, cy) = cameras.w2c[view], cameras.fxfycxcy[view]
    local = gaussians.means[0] @ w2c[:3, :3].T + w2c[:3, 3]
    order = torch.argsort(local[:, 2].detach())
    x, y, z = local[order].unbind(-1)
    w, i, j, k = torch.nn.functional.normalize(gaussians.quats[0, order], dim=-1).unbind(-1)
    turn = torch.stack([1 - 2 * (j * j + k * k), 2 * (i * j - w * k), 2 * (i * k + w * j), 2 * (i * j + w * k),
                        1 - 2 * (i * i + k * k), 2 * (j * k - w * i), 2 * (i * k - w * j), 2 * (j * k + w * i),
                        1 - 2 * (i * i + j * j)], -1).unflatten(-1, (3, 3))  # fmt: skip
    zero = torch.zeros_like(z)
    jacobian = torch.stack([fx / z, zero, -fx * x / z**2, zero, fy / z, -fy * y / z**2], -1).unflatten(-1, (2, 3))
    half = jacobian @ w2c[:3, :3] @ (turn * gaussians.scales[0, order].unsqueeze(-2))
    conic = torch.linalg.inv(half @ half.transpose(-1, -2) + 0.3 * torch.eye(2))
    center = torch.stack([fx * x / z + cx, fy * y / z + cy], -1)
    opacity = gaussians.opacities[0, order]
    color = gaussians.sh[0, order, 0] * 0.28209479177387814 + 0.5
    payload = torch.cat([color, torch.ones_like(color[:, :1])], -1)

    def band(first, conic, center, opacity, payload):
        last = min(first + rows, cameras.height)
        v, u = torch.meshgrid(torch.arange(first, last) + 0.5, torch.arange(cameras.width) + 0.5, indexing="ij")
        dx, dy = u.reshape(-1, 1) - center[:, 0], v.reshape(-1, 1) - center[:, 1]
        power = 0.5 * (conic[:, 0, 0] * dx * dx + conic[:, 1, 1] * dy * dy) + conic[:, 0, 1] * dx * dy
        alpha = (opacity * torch.exp(-power)).clamp(max=0.999)
        through = torch.cumprod(1 - alpha, -1)
        return (alpha * torch.cat([torch.ones_like(through[:, :1]), through[:, :-1]], -1)) @ payload

    bands = [checkpoint(band, first, conic, center, opacity, payload, use_reentrant=False) for first in range(0, cameras.height, rows)]
    return torch.cat(bands).reshape(cameras.height, cameras.width, 4)


def run_cpu(args) -> dict:
    torch.set_num_threads(args.threads)
    frame = toy_frame(args.size)
    fit_frames([frame], settings(3, 200), 0)  # compile
    seconds, fits = time_fit([frame], settings(args.steps, args.count))
    left_out = {k: float(v.mean()) for k, v in score_views(fits[0].gaussians, frame).items()}
    out = {"size": args.size, "gaussians": args.count, "steps": args.steps, "threads": args.threads, "seconds": seconds,
           "scores_on_fitted_views": left_out}  # fmt: skip
    if args.peer_steps:
        per_step = time_plain_torch(frame, args.count, args.peer_steps, rows=8)
        out |= {"plain_torch_seconds_extrapolated": per_step * args.steps, "peer_steps": args.peer_steps,
                "times_faster": per_step * args.steps / seconds}  # fmt: skip
    return out


def time_gsplat_loop(frames, config) -> float:
    """Seconds of fitting frames one by one as gsplat's example trainer does: its rasteriser, one Adam per parameter group,
    L1 and SSIM of one view per step, `DefaultStrategy`; steps times views of ours, so that both see as many pictures.
    """
    import numpy as np
    from gsplat import DefaultStrategy, rasterization
    from pytorch_msssim import ssim

    from mousefacelift.splats.parameters import stack_parameters
    from mousefacelift.splats.start import carve_body, hull_start

    rates = {"means": 1.6e-4, "scales": 5e-3, "quats": 1e-3, "opacities": 5e-2, "colors": 2.5e-2}  # of the example trainer
    begin = time.perf_counter()
    for frame in frames:
        start = stack_parameters([hull_start(frame, carve_body(frame, config.hull), config.count, np.random.default_rng(0))], "cuda")
        names = ("means", "log_scales", "quats", "opacity_logits", "color_logits")
        splats = torch.nn.ParameterDict({short: start[name][0].detach() for short, name in zip(rates, names, strict=True)})
        optimisers = {name: torch.optim.Adam([splats[name]], lr=rate, eps=1e-15) for name, rate in rates.items()}
        strategy, views = DefaultStrategy(), len(frame.cameras)
        state = strategy.initialize_state(scene_scale=1.0)
        w2c = torch.from_numpy(np.stack([c.w2c for c in frame.cameras])).float().cuda()
        intrinsics = torch.from_numpy(np.stack([c.K for c in frame.cameras])).float().cuda()
        goal = torch.from_numpy(frame.rgba[..., :3] * frame.rgba[..., 3:]).cuda()
        for step in range(config.optimise.steps * views):
            view = step % views
            picture, _, info = rasterization(
                splats["means"], splats["quats"], splats["scales"].exp(), splats["opacities"].sigmoid(), splats["colors"].sigmoid(),
                w2c[view : view + 1], intrinsics[view : view + 1], goal.shape[2], goal.shape[1], packed=False,
            )  # fmt: skip
            strategy.step_pre_backward(splats, optimisers, state, step, info)
            a, b = picture.permute(0, 3, 1, 2), goal[view : view + 1].permute(0, 3, 1, 2)
            (0.8 * (a - b).abs().mean() + 0.2 * (1 - ssim(a, b, data_range=1.0))).backward()
            for optimiser in optimisers.values():
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
            strategy.step_post_backward(splats, optimisers, state, step, info, packed=False)
    torch.cuda.synchronize()
    return time.perf_counter() - begin


def run_gpu(args) -> dict:
    frames = [toy_frame(512, turn=0.3 * k, name=str(k)) for k in range(args.batch)]
    config = replace(settings(300, 20000), batch=args.batch)
    fit_frames(frames[:2], settings(3, 200), 0, "cuda")
    seconds, _ = time_fit(frames, config, "cuda")
    peer = time_gsplat_loop(frames[:5], config) / 5
    return {"device": torch.cuda.get_device_name(), "batch": args.batch, "seconds_per_batch": seconds,
            "minutes_for_1600_frames": seconds / args.batch * 1600 / 60, "gsplat_loop_seconds_per_frame": peer,
            "times_faster": peer * args.batch / seconds}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--count", type=int, default=8000)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer-steps", type=int, default=3, help="0: no peer")
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--batch", type=int, default=64)
    args = parser.parse_args()
    print(json.dumps(run_gpu(args) if args.gpu else run_cpu(args), indent=1))


if __name__ == "__main__":
    main()
