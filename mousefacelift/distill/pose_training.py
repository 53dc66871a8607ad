"""What the `pose` generator learns from: batches of one photo and other real views of the same instant, and its loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mousefacelift.distill.config import TrainingConfig
from mousefacelift.distill.data import FrameStore
from mousefacelift.distill.generators.pose import change_camera, geometry, noise_levels, own_camera, to_tensor
from mousefacelift.distill.generators.pose_network import PoseNetwork


@dataclass(frozen=True)
class PoseFrame:
    """One instant: images [V, 4, S, S] and, for every input view, the geometry of all views."""

    images: Tensor
    shapes: list[tuple[Tensor, ...]]


def mirror(rays: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
    """Rays [N, 6, g, g] and poses [N, 11] of the world mirrored in the vertical plane through input camera and animal.

    y becomes -y, so directions (x, -y, z) and moments (-x, y, -z), columns are read backwards, and relative azimuth
    changes sign. An animal mirrored with all its cameras is another animal of the same kind.
    """
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    turn = torch.ones(pose.shape[1])
    turn[:3] = -1
    return rays.flip(-1) * signs[:, None, None], pose * turn


class PoseBatches:
    """Batches by step number alone: the same step gives the same batch, so training can be resumed anywhere."""

    def __init__(self, store: FrameStore, network: PoseNetwork, focal: float, config: TrainingConfig, seed: int) -> None:
        self.store, self.focal, self.config, self.seed = store, focal, config, seed
        self.size, self.grid = network.config.size, network.grid
        self._frames: dict[int, PoseFrame] = {}

    def frame(self, index: int) -> PoseFrame:
        """Images and geometry of a frame through the generator's own field of view."""
        if index not in self._frames:
            views = self.store.views(index)
            cameras = [own_camera(view.camera, self.size, self.focal) for view in views]
            images = torch.stack([to_tensor(change_camera(v.rgba, v.camera, c)) for v, c in zip(views, cameras, strict=True)])
            self._frames[index] = PoseFrame(images, [geometry(camera, cameras, self.grid) for camera in cameras])
        return self._frames[index]

    def batch(self, step: int) -> tuple[Tensor, ...]:
        """source [B, 4, S, S], source rays, source pose, wanted [B, V, 4, S, S], rays [B, V, 6, g, g], pose [B, V, 11]."""
        rng = np.random.default_rng([self.seed, 11, step])
        rows = [self._row(rng) for _ in range(self.config.batch)]
        fewest = min(row[3].shape[0] for row in rows)
        return tuple(torch.stack([row[k] if k < 3 else row[k][:fewest] for row in rows]) for k in range(6))

    def _row(self, rng: np.random.Generator) -> tuple[Tensor, ...]:
        frame = self.frame(int(rng.integers(len(self.store))))
        count = frame.images.shape[0]
        source = int(rng.integers(count))
        others = torch.from_numpy(rng.permutation([v for v in range(count) if v != source])[:self.config.views])
        source_rays, source_pose, rays, pose = frame.shapes[source]
        picture, wanted, rays, pose = frame.images[source], frame.images[others], rays[others], pose[others]
        if self.config.mirror and rng.random() < 0.5:
            (source_rays, source_pose), (rays, pose) = mirror(source_rays, source_pose), mirror(rays, pose)
            picture, wanted = picture.flip(-1), wanted.flip(-1)
        return picture, source_rays[0], source_pose[0], wanted, rays, pose


def min_snr_weight(signal: Tensor, sigma: Tensor, gamma: float) -> Tensor:
    """min(SNR, gamma) / SNR: 1 up to SNR = gamma, gamma / SNR above (Hang et al. 2023, applied to the v loss)."""
    snr = (signal / sigma.clamp(min=1e-6)) ** 2
    return torch.clamp(gamma / snr.clamp(min=1e-12), max=1.0)


def draw_condition_drop(uniform: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Which objects lose their image vector and which their spatial condition, from one uniform draw [B] per object.

    Vector where u < 2p, spatial where p <= u < 3p: p of the objects lose the vector only, p both, p the spatial only.
    """
    return uniform < 2 * share, (uniform >= share) & (uniform < 3 * share)


def pose_loss(network: PoseNetwork, batch: tuple[Tensor, ...], config: TrainingConfig, seed: int, step: int) -> Tensor:
    """Foreground-weighted min-SNR v loss; one time per photo, noise independent per view."""
    source, source_rays, source_pose, wanted, rays, pose = batch
    photos, views = wanted.shape[:2]
    clean, rays, pose = wanted.flatten(0, 1), rays.flatten(0, 1), pose.flatten(0, 1)
    draw = torch.Generator("cpu").manual_seed((seed * 1_000_003 + step) & 0x7FFFFFFF)
    uniform = torch.rand(3, photos, generator=draw)
    noise = torch.randn(clean.shape, generator=draw).to(clean.device)
    time = torch.where(uniform[0] < config.full_noise, torch.ones(photos), uniform[1].clamp(min=1e-3))
    signal, sigma = (a.repeat_interleave(views)[:, None, None, None].to(clean.device) for a in noise_levels(time))
    target = signal * noise - sigma * clean
    known = network.encode(source, source_rays, source_pose)
    if config.condition_drop:
        vector, tokens = draw_condition_drop(uniform[2].to(clean.device), config.condition_drop)
        known = type(known)(known.drop(tokens).tokens, known.drop(vector).vector)
    v = network(signal * clean + sigma * noise, time.repeat_interleave(views).to(clean.device), known.repeat(views), rays, pose)
    near = F.max_pool2d((clean[:, 3:] > -0.9).float(), 5, 1, 2)
    weight = 1 + (config.foreground_weight - 1) * near
    weight = weight / weight.mean() * min_snr_weight(signal, sigma, config.snr_gamma)
    return (weight * (v.float() - target) ** 2).mean()
