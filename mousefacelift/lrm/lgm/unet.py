"""The U-Net of LGM: residual blocks treat views apart, attention joins all views of a scene.

Shapes: [B*V, C, H, W], batch-major; `views` says how many consecutive entries are one scene. No position or view is
embedded: permuting the views with their rays permutes the output.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mousefacelift.core.linear import Linear

GROUPS = 32  # of every group normalisation: each width is a multiple of it
HEADS = 16  # of every attention, whatever its width
HALF = math.sqrt(0.5)  # keeps the variance of a sum of two branches at one


class Residual(nn.Module):
    """Two normalised 3x3 convolutions beside a skip, their sum scaled by sqrt(1/2)."""

    def __init__(self, inside: int, outside: int):
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, inside, eps=1e-5)
        self.conv1 = nn.Conv2d(inside, outside, 3, padding=1)
        self.norm2 = nn.GroupNorm(GROUPS, outside, eps=1e-5)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1)
        self.shortcut = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return (h + self.shortcut(x)) * HALF


class QKV(nn.Module):
    """Self-attention over a sequence [B, n, C]."""

    def __init__(self, dim: int):
        super().__init__()
        self.qkv = Linear(dim, 3 * dim, bias=False)
        self.proj = Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, HEADS, c // HEADS).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, c))


class ViewAttention(nn.Module):
    """Attention over the pixels of all views of a scene, beside a skip, their sum scaled by sqrt(1/2)."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, dim, eps=1e-5)
        self.attn = QKV(dim)

    def forward(self, x: Tensor, views: int) -> Tensor:
        bv, c, h, w = x.shape
        tokens = self.norm(x).reshape(bv // views, views, c, h * w).transpose(2, 3).reshape(-1, views * h * w, c)
        mixed = self.attn(tokens).reshape(bv // views, views, h * w, c).transpose(2, 3)
        # One memory layout throughout: above frozen levels, torch 2.13's backward pass on the CPU crashed with two.
        return (mixed.contiguous().reshape(bv, c, h, w) + x) * HALF


class Level(nn.Module):
    """Residual blocks of one resolution, each followed by attention where that is on."""

    def __init__(self, widths: list[tuple[int, int]], attention: bool):
        super().__init__()
        self.nets = nn.ModuleList(Residual(inside, outside) for inside, outside in widths)
        self.attends = attention
        if attention:
            self.attns = nn.ModuleList(ViewAttention(outside) for _, outside in widths)

    def block(self, x: Tensor, number: int, views: int) -> Tensor:
        x = self.nets[number](x)
        return self.attns[number](x, views) if self.attends else x


class DownLevel(Level):
    """A level on the way down; unless it is the last, it ends with a convolution that halves the resolution."""

    def __init__(self, widths: list[tuple[int, int]], attention: bool, last: bool):
        super().__init__(widths, attention)
        if not last:
            self.downsample = nn.Conv2d(widths[-1][1], widths[-1][1], 3, stride=2, padding=1)
        self.halves = not last

    def forward(self, x: Tensor, views: int) -> tuple[Tensor, list[Tensor]]:
        """The output, and the skips: one per block, and the halved output."""
        skips = []
        for number in range(len(self.nets)):
            x = self.block(x, number, views)
            skips.append(x)
        if self.halves:
            x = self.downsample(x)
            skips.append(x)
        return x, skips


class UpLevel(Level):
    """A level on the way up: each block first takes a skip; unless it is the last, it ends at twice the resolution."""

    def __init__(self, widths: list[tuple[int, int]], attention: bool, last: bool):
        super().__init__(widths, attention)
        if not last:
            self.upsample = nn.Conv2d(widths[-1][1], widths[-1][1], 3, padding=1)
        self.doubles = not last

    def forward(self, x: Tensor, skips: list[Tensor], views: int) -> Tensor:
        """Args: skips: one per block, in the order in which they are taken."""
        for number, skip in enumerate(skips):
            x = self.block(torch.cat([x, skip], 1), number, views)
        return self.upsample(F.interpolate(x, scale_factor=2.0, mode="nearest")) if self.doubles else x


class Middle(nn.Module):
    """Residual block, attention where that is on, residual block."""

    def __init__(self, dim: int, attention: bool):
        super().__init__()
        self.nets = nn.ModuleList(Residual(dim, dim) for _ in range(2))
        self.attns = nn.ModuleList([ViewAttention(dim)] if attention else [])

    def forward(self, x: Tensor, views: int) -> Tensor:
        x = self.nets[0](x)
        for attention in self.attns:
            x = attention(x, views)
        return self.nets[1](x)


class UNet(nn.Module):
    """[B*V, 9, H, W] -> [B*V, 14, h, h], h = H / 2^(len(down) - len(up)).

    Args:
        down, up: widths per level; up is the first levels of down reversed.
        down_attention, up_attention: whether the level attends, per level. middle_attention: whether the middle does.
    """

    def __init__(
        self,
        down: tuple[int, ...],
        down_attention: tuple[bool, ...],
        middle_attention: bool,
        up: tuple[int, ...],
        up_attention: tuple[bool, ...],
        channels: tuple[int, int] = (9, 14),
    ):
        super().__init__()
        self.conv_in = nn.Conv2d(channels[0], down[0], 3, padding=1)
        skips, inside, downs = [down[0]], down[0], []
        for level, width in enumerate(down):
            last = level == len(down) - 1
            downs.append(DownLevel([(inside, width), (width, width)], down_attention[level], last))
            skips += [width] * (2 if last else 3)
            inside = width
        self.down_blocks = nn.ModuleList(downs)
        self.mid_block = Middle(inside, middle_attention)
        ups = []
        for level, width in enumerate(up):
            widths = []
            for _ in range(3):
                widths.append((inside + skips.pop(), width))
                inside = width
            ups.append(UpLevel(widths, up_attention[level], last=level == len(up) - 1))
        self.up_blocks = nn.ModuleList(ups)
        self.norm_out = nn.GroupNorm(GROUPS, inside, eps=1e-5)
        self.conv_out = nn.Conv2d(inside, channels[1], 3, padding=1)

    def forward(self, x: Tensor, views: int, run=None) -> Tensor:
        """Args: run: how a level is called, `run(function, *args)`; for recomputing activations."""
        run = run or (lambda function, *args: function(*args))
        x = self.conv_in(x)
        skips = [x]
        for level in self.down_blocks:
            x, more = run(level, x, views)
            skips += more
        x = run(self.mid_block, x, views)
        for level in cast(Iterable[UpLevel], self.up_blocks):
            x = run(level, x, [skips.pop() for _ in level.nets], views)
        return self.conv_out(F.silu(self.norm_out(x)))
