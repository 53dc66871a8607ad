"""The network of the `pose` generator: a small dense denoiser that is told where every wanted camera stands.

Every layer is dense. The animal is always in the middle of the image, so nothing is lost by giving up convolutions,
and a dense map carries the head of a mouse across the image when the camera goes round it at a hundredth of their cost
on a CPU. The photo is encoded once; each wanted view is one row. Relative azimuth enters, absolute azimuth does not:
the heading of the rig means nothing; elevations are absolute because gravity is a fact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mousefacelift.core.cameras import CANONICAL_DISTANCE, Camera, azimuth_elevation, canonical_fxfycxcy
from mousefacelift.core.linear import Linear
from mousefacelift.distill.config import NetworkConfig

POSE_FEATURES = 11
IMAGE_CHANNELS = 4  # premultiplied RGB and alpha


def pose_features(source: Camera, targets: Sequence[Camera]) -> np.ndarray:
    """Features [V, 11] of V wanted cameras relative to the input camera.

    sin and cos of 1, 2 and 3 times the relative azimuth; elevations of input and target in radians; log of both
    distances over 2.7; log of the target's focal length (in image widths) over the canonical one.
    """
    azimuth, elevation, distance = azimuth_elevation(source)
    rows = []
    for camera in targets:
        target_azimuth, target_elevation, target_distance = azimuth_elevation(camera)
        turn = np.radians(target_azimuth - azimuth) * np.arange(1, 4)
        zoom = camera.fxfycxcy[0] / camera.width / canonical_fxfycxcy(1)[0]
        rows.append(
            [
                *np.sin(turn),
                *np.cos(turn),
                np.radians(elevation),
                np.radians(target_elevation),
                np.log(distance / CANONICAL_DISTANCE),
                np.log(target_distance / CANONICAL_DISTANCE),
                np.log(zoom),
            ]
        )
    return np.array(rows, np.float32).reshape(len(targets), POSE_FEATURES)


def mirror_pose(pose: Tensor) -> Tensor:
    """Features [..., 11] of the world mirrored in the vertical plane through input camera and animal: azimuth changes
    sign."""
    signs = torch.ones(POSE_FEATURES, device=pose.device)
    signs[:3] = -1
    return pose * signs


class PoseEmbedding(nn.Module):
    """Pose features [..., 11] to an embedding [..., width]; zero at first when it is grafted onto other weights."""

    def __init__(self, width: int, hidden: int, zero: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(Linear(POSE_FEATURES, hidden), nn.SiLU(), Linear(hidden, width))
        if zero:
            nn.init.zeros_(self.layers[-1].weight)
            nn.init.zeros_(self.layers[-1].bias)

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)


class DenseBlock(nn.Module):
    """Residual two-layer perceptron whose hidden units are scaled and shifted by an embedding, if there is one."""

    def __init__(self, width: int, modulated: bool) -> None:
        super().__init__()
        self.norm, self.inward, self.outward = (
            nn.LayerNorm(width),
            Linear(width, 2 * width),
            Linear(2 * width, width),
        )
        self.modulate = Linear(width, 4 * width) if modulated else None

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:  # x [N, width]
        hidden = self.inward(self.norm(x))
        if self.modulate is not None:
            scale, shift = self.modulate(F.silu(embedding)).chunk(2, dim=-1)
            hidden = hidden * (1 + scale) + shift
        return x + self.outward(F.gelu(hidden))


class PoseNetwork(nn.Module):
    """Denoiser of wanted views given one photo and every camera; predicts the clean image around the mean image."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width, size = config.width, config.size
        self.config, self.shape = config, (IMAGE_CHANNELS, size, size)
        seen = IMAGE_CHANNELS * (size // config.pool) ** 2
        self.source = Linear(seen, width)
        self.noisy = Linear(seen, width)
        self.encoder = nn.ModuleList(DenseBlock(width, modulated=False) for _ in range(config.encoder_blocks))
        self.pose = PoseEmbedding(width, width, zero=False)
        self.time = Linear(64, width)
        self.blocks = nn.ModuleList(DenseBlock(width, modulated=True) for _ in range(config.blocks))
        self.norm, self.head = nn.LayerNorm(width), Linear(width, IMAGE_CHANNELS * size * size)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("mean", -torch.ones(self.shape))

    def encode(self, source: Tensor) -> Tensor:
        """What the denoiser knows of photos [B, 4, S, S] (premultiplied RGBA in [-1, 1]): [B, width]. Once per
        photo."""
        x = self.source(F.avg_pool2d(source + 1, self.config.pool).flatten(1))
        for block in self.encoder:
            x = block(x)
        return x

    def forward(self, noisy: Tensor, time: Tensor, known: Tensor, pose: Tensor) -> Tensor:
        """Clean views [N, 4, S, S].

        Args:
            noisy: [N, 4, S, S]; time: [N] in [0, 1], 1 is pure noise; known: [N, width] of `encode`, zeros for "no
                photo";
            pose: [N, 11].
        """
        embedding = self.pose(pose)
        seen = self.noisy(F.avg_pool2d(noisy, self.config.pool).flatten(1)) * (
            1 - time[:, None]
        )  # pure noise says nothing
        x = known + embedding + self.time(time_features(time)) + seen
        for block in self.blocks:
            x = block(x, embedding)
        return self.mean + self.head(self.norm(x)).unflatten(1, self.shape)


def time_features(time: Tensor) -> Tensor:
    """Sines and cosines [N, 64] of `time` [N] at 32 frequencies from 1 to 1000 radians."""
    angle = time[:, None] * torch.logspace(0, 3, 32, device=time.device, dtype=time.dtype)
    return torch.cat([angle.sin(), angle.cos()], 1)
