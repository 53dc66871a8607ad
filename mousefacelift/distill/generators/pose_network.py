"""The network of the `pose` generator: a small conditional denoiser that is told where every wanted camera stands.

The input photo is encoded once per input (tokens and one vector); each wanted view is one row that reads it by cross
attention. Pose enters three ways: features of the relative camera, a Pluecker ray map of the wanted view, and a ray
map of the input view. All geometry is in the world turned about Z so that the input camera stands at azimuth 0:
the network sees relative azimuth but absolute elevation, because gravity is a fact and the heading of the rig is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mousefacelift.core.cameras import CANONICAL_DISTANCE, Camera, azimuth_elevation, canonical_fxfycxcy
from mousefacelift.distill.config import NetworkConfig

POSE_FEATURES = 11
RAY_CHANNELS = 6
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
        rows.append([*np.sin(turn), *np.cos(turn), np.radians(elevation), np.radians(target_elevation),
                     np.log(distance / CANONICAL_DISTANCE), np.log(target_distance / CANONICAL_DISTANCE), np.log(zoom)])
    return np.array(rows, np.float32).reshape(len(targets), POSE_FEATURES)


def ray_maps(cameras: Sequence[Camera], azimuth: float, grid: int) -> np.ndarray:
    """Pluecker rays [V, 6, grid, grid] (direction, moment) in the world turned by -azimuth degrees about Z."""
    turn = np.radians(-azimuth)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1.0]])
    u, v = np.meshgrid((np.arange(grid) + 0.5) / grid, (np.arange(grid) + 0.5) / grid)
    maps = []
    for camera in cameras:
        fx, fy, cx, cy = camera.fxfycxcy
        local = np.stack([(u * camera.width - cx) / fx, (v * camera.height - cy) / fy, np.ones_like(u)], -1)
        world = local @ camera.R
        world = (world / np.linalg.norm(world, axis=-1, keepdims=True)) @ rotation.T
        origin = rotation @ camera.center
        maps.append(np.concatenate([world, np.cross(origin, world)], -1).transpose(2, 0, 1))
    return np.array(maps, np.float32).reshape(len(cameras), RAY_CHANNELS, grid, grid)


class PoseEmbedding(nn.Module):
    """Pose features [..., 11] to an embedding [..., width]; zero at first when it is grafted onto other weights."""

    def __init__(self, width: int, hidden: int, zero: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(POSE_FEATURES, hidden), nn.SiLU(), nn.Linear(hidden, width))
        if zero:
            nn.init.zeros_(self.layers[-1].weight)
            nn.init.zeros_(self.layers[-1].bias)

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)


class ResidualBlock(nn.Module):
    """Two convolutions whose normalisation is scaled and shifted by an embedding; starts as the identity."""

    def __init__(self, channels: int, embedding: int, inputs: int | None = None) -> None:
        super().__init__()
        inputs = inputs or channels
        self.norm_in, self.norm_out = nn.GroupNorm(8, inputs), nn.GroupNorm(8, channels, affine=False)
        self.conv_in, self.conv_out = nn.Conv2d(inputs, channels, 3, padding=1), nn.Conv2d(channels, channels, 3, padding=1)
        self.modulate = nn.Linear(embedding, 2 * channels)
        self.skip = nn.Identity() if inputs == channels else nn.Conv2d(inputs, channels, 1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:  # x [N, C, h, w], embedding [N, E]
        scale, shift = self.modulate(embedding)[..., None, None].chunk(2, dim=1)
        y = self.conv_in(F.silu(self.norm_in(x)))
        y = self.norm_out(y) * (1 + scale) + shift
        return self.skip(x) + self.conv_out(F.silu(y))


class Attention(nn.Module):
    """Positions of a wanted view attend to themselves and to the tokens of the input photo."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(8, channels)
        self.query, self.key_value = nn.Linear(channels, channels), nn.Linear(channels, 2 * channels)
        self.token_key_value = nn.Linear(channels, 2 * channels)
        self.out = nn.Linear(channels, channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, tokens: Tensor | None) -> Tensor:  # x [N, C, h, w], tokens [N, L, C]
        rows, channels, height, width = x.shape
        own = self.norm(x).flatten(2).transpose(1, 2)  # [N, h*w, C]
        key_value = self.key_value(own)
        if tokens is not None:
            key_value = torch.cat([key_value, self.token_key_value(tokens)], 1)
        query, key, value = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2)
                             for y in (self.query(own), *key_value.chunk(2, -1)))
        read = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        return x + self.out(read).transpose(1, 2).reshape(rows, channels, height, width)


class GlobalMixer(nn.Module):
    """Every position of the coarse grid reads every other through one narrow dense layer.

    The animal is always centred, so a dense map is no handicap, and it costs a hundredth of what convolutions need to
    carry the head of a mouse across the image when the camera goes round it.
    """

    def __init__(self, channels: int, grid: int, hidden: int, embedding: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.inward, self.modulate = nn.Linear(channels * grid * grid, hidden), nn.Linear(embedding, 2 * hidden)
        self.outward = nn.Linear(hidden, channels * grid * grid)
        nn.init.zeros_(self.outward.weight)
        nn.init.zeros_(self.outward.bias)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:  # x [N, C, h, w]
        scale, shift = self.modulate(embedding).chunk(2, dim=1)
        hidden = F.silu(self.inward(self.norm(x).flatten(1)) * (1 + scale) + shift)
        return x + self.outward(hidden).reshape(x.shape)


@dataclass(frozen=True)
class Condition:
    """What the denoiser knows of B input photos: tokens [B, L, D] and a vector [B, E]. Computed once per photo."""

    tokens: Tensor
    vector: Tensor

    def repeat(self, views: int) -> Condition:
        """One row per wanted view, input-major: [B * views, ...]."""
        return Condition(self.tokens.repeat_interleave(views, 0), self.vector.repeat_interleave(views, 0))

    def drop(self, dropped: Tensor) -> Condition:
        """The same with the rows where `dropped` [B] is true set to zero (unconditional)."""
        keep = (~dropped).to(self.tokens.dtype)
        return Condition(self.tokens * keep[:, None, None], self.vector * keep[:, None])


class PoseNetwork(nn.Module):
    """v-prediction denoiser of wanted views given one photo and every camera."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        fine, coarse = config.width, 2 * config.width
        embedding, patch = config.hidden, config.patch
        self.config, self.embedding_width = config, embedding
        self.grid = config.size // patch
        pixels = IMAGE_CHANNELS * patch * patch
        self.source_stem = nn.Conv2d(pixels + RAY_CHANNELS, fine, 3, padding=1)
        self.source_fine = nn.ModuleList(ResidualBlock(fine, embedding) for _ in range(config.blocks))
        self.source_down = nn.Conv2d(fine, coarse, 4, stride=2, padding=1)
        self.source_coarse = nn.ModuleList(ResidualBlock(coarse, embedding) for _ in range(config.blocks))
        self.source_attention = Attention(coarse, config.heads)
        self.source_vector = nn.Linear(coarse * (self.grid // 2) ** 2, embedding)
        self.source_rays = nn.Linear(RAY_CHANNELS, coarse)
        self.stem = nn.Conv2d(pixels + RAY_CHANNELS, fine, 3, padding=1)
        self.pose = PoseEmbedding(embedding, 2 * embedding, zero=False)
        self.time = nn.Sequential(nn.Linear(64, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.join = nn.Sequential(nn.SiLU(), nn.Linear(embedding, embedding), nn.SiLU())
        self.down_fine = nn.ModuleList(ResidualBlock(fine, embedding) for _ in range(config.blocks))
        self.down = nn.Conv2d(fine, coarse, 4, stride=2, padding=1)
        self.coarse = nn.ModuleList(ResidualBlock(coarse, embedding) for _ in range(2 * config.blocks))
        self.attention = nn.ModuleList(Attention(coarse, config.heads) for _ in range(2 * config.blocks))
        self.mixers = nn.ModuleList(GlobalMixer(coarse, self.grid // 2, config.hidden, embedding)
                                    for _ in range(2 * config.blocks))
        self.target_rays = nn.Linear(RAY_CHANNELS, coarse)
        self.up = nn.Conv2d(coarse, 4 * fine, 1)
        self.up_fine = nn.ModuleList(ResidualBlock(fine, embedding, 2 * fine if i == 0 else fine)
                                     for i in range(config.blocks + 1))
        self.head_norm, self.head = nn.GroupNorm(8, fine), nn.Conv2d(fine, pixels, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def encode(self, source: Tensor, rays: Tensor, pose: Tensor) -> Condition:
        """Condition of B photos.

        Args:
            source: [B, 4, S, S] premultiplied RGBA in [-1, 1]; rays: [B, 6, S/patch, S/patch];
            pose: [B, 11] features of the input camera with respect to itself.
        """
        x = self.source_stem(torch.cat([F.pixel_unshuffle(source, self.config.patch), rays], 1))
        embedding = self.pose(pose)
        for block in self.source_fine:
            x = block(x, embedding)
        x = self.source_down(x)
        for block in self.source_coarse:
            x = block(x, embedding)
        x = self.source_attention(x, None)
        where = self.source_rays(F.avg_pool2d(rays, 2).flatten(2).transpose(1, 2))
        return Condition(x.flatten(2).transpose(1, 2) + where, self.source_vector(x.flatten(1)))

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition, rays: Tensor, pose: Tensor) -> Tensor:
        """Predicted v [N, 4, S, S] of N wanted views.

        Args:
            noisy: [N, 4, S, S]; time: [N] in [0, 1], 1 is pure noise; condition: N rows (see `Condition.repeat`);
            rays: [N, 6, S/patch, S/patch] of the wanted cameras; pose: [N, 11].
        """
        pose = self.pose(pose)
        embedding = self.join(condition.vector * (1 + pose) + pose + self.time(time_features(time)))
        fine = self.stem(torch.cat([F.pixel_unshuffle(noisy, self.config.patch), rays], 1))
        for block in self.down_fine:
            fine = block(fine, embedding)
        where = self.target_rays(F.avg_pool2d(rays, 2).flatten(2).transpose(1, 2))
        x = self.down(fine)
        x = x + where.transpose(1, 2).reshape(x.shape)
        for block, mixer, attention in zip(self.coarse, self.mixers, self.attention, strict=True):
            x = attention(mixer(block(x, embedding), embedding), condition.tokens)
        x = torch.cat([F.pixel_shuffle(self.up(x), 2), fine], 1)
        for block in self.up_fine:
            x = block(x, embedding)
        return F.pixel_shuffle(self.head(F.silu(self.head_norm(x))), self.config.patch)


def time_features(time: Tensor) -> Tensor:
    """Sines and cosines [N, 64] of `time` [N] at 32 frequencies from 1 to 1000 radians."""
    angle = time[:, None] * torch.logspace(0, 3, 32, device=time.device, dtype=time.dtype)
    return torch.cat([angle.sin(), angle.cos()], 1)
