"""The `facelift` generator: the published multi-view diffusion on stock components, batched over input photos.

CLIP and the VAE encoder run once per photo, not once per view; all photos of a call share every UNet step. The sampler
is the published one: CFG on the image conditions only, DDIM with v-prediction, noise augmentation at level 0 (which is
not a no-op), the condition image rounded to half precision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mousefacelift.config import config_hash
from mousefacelift.core.cameras import Camera, azimuth_elevation, circular_difference
from mousefacelift.core.images import composite
from mousefacelift.core.records import ViewFacts
from mousefacelift.core.samples import View
from mousefacelift.distill.config import GeneratorConfig, SamplerConfig, TrainingConfig
from mousefacelift.distill.generators.facelift_attention import SparseViewAttention, set_view_attention
from mousefacelift.distill.generators.facelift_folder import FaceLiftParts, load_facelift
from mousefacelift.distill.generators.pose_network import PoseEmbedding, pose_features
from mousefacelift.distill.generators.protocol import (
    Asked,
    check_foreground,
    hash_files,
    matte,
    noise_source,
    torch_dtype,
)
from mousefacelift.distill.making import Making
from mousefacelift.distill.view_sets import VIEW_SETS, ViewSet
from mousefacelift.errors import DataError

Draw = Callable[[tuple[int, ...]], Tensor]  # standard normal noise of one photo, in the order the sampler asks for it
DECODE_BATCH = 6
HINT = "mousefacelift distill train --frames INDEX.json ... --splits SPLITS.json --out FOLDER"


class PoseAdapter(torch.nn.Module):
    """Relative cameras for the published UNet: offsets of its class vector and of its prompt, zero until trained."""

    def __init__(self, class_width: int, prompt_width: int, hidden: int = 256) -> None:
        super().__init__()
        self.to_class = PoseEmbedding(class_width, hidden, zero=True)
        self.to_prompt = PoseEmbedding(prompt_width, hidden, zero=True)

    def forward(self, pose: Tensor) -> tuple[Tensor, Tensor]:
        """Offsets [N, class width] and [N, 1, prompt width] of pose features [N, 11]."""
        return self.to_class(pose), self.to_prompt(pose)[:, None]


def to_picture(view: View, size: int) -> Image.Image:
    """The photo on white, 8 bits, resized to the generator's resolution with the published filter (Lanczos)."""
    picture = Image.fromarray(np.rint(np.clip(composite(view.rgba), 0, 1) * 255).astype(np.uint8))
    return picture if picture.size == (size, size) else picture.resize((size, size), Image.Resampling.LANCZOS)


def clip_pixels(picture: Image.Image, preprocessor: dict) -> Tensor:
    """Network input [3, c, c]: shortest edge resized in 8 bits (bicubic unless `resample` says otherwise), centre crop,
    mean and standard deviation removed, as a published preprocessor_config.json says."""
    edge, crop = preprocessor["size"]["shortest_edge"], preprocessor["crop_size"]["height"]
    width, height = picture.size
    scale = edge / min(width, height)
    resized = picture.resize(
        (round(width * scale), round(height * scale)), Image.Resampling(preprocessor.get("resample", 3))
    )
    left, top = (resized.width - crop) // 2, (resized.height - crop) // 2
    array = np.asarray(resized.crop((left, top, left + crop, top + crop)), np.float32) * preprocessor["rescale_factor"]
    array = (array - np.float32(preprocessor["image_mean"])) / np.float32(preprocessor["image_std"])
    return torch.from_numpy(array.transpose(2, 0, 1).copy())


def class_labels(embeds: Tensor) -> Tensor:
    """[N, 2D] of embeds [N, D]: the noise level 0 as sinusoids is D/2 ones, then D/2 zeros (cosines first)."""
    half = embeds.shape[1] // 2
    return torch.cat([embeds, torch.ones_like(embeds[:, :half]), torch.zeros_like(embeds[:, half:])], 1)


@torch.no_grad()
def sample_views(
    parts: FaceLiftParts,
    pictures: Sequence[Image.Image],
    draws: Sequence[Draw],
    config: SamplerConfig,
    offsets: tuple[Tensor, Tensor] | None = None,
    prompts: Tensor | None = None,
) -> Tensor:
    """Images [B, V, 3, S, S] in [0, 1] of B photos.

    Args:
        draws: per photo, in this order: [V, D] for the image embedding, [V, 4, h, h] start, [V, 4, h, h] per step.
        offsets: of a trained PoseAdapter, rows [B * V]; None is the published network.
        prompts: [B * V, L, C]; None is the published prompt of every view.
    """
    unet, vae = parts.unet, parts.vae
    device, dtype, photos = unet.device, unet.dtype, len(pictures)
    views = parts.views if prompts is None else len(prompts) // photos

    def noise(shape: tuple[int, ...]) -> Tensor:
        return torch.cat([draw(shape) for draw in draws]).to(device, torch.float32)

    pixels = torch.stack([clip_pixels(picture, parts.preprocessor) for picture in pictures]).to(device, dtype)
    embeds = parts.image_encoder(pixels).image_embeds.float().repeat_interleave(views, 0)
    embeds = (embeds - parts.mean) / parts.std
    embeds = parts.noising_alpha**0.5 * embeds + (1 - parts.noising_alpha) ** 0.5 * noise((views, embeds.shape[1]))
    labels = class_labels(embeds * parts.std + parts.mean)
    labels = torch.cat([torch.zeros_like(labels), labels]).to(dtype)
    text = (parts.prompts.repeat(photos, 1, 1) if prompts is None else prompts).to(dtype).repeat(2, 1, 1)
    if offsets is not None:  # the camera is no image condition: both branches of the guidance know it
        labels, text = labels + offsets[0].repeat(2, 1).to(dtype), text + offsets[1].repeat(2, 1, 1).to(dtype)
    image = torch.from_numpy(np.stack([np.asarray(p, np.float32).transpose(2, 0, 1) for p in pictures])) / 255 * 2 - 1
    latent = vae.encode(image.half().to(device, vae.dtype)).latent_dist.mode() * vae.config.scaling_factor
    latent = latent.to(dtype).repeat_interleave(views, 0)
    condition = torch.cat([torch.zeros_like(latent), latent])
    scheduler = parts.scheduler
    scheduler.set_timesteps(config.steps)
    x = noise((views, *latent.shape[1:])) * scheduler.init_noise_sigma
    for time in scheduler.timesteps:
        both = torch.cat([torch.cat([x, x]).to(dtype), condition], 1)
        without, conditioned = (
            unet(both, time.to(device), encoder_hidden_states=text, class_labels=labels).sample.float().chunk(2)
        )
        v = without + config.guidance * (conditioned - without)
        x = scheduler.step(v, int(time), x, eta=config.eta, variance_noise=noise(tuple(x[:views].shape))).prev_sample
    decoded = [
        vae.decode(part.to(vae.dtype) / vae.config.scaling_factor).sample.float() for part in x.split(DECODE_BATCH)
    ]
    return (torch.cat(decoded) / 2 + 0.5).clamp(0, 1).unflatten(0, (photos, views))


class FaceLiftGenerator:
    """The published generator, with a pose adapter when one was trained."""

    name = "facelift"
    licence = "weights: non-commercial research (Adobe Research License)"

    def __init__(
        self,
        parts: FaceLiftParts,
        view_set: ViewSet,
        sampler: SamplerConfig,
        declared: ViewSet,
        adapter: PoseAdapter | None = None,
    ) -> None:
        self.parts, self.view_set, self.sampler, self.declared, self.adapter = (
            parts,
            view_set,
            sampler,
            declared,
            adapter,
        )
        self.resolution, self.weights = parts.resolution, parts.weights

    def generate(self, inputs: Sequence[View], seeds: Sequence[int]) -> list[list[View]]:
        """Views of the view set for each input; see `Generator.generate`."""
        return self.generate_at(inputs, [self.view_set.cameras(view.camera, self.resolution) for view in inputs], seeds)

    def generate_at(
        self, inputs: Sequence[View], wanted: Sequence[Sequence[Camera]], seeds: Sequence[int]
    ) -> list[list[View]]:
        """Views at `wanted` cameras. Without a trained adapter only the declared ones mean anything to the weights;
        with one, the input's own camera is painted first (the view that all others read) and dropped."""
        check_foreground(inputs)
        pictures = [to_picture(view, self.resolution) for view in inputs]
        sources = [noise_source(seed) for seed in seeds]
        draws = [lambda shape, source=source: torch.randn(shape, generator=source) for source in sources]
        extra = 0 if self.adapter is None else 1
        cameras = [
            [self.own_camera(view.camera)] * extra + [self.own_camera(camera) for camera in row]
            for view, row in zip(inputs, wanted, strict=True)
        ]
        offsets, prompts = self._pose([view.camera for view in inputs], cameras)
        set_view_attention(self.parts.unet, SparseViewAttention(len(cameras[0])))
        images = (
            sample_views(self.parts, pictures, draws, self.sampler, offsets, prompts)
            .permute(0, 1, 3, 4, 2)
            .cpu()
            .numpy()
        )
        return [
            [
                View(matte(images[b, v], 1.0), row[v], ViewFacts(generator=self.name, seed=seeds[b]))
                for v in range(extra, len(row))
            ]
            for b, row in enumerate(cameras)
        ]

    def own_camera(self, camera: Camera) -> Camera:
        """`camera` at this generator's resolution."""
        return camera.scaled_to(self.resolution, self.resolution)

    def _pose(self, sources: Sequence[Camera], cameras: Sequence[Sequence[Camera]]):
        if self.adapter is None:
            return None, None
        device = self.parts.unet.device
        pose = torch.cat([torch.from_numpy(pose_features(s, row)) for s, row in zip(sources, cameras, strict=True)])
        prompts = torch.cat(
            [
                self.parts.prompts[nearest_prompts(s, row, self.declared)]
                for s, row in zip(sources, cameras, strict=True)
            ]
        )
        with torch.no_grad():
            return self.adapter(pose.to(device)), prompts


def nearest_prompts(source: Camera, cameras: Sequence[Camera], declared: ViewSet) -> list[int]:
    """Per wanted camera the declared view whose relative azimuth is nearest: its prompt is where the adapter starts."""
    azimuth = azimuth_elevation(source)[0]
    return [
        int(
            np.abs(
                circular_difference(azimuth_elevation(camera)[0] - azimuth, np.array(declared.relative_azimuths))
            ).argmin()
        )
        for camera in cameras
    ]


def make(making: Making) -> tuple[dict, dict]:
    """Fine-tune the published UNet and a pose adapter on the photos; see `protocol.Recipe`."""
    from safetensors.torch import save_file

    from mousefacelift.distill.facelift_training import TRAINED_FILE, FaceLiftBatches, Trainable

    config, declared = making.config, VIEW_SETS["facelift"]
    parts = load_parts(config)
    torch.manual_seed(making.seed)  # the adapter's first weights
    module = Trainable(parts, config.training)
    batches = FaceLiftBatches(parts, making.photos, declared, config.training, making.seed)
    key = config_hash([asdict(config.training), parts.weights, making.seed, [i.frame for i in making.photos.items]])
    facts = making.train(module, batches.loss, key)
    save_file(module.trained(), making.out / TRAINED_FILE)
    generator = FaceLiftGenerator(parts, declared, config.sampler, declared, module.adapter.eval())
    document = {
        "mode": config.training.mode,
        "lora_rank": config.training.lora_rank,
        "base": parts.weights,
        "weights": hash_files(making.out, [TRAINED_FILE]),
        "key": key,
    }
    return document, making.judge(generator) | facts


def load(asked: Asked) -> FaceLiftGenerator:
    """The fine-tuned generator; see `protocol.Recipe`."""
    from mousefacelift.distill.facelift_training import TRAINED_FILE, Trainable

    root = asked.require((TRAINED_FILE,), "the fine-tuned generator", HINT)
    parts, document = load_parts(asked.config), asked.document
    if parts.weights != document["base"]:
        raise DataError(
            "the fine-tuned generator was made from other published weights", where=asked.config.weights, hint=HINT
        )
    training = TrainingConfig(mode=document["mode"], lora_rank=document["lora_rank"], gradient_checkpointing=False)
    module = Trainable(parts, training)
    module.load_trained(root / TRAINED_FILE)
    parts.weights = parts.weights | document["weights"]
    return FaceLiftGenerator(parts, asked.views, asked.config.sampler, VIEW_SETS["facelift"], module.adapter.eval())


def load_parts(config: GeneratorConfig) -> FaceLiftParts:
    """The published pipeline of `config.weights`, on the device that is there."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return load_facelift(config.weights, config.prompt_embeddings, torch_dtype(config), device)
