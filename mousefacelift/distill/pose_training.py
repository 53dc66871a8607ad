"""What the `pose` generator learns from: batches of one photo and other real views of the same instant, and its
loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mousefacelift.core.spread import spread
from mousefacelift.distill.config import NetworkConfig, TrainingConfig
from mousefacelift.distill.generators.pose import change_camera, noise_levels, own_camera, to_tensor
from mousefacelift.distill.generators.pose_network import PoseNetwork, mirror_pose, pose_features
from mousefacelift.distill.photos import FrameStore


@dataclass(frozen=True)
class PoseFrame:
    """One instant: images [V, 4, S, S] and pose [V, V, 11] of every view (second) relative to every input (first)."""

    images: Tensor
    pose: Tensor


class PoseBatches:
    """Batches by number alone: the same number gives the same batch, so training can be resumed anywhere."""

    def __init__(
        self, store: FrameStore, network: NetworkConfig, focal: float, config: TrainingConfig, seed: int
    ) -> None:
        self.store, self.size, self.focal, self.config, self.seed = store, network.size, focal, config, seed
        self._frames: dict[int, PoseFrame] = {}

    def frame(self, index: int) -> PoseFrame:
        """Images and poses of a frame through the generator's own field of view."""
        if index not in self._frames:
            views = self.store.views(index)
            cameras = [own_camera(view.camera, self.size, self.focal) for view in views]
            images = torch.stack(
                [to_tensor(change_camera(v.rgba, v.camera, c)) for v, c in zip(views, cameras, strict=True)]
            )
            pose = torch.stack([torch.from_numpy(pose_features(camera, cameras)) for camera in cameras])
            self._frames[index] = PoseFrame(images, pose)
        return self._frames[index]

    def mean(self) -> Tensor:
        """[4, S, S] mean of all photos of (at most 60 evenly spaced) frames."""
        frames = spread(len(self.store), 60)
        return torch.stack([self.frame(int(i)).images.mean(0) for i in frames]).mean(0)

    def batch(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """source [B, 4, S, S], wanted [B, V, 4, S, S], pose [B, V, 11]."""
        rng = np.random.default_rng([self.seed, 11, number])
        rows = [self._row(rng) for _ in range(self.config.batch)]
        fewest = min(len(row[1]) for row in rows)
        return (
            torch.stack([row[0] for row in rows]),
            torch.stack([row[1][:fewest] for row in rows]),
            torch.stack([row[2][:fewest] for row in rows]),
        )

    def _row(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        frame = self.frame(int(rng.integers(len(self.store))))
        count = frame.images.shape[0]
        source = int(rng.integers(count))
        others = torch.from_numpy(rng.permutation([v for v in range(count) if v != source])[: self.config.views])
        picture, wanted, pose = frame.images[source], frame.images[others], frame.pose[source, others]
        if self.config.mirror and rng.random() < 0.5:  # an animal mirrored with all its cameras is another such animal
            return picture.flip(-1), wanted.flip(-1), mirror_pose(pose)
        return picture, wanted, pose


def min_snr_weight(signal: Tensor, sigma: Tensor, gamma: float) -> Tensor:
    """min(SNR, gamma) / SNR: 1 up to SNR = gamma, gamma / SNR above (Hang et al. 2023, applied to the v loss)."""
    snr = (signal / sigma.clamp(min=1e-6)) ** 2
    return torch.clamp(gamma / snr.clamp(min=1e-12), max=1.0)


def draw_condition_drop(uniform: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Which objects lose their image vector and which their condition latent, from one uniform draw [B] per object.

    Vector where u < 2p, latent where p <= u < 3p: p of the objects lose the vector only, p both, p the latent only.
    """
    return uniform < 2 * share, (uniform >= share) & (uniform < 3 * share)


def pose_loss(
    network: PoseNetwork, batch: tuple[Tensor, ...], config: TrainingConfig, seed: int, number: int
) -> Tensor:
    """Foreground-weighted min-SNR v loss; one time per photo, noise independent per view.

    The network predicts the clean image x; with v = signal * noise - sigma * x the error of v is that of x over sigma.
    """
    source, wanted, pose = batch
    photos, views = wanted.shape[:2]
    clean, pose = wanted.flatten(0, 1), pose.flatten(0, 1)
    draw = torch.Generator("cpu").manual_seed((seed * 1_000_003 + number) & 0x7FFFFFFF)
    uniform = torch.rand(3, photos, generator=draw)
    noise = torch.randn(clean.shape, generator=draw).to(clean.device)
    time = torch.where(uniform[0] < config.full_noise, torch.ones(photos), uniform[1].clamp(min=0.05)).to(clean.device)
    signal, sigma = (a.repeat_interleave(views)[:, None, None, None] for a in noise_levels(time))
    hidden = (uniform[2] < config.condition_drop).to(clean.device)
    known = network.encode(source) * (~hidden)[:, None]
    made = network(
        signal * clean + sigma * noise, time.repeat_interleave(views), known.repeat_interleave(views, 0), pose
    )
    near = F.max_pool2d((clean[:, 3:] > -0.9).float(), 5, 1, 2)
    weight = 1 + (config.foreground_weight - 1) * near
    weight = weight / weight.mean() * min_snr_weight(signal, sigma, config.snr_gamma) / sigma**2
    return (weight * (made.float() - clean) ** 2).mean()
