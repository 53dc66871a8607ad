"""Time one fit on the CPU against the same fit with SSIM and rasteriser of plain torch.

    python benchmarks/fit.py                      6 views of 256 px, 8 thousand Gaussians, 210 steps
    python benchmarks/fit.py --gpu                1,600 frames at 512 px in batches of 64, one H200

The peer runs the same code but for the rasteriser (16 px tiles) and SSIM; its time is extrapolated from a few steps
(at least three). Images: coloured ellipsoids with a striped coat, ray cast, soft edges.
The GPU part needs a CUDA device and gsplat, and has not been run yet: none was at hand.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks"), str(ROOT / "tests" / "splats")]

from conftest import toy_frame  # noqa: E402
from render_peers import render_view  # noqa: E402

from mousefacelift.core.gaussians import gaussian_colors  # noqa: E402
from mousefacelift.core.render import Render, RenderConfig  # noqa: E402
from mousefacelift.core.ssim import ssim_map_torch  # noqa: E402
from mousefacelift.splats import fit, targets  # noqa: E402
from mousefacelift.splats.config import FitConfig, HullConfig, OptimiseConfig  # noqa: E402
from mousefacelift.splats.fit import fit_frames  # noqa: E402
from mousefacelift.splats.score import score_views  # noqa: E402

OptimiseConfig.heldout, OptimiseConfig.check_every = 0.0, 50  # every step is taken, none is spent on checks


def settings(steps: int, count: int) -> FitConfig:
    return FitConfig(count=count, hull=HullConfig(grid=96), optimise=OptimiseConfig(steps=steps))


def time_fit(frames, config, device="cpu") -> tuple[float, list]:
    start = time.perf_counter()
    fits = fit_frames(frames, config, 0, device)
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start, fits


def seconds_per_step_of_plain_torch(frame, config: FitConfig, steps: int) -> float:
    """Mean seconds of a step of the same fit whose rasteriser and SSIM are plain torch operations.

    A run of `steps` goes through the whole schedule, so that the share of steps with SSIM and with views between the
    cameras is that of a long one. The start, held-out checks and scores are not counted.
    """
    spent = []
    step = fit._Run._step

    def timed_step(run, index):
        run.planes = None  # the peer's rasteriser and SSIM stand behind autograd
        begin = time.perf_counter()
        loss = step(run, index)
        spent.append(time.perf_counter() - begin)
        print(f"plain torch, step {index + 1} of {steps}: {spent[-1]:.1f} s", file=sys.stderr, flush=True)
        return loss

    with (
        mock.patch.object(fit, "render", plain_render),
        mock.patch.object(targets, "ssim_per_image", lambda a, b: ssim_map_torch(a, b).mean((1, 2, 3))),
        mock.patch.object(fit._Run, "_step", timed_step),
    ):
        fit_frames([frame], config, 0, steps=steps)
    return sum(spent) / len(spent)


def plain_render(gaussians, cameras, config=None, background=None) -> Render:
    """`render` of one frame [1, N] and views [1, V] by plain torch over tiles."""
    colors = gaussian_colors(gaussians, cameras)[0, 0]
    leaves = [a[0] for a in (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities)]
    views = [
        render_view(
            leaves, colors, cameras.w2c[0, v], cameras.fxfycxcy[0, v], cameras.width, cameras.height, RenderConfig()
        )
        for v in range(cameras.w2c.shape[1])
    ]
    picture = torch.stack(views)[None]
    rgb, depth, alpha = picture[..., :3], picture[..., 3], picture[..., 4]
    if background is not None:
        rgb = rgb + (1 - alpha).unsqueeze(-1) * background[:, :, None, None]
    return Render(rgb, alpha, depth)


def run_cpu(args) -> dict:
    torch.set_num_threads(args.threads)
    frame = toy_frame(args.size)
    fit_frames([frame], settings(3, 200), 0)  # compile
    seconds, fits = time_fit([frame], settings(args.steps, args.count))
    left_out = {k: float(v.mean()) for k, v in score_views(fits[0].gaussians, frame).items()}
    out = {
        "size": args.size,
        "gaussians": args.count,
        "steps": args.steps,
        "threads": args.threads,
        "seconds": seconds,
        "scores_on_fitted_views": left_out,
    }
    if args.peer_steps:
        per_step = seconds_per_step_of_plain_torch(frame, settings(args.steps, args.count), args.peer_steps)
        out |= {
            "plain_torch_seconds_extrapolated": per_step * args.steps,
            "peer_steps": args.peer_steps,
            "times_faster": per_step * args.steps / seconds,
        }
    return out


def time_gsplat_loop(frames, config) -> float:
    """Seconds of fitting frames one by one as gsplat's example trainer does: its rasteriser, one Adam per parameter
    group, L1 and SSIM of one view per step, `DefaultStrategy`; our steps times their views, so that both see as many
    pictures.
    """
    import numpy as np
    from gsplat import DefaultStrategy, rasterization
    from pytorch_msssim import ssim

    from mousefacelift.splats.parameters import stack_parameters
    from mousefacelift.splats.start import carve_body, hull_start

    rates = {
        "means": 1.6e-4,
        "scales": 5e-3,
        "quats": 1e-3,
        "opacities": 5e-2,
        "colors": 2.5e-2,
    }  # of the example trainer
    begin = time.perf_counter()
    for frame in frames:
        start = stack_parameters(
            [hull_start(frame, carve_body(frame, config.hull), config.count, np.random.default_rng(0))], "cuda"
        )
        names = ("means", "log_scales", "quats", "opacity_logits", "color_logits")
        splats = torch.nn.ParameterDict(
            {short: start[name][0].detach() for short, name in zip(rates, names, strict=True)}
        )
        optimisers = {name: torch.optim.Adam([splats[name]], lr=rate, eps=1e-15) for name, rate in rates.items()}
        strategy, views = DefaultStrategy(), len(frame.cameras)
        state = strategy.initialize_state(scene_scale=1.0)
        w2c = torch.from_numpy(np.stack([c.w2c for c in frame.cameras])).float().cuda()
        intrinsics = torch.from_numpy(np.stack([c.K for c in frame.cameras])).float().cuda()
        goal = torch.from_numpy(frame.rgba[..., :3] * frame.rgba[..., 3:]).cuda()
        for step in range(config.optimise.steps * (config.optimise.views or views)):
            view = step % views
            picture, _, info = rasterization(
                splats["means"],
                splats["quats"],
                splats["scales"].exp(),
                splats["opacities"].sigmoid(),
                splats["colors"].sigmoid(),
                w2c[view : view + 1],
                intrinsics[view : view + 1],
                goal.shape[2],
                goal.shape[1],
                packed=False,
            )
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
    return {
        "device": torch.cuda.get_device_name(),
        "batch": args.batch,
        "seconds_per_batch": seconds,
        "minutes_for_1600_frames": seconds / args.batch * 1600 / 60,
        "gsplat_loop_seconds_per_frame": peer,
        "times_faster": peer * args.batch / seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--count", type=int, default=8000)
    parser.add_argument("--steps", type=int, default=210)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer-steps", type=int, default=3, help="0: no peer")
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--batch", type=int, default=64)
    args = parser.parse_args()
    print(json.dumps(run_gpu(args) if args.gpu else run_cpu(args), indent=1))


if __name__ == "__main__":
    main()
