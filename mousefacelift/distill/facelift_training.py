"""Fine-tune the published generator on a rig: its UNet (all of it, or LoRA) and a pose adapter, on real views.

The rig's cameras are not the published ones and any photo may be the input, so the adapter is always trained along: a
random reference view without relative pose once taught such a model to copy its input. View 0 of every object is the
input itself, as in the published weights. VAE and CLIP stay frozen.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mousefacelift.core.files import read_safetensors
from mousefacelift.core.images import composite
from mousefacelift.core.samples import View
from mousefacelift.distill.config import TrainingConfig
from mousefacelift.distill.generators.facelift import PoseAdapter, class_labels, nearest_prompts
from mousefacelift.distill.generators.facelift_attention import SparseViewAttention, set_view_attention
from mousefacelift.distill.generators.facelift_folder import FaceLiftParts
from mousefacelift.distill.generators.pose_network import pose_features
from mousefacelift.distill.photos import FrameStore
from mousefacelift.distill.pose_training import draw_condition_drop, min_snr_weight
from mousefacelift.distill.view_sets import ViewSet
from mousefacelift.errors import DataError

BACKGROUNDS = (1.0, 0.0, 0.5)  # one is drawn per object, the same for input and targets
TRAINED_FILE = "trained.safetensors"
LORA_TARGETS = ["to_q", "to_k", "to_v", "to_out.0"]


class Trainable(nn.Module):
    """The parameters that training changes: UNet (or its LoRA) and pose adapter."""

    def __init__(self, parts: FaceLiftParts, config: TrainingConfig) -> None:
        super().__init__()
        self.unet = prepare_unet(parts.unet, config)
        self.adapter = PoseAdapter(2 * parts.mean.shape[1], parts.prompts.shape[2]).to(parts.unet.device)

    def trained(self) -> dict[str, Tensor]:
        """Named tensors that belong into TRAINED_FILE."""
        return {name: p.detach().cpu().contiguous() for name, p in self.named_parameters() if p.requires_grad}

    def load_trained(self, path: Path) -> None:
        """Load what `trained` gave; every trainable parameter must be there and nothing else."""
        stored, parameters = read_safetensors(path), {n: p for n, p in self.named_parameters() if p.requires_grad}
        if stored.keys() != parameters.keys():
            odd = sorted(stored.keys() ^ parameters.keys())
            raise DataError(
                f"trained weights {path} do not fit the configured mode",
                got=f"{len(odd)} names differ",
                where=odd[0],
                likely="trained with another distill.generator.training.mode or lora_rank",
            )
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(stored[name])


def prepare_unet(unet: nn.Module, config: TrainingConfig) -> nn.Module:
    """The UNet with gradients where they belong: everywhere (full), or in fresh LoRA matrices (zero effect at
    first)."""
    if config.gradient_checkpointing:
        unet.enable_gradient_checkpointing()
    unet.requires_grad_(config.mode == "full")
    if config.mode == "lora":
        from peft import LoraConfig

        unet.add_adapter(LoraConfig(r=config.lora_rank, lora_alpha=config.lora_rank, target_modules=LORA_TARGETS))
        for parameter in unet.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()  # fp16 base weights stay; what is trained is fp32
    return unet


class FaceLiftBatches:
    """Loss of objects drawn from real frames: the input photo and other real views of its instant."""

    def __init__(
        self, parts: FaceLiftParts, store: FrameStore, declared: ViewSet, config: TrainingConfig, seed: int
    ) -> None:
        self.parts, self.store, self.declared, self.config, self.seed = parts, store, declared, config, seed
        self.alphas = parts.scheduler.alphas_cumprod.to(parts.unet.device)

    def loss(self, module: Trainable, number: int) -> Tensor:
        """min-SNR weighted v loss of one batch of objects; one time per object, shared by its views."""
        rng = np.random.default_rng([self.seed, 13, number])
        draw = torch.Generator("cpu").manual_seed((self.seed * 1_000_003 + number) & 0x7FFFFFFF)
        objects = [self._draw_object(rng) for _ in range(self.config.batch)]
        views = min(len(row) for row in objects)
        objects = [row[:views] for row in objects]
        set_view_attention(module.unet, SparseViewAttention(views))
        clean, condition, embeds = self._encode(objects, rng, draw)
        device, photos = clean.device, len(objects)
        uniform = torch.rand(photos, generator=draw)
        vector, latent = (
            d.to(device).repeat_interleave(views) for d in draw_condition_drop(uniform, self.config.condition_drop)
        )
        labels = class_labels(embeds) * (~vector)[:, None]
        condition = condition * (~latent)[:, None, None, None]
        pose = torch.cat(
            [torch.from_numpy(pose_features(row[0].camera, [v.camera for v in row])) for row in objects]
        ).to(device)
        text = torch.cat(
            [
                self.parts.prompts[nearest_prompts(row[0].camera, [v.camera for v in row], self.declared)]
                for row in objects
            ]
        )
        to_class, to_prompt = module.adapter(pose)
        time = torch.randint(0, len(self.alphas), (photos,), generator=draw).to(device).repeat_interleave(views)
        signal, sigma = (x.sqrt()[:, None, None, None].float() for x in (self.alphas[time], 1 - self.alphas[time]))
        noise = torch.randn(clean.shape, generator=draw).to(device)
        dtype = module.unet.dtype
        noisy = torch.cat([signal * clean + sigma * noise, condition], 1)
        v = module.unet(
            noisy.to(dtype),
            time,
            encoder_hidden_states=(text + to_prompt).to(dtype),
            class_labels=(labels + to_class).to(dtype),
        ).sample.float()
        error = (v - (signal * noise - sigma * clean)) ** 2
        return (min_snr_weight(signal, sigma, self.config.snr_gamma) * error).mean()

    def _draw_object(self, rng: np.random.Generator) -> list[View]:
        views = self.store.views(int(rng.integers(len(self.store))))
        order = rng.permutation(len(views))[: self.config.views + 1]
        return [views[i] for i in order]  # the first is the input and view 0

    @torch.no_grad()
    def _encode(self, objects: list[list[View]], rng: np.random.Generator, draw: torch.Generator):
        parts, size = self.parts, self.parts.resolution
        device = parts.unet.device
        backgrounds = rng.choice(BACKGROUNDS, len(objects))
        images = torch.stack(
            [
                torch.from_numpy(composite(view.rgba, (b,) * 3).transpose(2, 0, 1).copy()).float()
                for row, b in zip(objects, backgrounds, strict=True)
                for view in row
            ]
        )
        if images.shape[-1] != size:
            images = F.interpolate(images, (size, size), mode="bicubic", antialias=True).clamp(0, 1)
        images, views = images.to(device), len(objects[0])
        inputs = images[::views]
        posterior = parts.vae.encode((images * 2 - 1).to(parts.vae.dtype)).latent_dist
        scale = parts.vae.config.scaling_factor
        spread = torch.randn(posterior.mean.shape, generator=draw).to(device)
        clean = (posterior.mean + posterior.std * spread.to(posterior.std.dtype)).float() * scale
        condition = (posterior.mode()[::views] * scale).float().repeat_interleave(views, 0)
        edge = parts.preprocessor["crop_size"]["height"]
        mean, std = (
            torch.tensor(parts.preprocessor[f"image_{n}"], device=device)[:, None, None] for n in ("mean", "std")
        )
        pixels = (F.interpolate(inputs, (edge, edge), mode="bicubic", antialias=True) - mean) / std
        embeds = (
            parts.image_encoder(pixels.to(parts.image_encoder.dtype)).image_embeds.float().repeat_interleave(views, 0)
        )
        fresh = torch.randn(embeds.shape, generator=draw).to(device)
        embeds = parts.noising_alpha**0.5 * (embeds - parts.mean) / parts.std + (1 - parts.noising_alpha) ** 0.5 * fresh
        return clean, condition, embeds * parts.std + parts.mean
