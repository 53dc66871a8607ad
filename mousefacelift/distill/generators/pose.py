"""The `pose` generator: the project's own small denoiser, asked for any cameras.

Reads results/distill/generator/{generator.json, model.safetensors} that `mousefacelift distill train` wrote. Images are
premultiplied RGBA in [-1, 1] seen through the generator's own field of view: the photos are cropped to it (a change of
intrinsics, exact), so that few pixels are spent on background.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mousefacelift.config import config_hash
from mousefacelift.config import load as load_section
from mousefacelift.core.cameras import Camera
from mousefacelift.core.files import read_safetensors
from mousefacelift.core.images import premultiply, unpremultiply
from mousefacelift.core.records import ViewFacts
from mousefacelift.core.samples import View
from mousefacelift.distill.config import NetworkConfig, SamplerConfig
from mousefacelift.distill.generators.pose_network import PoseNetwork, pose_features
from mousefacelift.distill.generators.protocol import (
    Asked,
    change_camera,
    check_foreground,
    hash_files,
    noise_source,
    require_files,
)
from mousefacelift.distill.making import Making
from mousefacelift.distill.photos import fit_focal
from mousefacelift.distill.view_sets import VIEW_SETS, ViewSet

FILES = ("generator.json", "model.safetensors")
HINT = "mousefacelift distill train --frames INDEX.json ... --splits SPLITS.json --out FOLDER"


def noise_levels(time: Tensor) -> tuple[Tensor, Tensor]:
    """Signal and noise amplitudes (alpha, sigma) of the cosine schedule; alpha^2 + sigma^2 = 1, time 1 is pure
    noise."""
    return torch.cos(time * torch.pi / 2), torch.sin(time * torch.pi / 2)


def own_camera(camera: Camera, size: int, focal: float) -> Camera:
    """The camera with the generator's intrinsics: `focal` image widths, principal point in the middle."""
    return replace(camera, fxfycxcy=np.array([focal * size, focal * size, size / 2, size / 2]), width=size, height=size)


def to_tensor(rgba: np.ndarray) -> Tensor:
    """[4, S, S] premultiplied in [-1, 1] of straight-alpha rgba [S, S, 4]."""
    return torch.from_numpy(np.ascontiguousarray(premultiply(rgba).transpose(2, 0, 1), dtype=np.float32) * 2 - 1)


def to_rgba(image: Tensor) -> np.ndarray:
    """Straight-alpha rgba [S, S, 4] of a premultiplied tensor [4, S, S] in [-1, 1]."""
    array = ((image.float().clamp(-1, 1) + 1) / 2).permute(1, 2, 0).cpu().numpy()
    return unpremultiply(array, floor=0.02)


@torch.no_grad()
def sample_ddim(
    network: PoseNetwork,
    source: Tensor,
    pose: Tensor,
    noise: Tensor,
    config: SamplerConfig,
    draws: Sequence[torch.Generator],
) -> Tensor:
    """Views [B * V, 4, S, S] of B photos by DDIM (Song et al. 2021, eq. 12) on the cosine schedule.

    Args:
        source: [B, 4, S, S]; pose: [B * V, 11]; noise: [B * V, 4, S, S];
        draws: the B noise sources, read again when eta > 0.
    """
    views = noise.shape[0] // source.shape[0]
    known = network.encode(source).repeat_interleave(views, 0)
    x = noise
    times = torch.linspace(1, 0, config.steps + 1)
    for time, after in zip(times[:-1], times[1:], strict=True):
        row_time = time.expand(x.shape[0])
        clean = network(x, row_time, known, pose)
        if config.guidance != 1:
            without = network(x, row_time, torch.zeros_like(known), pose)
            clean = without + config.guidance * (clean - without)
        clean = clean.clamp(-1, 1)
        (a, s), (a_next, s_next) = noise_levels(time), noise_levels(after)
        noise_part = (x - a * clean) / s
        sigma = config.eta * s_next / s * torch.sqrt((1 - (a / a_next) ** 2).clamp(min=0))
        x = a_next * clean + torch.sqrt((s_next**2 - sigma**2).clamp(min=0)) * noise_part
        if config.eta > 0:
            x = x + sigma * torch.cat([torch.randn(views, *x.shape[1:], generator=draw) for draw in draws])
    return x


class PoseGenerator:
    """The trained small generator."""

    name = "pose"
    licence = "as the project; trained on the user's recording"

    def __init__(
        self, network: PoseNetwork, focal: float, view_set: ViewSet, sampler: SamplerConfig, weights: dict[str, str]
    ) -> None:
        self.network, self.focal, self.view_set, self.sampler, self.weights = (
            network.eval(),
            focal,
            view_set,
            sampler,
            weights,
        )
        self.resolution = network.config.size

    @classmethod
    def load(cls, folder: str | Path, view_set: ViewSet, sampler: SamplerConfig) -> PoseGenerator:
        """The generator that `distill train` wrote into `folder`.

        Raises:
            MissingWeights: the folder is not complete. DataError: its weights are damaged.
        """
        root = require_files(folder, FILES, "the pose generator", HINT)
        document = json.loads((root / "generator.json").read_text())
        network = PoseNetwork(load_section(NetworkConfig, document["network"], "generator.json.network"))
        network.load_state_dict(read_safetensors(root / "model.safetensors"))
        return cls(network, float(document["focal"]), view_set, sampler, hash_files(root, FILES[1:]))

    def own_camera(self, camera: Camera) -> Camera:
        """`camera` with this generator's field of view and size."""
        return own_camera(camera, self.resolution, self.focal)

    def generate(self, inputs: Sequence[View], seeds: Sequence[int]) -> list[list[View]]:
        """Views of the declared set for each input; see `Generator.generate`."""
        wanted = [self.view_set.cameras(view.camera, self.resolution) for view in inputs]
        return self.generate_at(inputs, wanted, seeds)

    def generate_at(
        self, inputs: Sequence[View], wanted: Sequence[Sequence[Camera]], seeds: Sequence[int]
    ) -> list[list[View]]:
        """Views at the `wanted` absolute cameras (equally many per input), through the generator's field of view."""
        check_foreground(inputs)
        views, size = len(wanted[0]), self.resolution
        sources = [self.own_camera(view.camera) for view in inputs]
        targets = [[self.own_camera(camera) for camera in cameras] for cameras in wanted]
        pictures = torch.stack(
            [to_tensor(change_camera(v.rgba, v.camera, c)) for v, c in zip(inputs, sources, strict=True)]
        )
        pose = torch.cat([torch.from_numpy(pose_features(c, t)) for c, t in zip(sources, targets, strict=True)])
        draws = [noise_source(seed) for seed in seeds]
        noise = torch.cat([torch.randn(views, 4, size, size, generator=draw) for draw in draws])
        images = sample_ddim(self.network, pictures, pose, noise, self.sampler, draws)
        return [
            [
                View(to_rgba(images[b * views + v]), camera, ViewFacts(generator=self.name, seed=seeds[b]))
                for v, camera in enumerate(cameras)
            ]
            for b, cameras in enumerate(targets)
        ]


def make(making: Making) -> tuple[dict, dict]:
    """Train the network on the photos; see `protocol.Recipe`."""
    from safetensors.torch import save_file

    from mousefacelift.distill.pose_training import PoseBatches, pose_loss

    config, seed = making.config, making.seed
    torch.manual_seed(seed)
    network, focal = PoseNetwork(config.network), fit_focal(making.photos)
    frames = [item.frame for item in making.photos.items]
    key = config_hash([asdict(config.network), asdict(config.training), seed, focal, frames])
    batches = PoseBatches(making.photos, config.network, focal, config.training, seed)
    network.mean.copy_(batches.mean())

    def loss(module: PoseNetwork, number: int) -> Tensor:
        device = next(module.parameters()).device
        return pose_loss(module, tuple(x.to(device) for x in batches.batch(number)), config.training, seed, number)

    facts = making.train(network, loss, key)
    network = network.to("cpu")
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, making.out / FILES[1])
    generator = PoseGenerator(network, focal, VIEW_SETS["sixty"], config.sampler, {})  # asked for given cameras alone
    report = making.judge(generator) | facts | {"parameters": sum(p.numel() for p in network.parameters())}
    weights = hash_files(making.out, FILES[1:])
    return {"network": asdict(config.network), "focal": focal, "weights": weights, "key": key}, report


def load(asked: Asked) -> PoseGenerator:
    """The trained generator; see `protocol.Recipe`."""
    return PoseGenerator.load(asked.root, asked.views, asked.config.sampler)
