"""The `zero123plus` generator: Zero123++ v1.1 and v1.2 as published, on stock components, batched over input photos.

All six views are one picture of 2 columns by 3 rows of 320 px tiles on grey. The photo enters twice: its global CLIP
embedding is added to the empty prompt, token by token by declared coefficients; and its VAE latent, noised to the level
of the current step, runs through the same UNet first, whose self-attention inputs the second run may then read as well.
Facts: Shi et al. 2023 (arXiv 2310.15110) and the published configuration. Photo, VAE and CLIP work is done once per
photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from mousefacelift.core.images import composite
from mousefacelift.core.records import ViewFacts
from mousefacelift.core.samples import View
from mousefacelift.distill.config import GeneratorConfig, SamplerConfig
from mousefacelift.distill.generators.facelift import clip_pixels
from mousefacelift.distill.generators.facelift_attention import set_view_attention
from mousefacelift.distill.generators.protocol import Asked, check_foreground, matte, noise_source, torch_dtype
from mousefacelift.distill.generators.zero123plus_folder import Zero123PlusParts, load_zero123plus
from mousefacelift.distill.making import Making
from mousefacelift.distill.view_sets import VIEW_SETS, ViewSet
from mousefacelift.errors import ConfigError, DataError

TILE, COLUMNS, ROWS = 320, 2, 3
GREY = 127 / 255  # behind the photo; what is painted stands on 0.5
LATENT_SHIFT, LATENT_SCALE = 0.22, 0.75  # latents were trained as (z - 0.22) * 0.75
PIXEL_SCALE = 0.8 / 0.5  # images in [-1, 1] were trained as x * 0.5 / 0.8


class ReferenceAttention:
    """Attention processor of one attn1: keeps its input while the photo runs, and lets the views read it afterwards."""

    def __init__(self) -> None:
        self.kept: Tensor | None = None

    def __call__(
        self,
        attn,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **_: object,
    ) -> Tensor:
        if encoder_hidden_states is not None or attention_mask is not None:
            raise ValueError("reference attention is for spatial self-attention without a mask")
        context = hidden_states  # [N, L, C]
        if self.kept is None:
            self.kept = hidden_states
        else:
            context, self.kept = torch.cat([hidden_states, self.kept], 1), None
        query, key, value = attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context)
        query, key, value = (x.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for x in (query, key, value))
        read = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](read))


def to_grey_picture(view: View) -> Image.Image:
    """The photo on grey, 8 bits, at its own size (the condition is resized by the folder's preprocessors)."""
    return Image.fromarray(np.rint(np.clip(composite(view.rgba, (GREY,) * 3), 0, 1) * 255).astype(np.uint8))


@torch.no_grad()
def sample_grid(
    parts: Zero123PlusParts,
    pictures: Sequence[Image.Image],
    draws: Sequence[torch.Generator],
    config: SamplerConfig,
    tile: int = TILE,
) -> Tensor:
    """Pictures [B, 3, 3 tile, 2 tile] in [0, 1] of B photos, by ancestral Euler steps with v-prediction.

    Args:
        draws: CPU noise source of each photo, read in this order: latents of the photo and of "no photo", start; then
            per step the noise on these two latents and that of the step.
    """
    unet, vae, scheduler = parts.unet, parts.vae, parts.scheduler
    device, dtype, photos = unet.device, unet.dtype, len(pictures)
    set_view_attention(unet, ReferenceAttention)  # anew: nothing is left of a call that was cut off
    text, reference = _conditions(parts, pictures, draws)
    scheduler.set_timesteps(config.steps)
    reduction = 2 ** (len(vae.config.block_out_channels) - 1)
    shape = (vae.config.latent_channels, ROWS * tile // reduction, COLUMNS * tile // reduction)
    x = _noise(draws, (1, *shape))[:, 0].to(device) * scheduler.init_noise_sigma
    for time in scheduler.timesteps:
        spread = (
            _noise(draws, (2, *reference.shape[1:])).transpose(0, 1).flatten(0, 1).to(device)
        )  # first all "no photo"
        noisy = scheduler.add_noise(reference, spread, time.expand(2 * photos))
        noisy = scheduler.scale_model_input(noisy, time).to(dtype)
        unet(noisy, time.to(device), encoder_hidden_states=text)  # every attn1 keeps what it saw
        both = scheduler.scale_model_input(torch.cat([x, x]), time).to(dtype)
        without, conditioned = unet(both, time.to(device), encoder_hidden_states=text).sample.float().chunk(2)
        v = without + config.guidance * (conditioned - without)
        x = scheduler.step(v, time, x, generator=list(draws)).prev_sample
    latents = (x / LATENT_SCALE + LATENT_SHIFT) / vae.config.scaling_factor
    decoded = torch.cat([vae.decode(row[None].to(vae.dtype)).sample.float() for row in latents])
    return (decoded * PIXEL_SCALE / 2 + 0.5).clamp(0, 1)


def _noise(draws: Sequence[torch.Generator], shape: tuple[int, ...]) -> Tensor:
    return torch.stack([torch.randn(shape, generator=draw) for draw in draws])  # [B, *shape]


def _conditions(parts: Zero123PlusParts, pictures: Sequence[Image.Image], draws: Sequence[torch.Generator]):
    """Prompts [2B, L, C] and reference latents [2B, 4, h, h], the half without a photo first; latents are not
    scaled."""
    device, dtype = parts.unet.device, parts.unet.dtype
    seen = torch.stack([clip_pixels(picture, parts.clip_preprocessor) for picture in pictures]).to(device, dtype)
    embeds = parts.image_encoder(seen).image_embeds.float()
    plain = parts.prompt.expand(len(pictures), -1, -1)
    text = torch.cat([plain, plain + parts.ramp * embeds[:, None]]).to(dtype)
    pixels = torch.stack([clip_pixels(picture, parts.vae_preprocessor) for picture in pictures]).to(
        device, parts.vae.dtype
    )
    posterior = [parts.vae.encode(image).latent_dist for image in (pixels, torch.zeros_like(pixels[:1]))]
    spread = [_noise(draws, tuple(posterior[0].mean.shape[1:])).to(device) for _ in posterior]
    photo, nothing = (p.mean.float() + p.std.float() * s for p, s in zip(posterior, spread, strict=True))
    return text, torch.cat([nothing, photo])


class Zero123PlusGenerator:
    """Six views at azimuths +30, +90, ... +330 of the input, at absolute elevations that its version declares."""

    name = "zero123plus"
    licence = "weights: CC-BY-NC 4.0"

    def __init__(self, parts: Zero123PlusParts, view_set: ViewSet, sampler: SamplerConfig, tile: int = TILE) -> None:
        if not view_set.name.startswith("zero123plus"):
            raise ConfigError(
                "zero123plus paints only its own angles",
                got=f"view_set {view_set.name}",
                expected="zero123plus_v1.1 or zero123plus_v1.2, whichever the weights are",
            )
        self.parts, self.view_set, self.sampler, self.resolution = parts, view_set, sampler, tile
        self.weights = parts.weights

    @classmethod
    def load(
        cls, folder: str | Path, view_set: ViewSet, sampler: SamplerConfig, dtype: torch.dtype
    ) -> Zero123PlusGenerator:
        """The generator of a published folder, on the GPU when there is one; errors as `load_zero123plus`."""
        return cls(load_zero123plus(folder, dtype, "cuda" if torch.cuda.is_available() else "cpu"), view_set, sampler)

    def generate(self, inputs: Sequence[View], seeds: Sequence[int]) -> list[list[View]]:
        """Views of the declared set for each input; see `Generator.generate`."""
        check_foreground(inputs)
        draws = [noise_source(seed) for seed in seeds]
        pictures = sample_grid(
            self.parts, [to_grey_picture(view) for view in inputs], draws, self.sampler, self.resolution
        )
        made = []
        for view, picture, seed in zip(inputs, pictures.permute(0, 2, 3, 1).cpu().numpy(), seeds, strict=True):
            cameras = self.view_set.cameras(view.camera, self.resolution)
            made.append(
                [
                    View(matte(tile, 0.5), camera, ViewFacts(generator=self.name, seed=seed))
                    for tile, camera in zip(split_tiles(picture, self.resolution), cameras, strict=True)
                ]
            )
        return made


def make(making: Making) -> tuple[dict, dict]:
    """Used as published: nothing is trained, the weights are checked, and validation has nothing to compare."""
    generator = _of_config(making.config, VIEW_SETS["zero123plus_v1.2"])
    report = {"alarms": [], "note": "used as published; its views lie between the rig's cameras, the gate judges them"}
    return {"weights": generator.weights}, report


def load(asked: Asked) -> Zero123PlusGenerator:
    """The published generator of the configured folder; see `protocol.Recipe`."""
    return _of_config(asked.config, asked.views)


def _of_config(config: GeneratorConfig, views: ViewSet) -> Zero123PlusGenerator:
    return Zero123PlusGenerator.load(config.weights, views, config.sampler, torch_dtype(config))


def split_tiles(image: np.ndarray, tile: int = TILE) -> list[np.ndarray]:
    """The six tiles [tile, tile, 3] of a picture [3 tile, 2 tile, 3], left to right, then down: the order of the views.

    Raises:
        DataError: a picture of another size.
    """
    if image.shape != (ROWS * tile, COLUMNS * tile, 3):
        raise DataError(
            "the Zero123++ picture has another size",
            got=str(image.shape),
            expected=str((ROWS * tile, COLUMNS * tile, 3)),
        )
    return [image[r * tile : (r + 1) * tile, c * tile : (c + 1) * tile] for r in range(ROWS) for c in range(COLUMNS)]
