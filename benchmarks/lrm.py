"""Speed and memory of the reconstructor: training samples/s, forward time, share of the hardware's peak.

    python benchmarks/lrm.py [--half]             small preset, and small_plain at 64 px, on the CPU, synthetic balls
    python benchmarks/lrm.py --forward   facelift preset on the CPU, 4 and 6 views of 512 px: forward time from 3 of its
                                                  24 equal layers (a whole pass takes minutes on two cores)
    python benchmarks/lrm.py --device cuda        facelift preset on a GPU, 4 and 6 views of 512 px

FLOPs are counted for the transformer's matrix products only (two per multiply-add): 2 * weights * tokens for the linear
layers, 4 * tokens^2 * dim per layer for attention; the backward pass counts twice the forward. The renderer, the losses
and everything elementwise count as time but not as FLOPs. The CPU's peak is measured with a large matrix product in the
same run; a GPU's peak is --peak-tflops (989 for bf16 dense on H100 and H200, NVIDIA's data sheet).
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import canonical_fxfycxcy, ring
from mousefacelift.core.linear import has_wide_products, product
from mousefacelift.core.render import published_render, render
from mousefacelift.core.training import clip_gradients
from mousefacelift.lrm.losses import LossConfig, render_loss
from mousefacelift.lrm.model import GSLRM
from mousefacelift.lrm.model_config import ModelConfig
from mousefacelift.lrm.models import preset
from tests.lrm.toy import cast_balls


def batch(views: int, size: int, device: str) -> tuple[torch.Tensor, ...]:
    """One scene of `views` posed images [1, V, 4, H, W] on white, with cameras."""
    cameras = ring(views, size)
    rgba = np.stack([cast_balls(camera, 40, (0.4, 0.3, 0.2)) for camera in cameras])
    rgba[..., :3] = rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]
    image = torch.from_numpy(rgba).permute(0, 3, 1, 2)[None].contiguous()
    c2w = torch.from_numpy(np.stack([camera.c2w for camera in cameras])).float()[None]
    fxfycxcy = torch.from_numpy(canonical_fxfycxcy(size)).float().expand(1, views, 4)
    return tuple(t.to(device) for t in (image, c2w, fxfycxcy))


def forward_flops(config: ModelConfig, tokens: int) -> float:
    """Multiply-adds of one forward pass of the transformer and its linear ends, times two."""
    per_token = config.layers * 12 * config.dim**2 + (9 + config.gaussian_channels) * config.patch_size**2 * config.dim
    return 2.0 * per_token * tokens + config.layers * 4.0 * tokens**2 * config.dim


def timed(function, repeats: int, device: str) -> float:
    """Median seconds of a call after one warm-up."""
    times = []
    for _ in range(repeats + 1):
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        function()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))


def cpu_peak() -> float:
    """FLOP/s of a 2048^3 fp32 matrix product, by the way that is faster here."""
    a = torch.rand(2048, 2048)
    ways = [lambda: a @ a] + ([lambda: product(a, a)] if has_wide_products() else [])
    return 2 * 2048**3 / min(timed(way, 5, "cpu") for way in ways)


def count_tokens(model: GSLRM, image: torch.Tensor) -> int:
    """Tokens that the transformer really sees."""
    cells = torch.nn.functional.max_pool2d(image[0, :, 3:], model.config.patch_size)
    return model.config.free_gaussians + int((cells > 0).sum() if model.config.uses_alpha else cells.numel())


def bench(
    name: str, views: int, targets: int, device: str, peak: float, repeats: int, half: bool, size: int = 0
) -> None:
    config = preset(name)
    config = dataclasses.replace(config, image_size=size or config.image_size)
    torch.manual_seed(0)
    model = GSLRM(config).to(device)
    image, c2w, fxfycxcy = batch(views + targets, config.image_size, device)
    shown = (image[:, :views], c2w[:, :views], fxfycxcy[:, :views])
    cameras = CameraTensors.from_c2w(c2w[:, views:], fxfycxcy[:, views:], config.image_size, config.image_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    white = torch.ones(3, device=device)
    model.checkpoints_activations = device == "cuda"
    spent = {"render": 0.0}

    def network():
        with torch.autocast(device, torch.bfloat16, enabled=half):
            return model(*shown).activated().map(torch.Tensor.float)

    def step():
        gaussians = network()
        out = render(gaussians, cameras, published_render(device), white)
        target = image[0, views:]
        loss, _ = render_loss(
            out.rgb[0].permute(0, 3, 1, 2), out.alpha[0][:, None], target[:, :3], target[:, 3:], LossConfig()
        )
        loss.mean().backward()
        clip_gradients(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def render_only():
        gaussians = fixed.map(lambda tensor: tensor.detach().requires_grad_())
        render(gaussians, cameras, published_render(device), white).rgb.mean().backward()

    with torch.no_grad():
        fixed = network()
        forward_s = timed(network, repeats, device)
    step_s, spent["render"] = timed(step, repeats, device), timed(render_only, repeats, device)
    tokens = count_tokens(model, image[:, :views])
    flops = forward_flops(config, tokens)
    passes = 4 if model.checkpoints_activations else 3  # checkpointing computes the forward pass twice
    memory = (
        torch.cuda.max_memory_allocated() / 2**30
        if device == "cuda"
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    )
    print(
        f"{name:9} {views} inputs {targets} targets {config.image_size} px: {tokens} tokens, forward "
        f"{forward_s * 1e3:.0f} ms "
        f"({flops / forward_s / peak:.0%} of peak), training step {step_s * 1e3:.0f} ms = {1 / step_s:.2f} samples/s, "
        f"transformer {passes * flops / max(step_s - spent['render'], 1e-9) / peak:.0%} of peak outside the renderer, "
        f"renderer {spent['render'] / step_s:.0%} of the step, peak memory {memory:.2f} GiB",
        flush=True,
    )


@torch.no_grad()
def bench_forward(name: str, views: int, peak: float, layers: int = 3) -> None:
    """Forward time of a model on the CPU from some of its layers: the rest of the network + all layers at the median of
    those after the first, which also warms the caches."""
    config = preset(name)
    torch.manual_seed(0)
    model = GSLRM(dataclasses.replace(config, layers=layers)).eval()
    image, c2w, fxfycxcy = batch(views, config.image_size, "cpu")
    marks: list[float] = []
    for layer in model.transformer_layers:
        layer.register_forward_pre_hook(lambda *_: marks.append(time.perf_counter()))
        layer.register_forward_hook(lambda *_: marks.append(time.perf_counter()))
    start = time.perf_counter()
    gaussians = model(image[:, :, :3], c2w, fxfycxcy).activated()
    total = time.perf_counter() - start
    spent = np.diff(marks)[::2]
    whole = total - spent.sum() + config.layers * float(np.median(spent[1:]))
    flops = forward_flops(config, count_tokens(model, image))
    print(
        f"{name:9} {views} views {config.image_size} px, {gaussians.means.shape[1]} Gaussians: {flops / 1e12:.1f} "
        "TFLOP, forward "
        f"{whole:.0f} s = {config.layers} x {np.median(spent[1:]):.2f} s a layer + {total - spent.sum():.2f} s "
        f"({flops / whole / peak:.0%} of peak), {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB "
        f"with {layers} "
        f"layers",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--forward", action="store_true", help="forward time of the published size on the CPU")
    parser.add_argument("--half", action="store_true", help="bf16 on the CPU (always on a GPU)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peak-tflops", type=float, default=989.0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.device == "cpu":
        peak = cpu_peak()
        print(f"CPU, {args.threads} threads, torch {torch.__version__}: measured peak {peak / 1e9:.0f} GFLOP/s (fp32)")
        if args.forward:
            for views in (4, 6):
                bench_forward("facelift", views, peak)
        else:
            bench("small", 4, 4, "cpu", peak, args.repeats, args.half)
            bench("small_plain", 4, 4, "cpu", peak, args.repeats, args.half, 64)
        return
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, peak {args.peak_tflops} TFLOP/s as given")
    for views in (4, 6):
        bench("facelift", views, 4, "cuda", args.peak_tflops * 1e12, args.repeats, True)


if __name__ == "__main__":
    main()
