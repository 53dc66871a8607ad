"""The network: crop -> features -> heading hypotheses -> surface points and colours of the template.

Everything is expressed in the view's frame: world axes turned about z so that the camera looks along +x, origin at the
crop's anchor, unit half the crop (see `crop.Crop`). points = Rz(heading + turn) (size * shape(code)) + offset.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mousefacelift.core.linear import Linear
from mousefacelift.prior.surface import NEIGHBOURS

FACTS = 3
GLANCE = (
    5  # edge of the thumbnail that the coat is read from: features that place points forget how bright an animal is
)
CODE_STD_FLOOR = 1e-4


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes.

    Args:
        size: crop edge in pixels. points: N of the template.
        widths: channels of the stages at 1/2, 1/4, 1/8 and 1/16 of the size. blocks: residual blocks of each.
        features: length of the picture's feature vector. code: numbers of a shape. colours: numbers of a coat.
        detail: hidden units of the decoder's non-linear part. headings: bins of the heading.
    """

    size: int = 80
    points: int = 2272
    widths: tuple[int, int, int, int] = (32, 64, 128, 256)
    blocks: tuple[int, int, int, int] = (0, 1, 2, 2)
    features: int = 512
    code: int = 64
    colours: int = 32
    detail: int = 256
    headings: int = 36


@dataclass
class Decoded:
    """What one heading hypothesis says, B pictures.

    Args:
        points: [B, N, 3] in the view's frame. colours: [B, N, 3] display colours, not clamped.
        code: [B, code]. heading: [B] radians, the turn included. size: [B, 1]. offset: [B, 3].
    """

    points: Tensor
    colours: Tensor
    code: Tensor
    heading: Tensor
    size: Tensor
    offset: Tensor


@dataclass
class Features:
    """What the network keeps of B pictures: joined [B, F] features and camera facts, glance [B, 4 GLANCE^2]
    thumbnail."""

    joined: Tensor
    glance: Tensor

    def expand(self, count: int) -> Features:
        """The features of one picture, `count` times."""
        return Features(self.joined.expand(count, -1), self.glance.expand(count, -1))


class Block(nn.Module):
    """Two 3x3 convolutions around a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        nn.init.zeros_(self.norm2.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.norm2(self.second(F.relu(self.norm1(self.first(x))))))


class Encoder(nn.Module):
    """Picture [B, 4, S, S], premultiplied rgb and alpha -> features [B, features]."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        layers, before = [], 4
        for stage, (width, count) in enumerate(zip(config.widths, config.blocks)):
            kernel = 5 if stage == 0 else 3
            layers += [nn.Conv2d(before, width, kernel, 2, kernel // 2, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            layers += [Block(width) for _ in range(count)]
            before = width
        self.convolutions = nn.Sequential(*layers)
        self.squeeze = nn.Conv2d(before, before // 2, 1)
        grid = config.size // 16
        self.out = Linear(before // 2 * grid * grid, config.features)

    def forward(self, picture: Tensor) -> Tensor:
        x = self.convolutions(picture.to(memory_format=torch.channels_last))
        return F.relu(self.out(F.relu(self.squeeze(x)).flatten(1)))


class ShapeDecoder(nn.Module):
    """Code -> shape [B, N, 3]: mean + basis (principal components at first) + a non-linear part (nothing at first)."""

    def __init__(self, code: int, detail: int, points: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(points * 3))
        self.basis = Linear(code, points * 3, bias=False)
        self.hidden = Linear(code, detail)
        self.fine = Linear(detail, points * 3, bias=False)
        nn.init.zeros_(self.fine.weight)

    def forward(self, code: Tensor) -> Tensor:
        # 0.05: a unit step of a fresh weight moves points by a twentieth of the animal, so that one learning rate suits
        # all
        flat = self.mean + self.basis(code) + 0.05 * self.fine(F.gelu(self.hidden(code)))
        return flat.unflatten(-1, (-1, 3))


class PriorNetwork(nn.Module):
    """One picture to a mouse; `encode` once, `decode` per heading hypothesis."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width = config.features
        self.encoder = Encoder(config)
        self.heading = Linear(width + FACTS + 1, config.headings)
        self.elevation = Linear(width, 2)  # sine and cosine; sees no facts, so that they cannot be copied
        self.trunk = nn.Sequential(Linear(width + FACTS + 1 + 2, width), nn.GELU(), Linear(width, width), nn.GELU())
        self.pose = Linear(width, config.code + 2 + 1 + 3)  # code, turn, log size, offset
        self.coat = nn.Sequential(Linear(width + 4 * GLANCE**2, 256), nn.GELU(), Linear(256, config.colours))
        self.shape = ShapeDecoder(config.code, config.detail, config.points)
        self.register_buffer("colour_mean", torch.full((config.points * 3,), 0.5))
        self.colour_basis = Linear(config.colours, config.points * 3, bias=False)
        self.register_buffer("log_size", torch.zeros(()))
        self.register_buffer("group", torch.zeros(config.points, dtype=torch.long))
        self.register_buffer("mirror", torch.zeros(config.points, dtype=torch.long))
        self.register_buffer("neighbours", torch.zeros((config.points, NEIGHBOURS), dtype=torch.long))

    def encode(self, picture: Tensor, facts: Tensor, known: Tensor) -> tuple[Features, Tensor, Tensor]:
        """Features with facts, heading logits [B, headings] and (sin, cos) of the elevation [B, 2].

        Args:
            picture: [B, 4, S, S]. facts: [B, 3]. known: [B] 1 where the facts may be used, else 0.
        """
        features = self.encoder(picture)
        joined = torch.cat([features, facts * known[:, None], known[:, None]], 1)
        glance = F.adaptive_avg_pool2d(picture, GLANCE).flatten(1)
        return Features(joined, glance), self.heading(joined), self.elevation(features)

    def decode(self, features: Features, heading: Tensor) -> Decoded:
        """The animal if it heads `heading` [B] radians (within 15 degrees) relative to the view."""
        hidden = self.trunk(torch.cat([features.joined, heading.sin()[:, None], heading.cos()[:, None]], 1))
        raw = self.pose(hidden).float()
        code, turn, size, offset = raw.split([self.config.code, 2, 1, 3], 1)
        turned = heading + torch.atan2(0.1 * turn[:, 0], 1 + 0.1 * turn[:, 1])
        size = torch.exp(self.log_size + 0.2 * size)
        offset = 0.2 * offset
        coat = self.coat(torch.cat([hidden, features.glance], 1))
        colours = (self.colour_mean + self.colour_basis(coat).float()).unflatten(-1, (-1, 3))
        return Decoded(self.place(code, turned, size, offset), colours, code, turned, size, offset)

    def place(self, code: Tensor, heading: Tensor, size: Tensor, offset: Tensor) -> Tensor:
        """Points [B, N, 3] in the view's frame of a code [B, code], heading [B], size [B, 1] and offset [B, 3]."""
        shape = self.shape(code).float() * size[:, None]
        return turn_points(shape, heading) + offset[:, None]

    def bin_headings(self) -> Tensor:
        """[headings] radians of the middles of the heading bins."""
        count = self.config.headings
        return (torch.arange(count) + 0.5) * (2 * np.pi / count) - np.pi

    def describe(self) -> dict:
        """The sizes, as JSON-able values."""
        return asdict(self.config)


def turn_points(points: Tensor, angle: Tensor) -> Tensor:
    """Points [B, N, 3] turned about z by angles [B] radians."""
    c, s = angle.cos()[:, None], angle.sin()[:, None]
    x, y, z = points.unbind(-1)
    return torch.stack([c * x - s * y, s * x + c * y, z], -1)


def normalise_shapes(points: np.ndarray, trunk: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shapes [P, N, 3] about the trunk's middle in units of its RMS radius, and that radius [P]."""
    centred = points - points[:, trunk].mean(1, keepdims=True)
    radius = np.sqrt((centred[:, trunk] ** 2).sum(-1).mean(1))
    return centred / radius[:, None, None], radius


@torch.no_grad()
def start_from_data(
    network: PriorNetwork, points: np.ndarray, colours: np.ndarray, units: np.ndarray, template
) -> None:
    """Set template, means and bases (principal components) from poses; see `Shards.poses` for the arguments."""
    network.group.copy_(torch.from_numpy(template.group))
    network.mirror.copy_(torch.from_numpy(template.mirror))
    network.neighbours.copy_(torch.from_numpy(template.neighbours))
    shapes, radius = normalise_shapes(points, template.group == 0)
    network.log_size.fill_(float(np.log(radius / units).mean()))
    _set_basis(shapes.reshape(len(shapes), -1), network.shape.mean, network.shape.basis.weight)
    _set_basis(colours.reshape(len(colours), -1), network.colour_mean, network.colour_basis.weight)


def _set_basis(rows: np.ndarray, mean: Tensor, weight: Tensor) -> None:
    middle = rows.mean(0)
    mean.copy_(torch.from_numpy(middle))
    centred = torch.from_numpy(rows - middle)
    _, values, vectors = torch.svd_lowrank(centred, q=min(weight.shape[1] + 8, *rows.shape), niter=4)
    count = min(weight.shape[1], vectors.shape[1])
    weight.zero_()
    weight[:, :count] = vectors[:, :count] * (values[:count] / np.sqrt(len(rows))).clamp_min(CODE_STD_FLOOR)
