"""Speed and memory of the published multi-view generator.

    python benchmarks/distill_published.py speed --weights pipeckpts --prompts clr_embeds.pt --steps 50 --photos 6
    python benchmarks/distill_published.py speed --photos 1     random weights of the published sizes
    python benchmarks/distill_published.py memory

`speed` runs on the GPU when there is one, and compares in the same run: one wanted view per call (each call needs view
0 beside it), one photo per call with conditions encoded once per view, and all photos in one call with conditions
encoded once. `memory` needs no weights: the published sizes on torch's meta device, peak of live tensors of one step,
one decode and the image encoder.
"""

from __future__ import annotations

import argparse
import json
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from mousefacelift.distill.config import SamplerConfig
from mousefacelift.distill.generators.facelift import DECODE_BATCH, clip_pixels, sample_views
from mousefacelift.distill.generators.facelift_attention import SparseViewAttention, set_view_attention
from mousefacelift.distill.generators.facelift_folder import FaceLiftParts, load_facelift
from mousefacelift.distill.generators.protocol import noise_source

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
VIEWS, EDGE = 6, 64  # views of one photo, latent edge of 512 px


def timed(run: Callable[[], None]) -> float:
    """Seconds of one call, the device idle before and after."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def measure_speed(args: argparse.Namespace) -> dict:
    """Views per second of the plain loops and of the batched sampler."""
    torch.set_num_threads(args.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    precision = DTYPES[args.precision]
    is_real = args.weights is not None
    parts = load_facelift(args.weights, args.prompts, precision, device) if is_real else random_parts(precision, device)
    sampler = SamplerConfig(args.steps, 3.0, 1.0)
    pixels = np.random.default_rng(0).integers(0, 255, (args.photos, parts.resolution, parts.resolution, 3), np.uint8)
    pictures = [Image.fromarray(p) for p in pixels]

    def paint(chosen, prompts=None, views=parts.views) -> None:
        sources = [noise_source(i) for i in range(len(chosen))]
        set_view_attention(parts.unet, SparseViewAttention(views))
        sample_views(
            parts, chosen, [lambda shape, s=s: torch.randn(shape, generator=s) for s in sources], sampler, None, prompts
        )

    def view_by_view() -> None:
        for picture in pictures:
            for view in range(parts.views):
                pair = [0, view] if view else [0]
                paint([picture], parts.prompts[pair], len(pair))

    def photo_by_photo() -> None:
        for picture in pictures:
            encode_copies(parts, picture)  # what encoding per view costs beyond encoding once
            paint([picture])

    paint(pictures[:1])
    seconds = {
        "one view per call": timed(view_by_view),
        "one photo per call, conditions per view": timed(photo_by_photo),
        "all photos in one call, conditions once": timed(lambda: paint(pictures)),
    }
    best = seconds["all photos in one call, conditions once"]
    report = {
        name: {"views_per_s": len(pictures) * parts.views / s, "times_slower": s / best} for name, s in seconds.items()
    }
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        paint(pictures[:1])
        report["peak_gb_one_photo"] = torch.cuda.max_memory_allocated() / 1e9
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else f"cpu, {args.threads} threads",
        "photos": args.photos,
        "steps": args.steps,
        "precision": args.precision,
        "resolution": parts.resolution,
        **report,
    }


@torch.no_grad()
def encode_copies(parts, picture: Image.Image) -> None:
    """CLIP and VAE on the other V - 1 copies of a photo."""
    device, dtype = parts.unet.device, parts.unet.dtype
    pixels = clip_pixels(picture, parts.preprocessor).to(device, dtype)
    parts.image_encoder(pixels.expand(parts.views - 1, -1, -1, -1))
    image = (
        torch.from_numpy(np.asarray(picture, np.float32).transpose(2, 0, 1).copy()).to(device, parts.vae.dtype)
        / 255
        * 2
        - 1
    )
    parts.vae.encode(image.expand(parts.views - 1, -1, -1, -1))


class LiveBytes(TorchDispatchMode):
    """Bytes of all tensor storages alive that operators made, now and at the peak."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.weights = [tensor.untyped_storage() for tensor in (*module.parameters(), *module.buffers())]  # not counted
        self.now, self.peak, self.known = 0, 0, {storage._cdata for storage in self.weights}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in torch.utils._pytree.tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return out

    def _count(self, storage) -> None:
        key = storage._cdata
        if key in self.known:
            return
        size = storage.nbytes()
        self.known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


def random_parts(precision: torch.dtype, device: str) -> FaceLiftParts:
    """The published sizes with weights drawn at random: what its speed is, not what it paints."""
    from diffusers import DDIMScheduler

    with torch.device(device):
        parts = {name: part.to(precision) for name, part in published_parts(device).items()}
        prompts = torch.randn(VIEWS, 77, 1024, dtype=precision)
    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
    scheduler = DDIMScheduler(**betas, prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False)
    preprocessor = {"size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}, "resample": 3}
    preprocessor |= {"rescale_factor": 1 / 255, "image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}
    mean, std = torch.zeros(1, 1024, device=device), torch.ones(1, 1024, device=device)
    return FaceLiftParts(
        **parts,
        mean=mean,
        std=std,
        noising_alpha=0.9999,
        scheduler=scheduler,
        preprocessor=preprocessor,
        views=VIEWS,
        prompts=prompts,
        weights={},
    )


def published_parts(device: str = "meta") -> dict[str, torch.nn.Module]:
    """UNet, VAE and image encoder of the published sizes, fp16; on the device `meta` without memory."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    with torch.device(device):
        unet = UNet2DConditionModel(
            sample_size=EDGE,
            in_channels=8,
            block_out_channels=(320, 640, 1280, 1280),
            attention_head_dim=(5, 10, 20, 20),
            cross_attention_dim=1024,
            use_linear_projection=True,
            class_embed_type="projection",
            projection_class_embeddings_input_dim=2048,
        )
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
            latent_channels=4,
            sample_size=512,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
        )
        encoder = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=1280,
                intermediate_size=5120,
                num_hidden_layers=32,
                num_attention_heads=16,
                projection_dim=1024,
                patch_size=14,
                image_size=224,
            )
        )
    set_view_attention(unet, SparseViewAttention(VIEWS))
    return {"unet": unet.half().eval(), "vae": vae.half().eval(), "image_encoder": encoder.half().eval()}


def measure_memory(args: argparse.Namespace) -> dict:
    """GB of parameters and of live tensors at batch 1 (12 rows with guidance), fused attention, allocator losses not
    counted."""
    parts = published_parts()
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}

    def new(*shape):
        return torch.empty(shape, dtype=torch.float16, device="meta")

    rows = 2 * VIEWS * args.photos
    runs = {
        "unet": lambda: parts["unet"](
            new(rows, 8, EDGE, EDGE), new(1)[0], encoder_hidden_states=new(rows, 77, 1024), class_labels=new(rows, 2048)
        ),
        "vae": lambda: parts["vae"].decode(new(DECODE_BATCH, 4, EDGE, EDGE)),
        "image_encoder": lambda: parts["image_encoder"](new(args.photos, 3, 224, 224)),
    }
    fused, peaks = F.scaled_dot_product_attention, {}
    F.scaled_dot_product_attention = lambda query, *_, **__: torch.empty_like(
        query
    )  # a fused kernel keeps its output only
    try:
        for name, run in runs.items():
            with torch.no_grad(), LiveBytes(parts[name]) as live:
                run()
            peaks[name] = live.peak / 1e9
    finally:
        F.scaled_dot_product_attention = fused
    weights = sum(count.values()) * 2 / 1e9
    return {"parameters": count, "weights_gb": weights, "live_gb": peaks, "total_gb": weights + max(peaks.values())}


def main() -> None:
    """Print the chosen measurement as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    speed = commands.add_parser("speed")
    speed.add_argument("--weights", type=Path, help="pipeline folder; without it random weights of its sizes")
    speed.add_argument("--prompts", type=Path, default=Path(), help="prompt embeddings")
    speed.add_argument("--photos", type=int, default=6)
    speed.add_argument("--steps", type=int, default=50)
    speed.add_argument("--threads", type=int, default=2)
    speed.add_argument("--precision", choices=DTYPES, default="fp16")
    speed.set_defaults(measure=measure_speed)
    memory = commands.add_parser("memory")
    memory.add_argument("--photos", type=int, default=1)
    memory.set_defaults(measure=measure_memory)
    args = parser.parse_args()
    print(json.dumps(args.measure(args), indent=1))


if __name__ == "__main__":
    main()
