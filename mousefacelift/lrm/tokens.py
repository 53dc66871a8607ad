"""What the network is shown: images joined with the rays of their pixels, cut into patches."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.lrm.model_config import ModelConfig
from mousefacelift.lrm.raycast import allowed_part, ends, framed_part


class Pixels(NamedTuple):
    """What the input says about the pixels that own Gaussians: color [B,N,3] and alpha [B,N,1], both in [0,1], pitch
    [B,N,1], the width of the pixel at distance 1, and where along its ray the silhouettes allow a body, bool
    [B,N,S]."""

    color: Tensor
    alpha: Tensor
    pitch: Tensor
    allowed: Tensor


class PixelRays(NamedTuple):
    """The rays of the pixels that own Gaussians: origin and unit direction [B,N,3], distance [B,N,1] of the point
    nearest to the world origin, the pixels themselves where the network builds on them (`uses_alpha`), and begin and
    end [B,N,1] of the piece that all inputs frame (`within_frusta`)."""

    origin: Tensor
    direction: Tensor
    nearest: Tensor
    pixels: Pixels | None = None
    framed: tuple[Tensor, Tensor] | None = None


def show_views(
    image: Tensor, c2w: Tensor, fxfycxcy: Tensor, config: ModelConfig
) -> tuple[Tensor, PixelRays, Tensor | None]:
    """Patches [B, n, p, p, C] that become tokens, the rays of their pixels, and the attention mask (None: all tokens
    are real).

    Args: as `GSLRM.forward`.
    """
    if config.uses_alpha:
        return show_foreground(remove_background(image), c2w, fxfycxcy, config)
    origin, direction = pixel_rays(c2w, fxfycxcy, *image.shape[-2:])
    seen, origin, direction = (
        patchify(part, config.patch_size)
        for part in (pose_images(image[:, :, :3], origin, direction), origin, direction)
    )
    origin, direction = origin.flatten(1, 3), direction.flatten(1, 3)
    framed = None
    if config.within_frusta:
        cameras = CameraTensors.from_c2w(c2w, fxfycxcy, image.shape[-1], image.shape[-2])
        size = (cameras.width, cameras.height)
        framed = framed_part(origin, direction, cameras.w2c, fxfycxcy, size, config.depth_range)
    return seen, PixelRays(origin, direction, -(origin * direction).sum(-1, keepdim=True), framed=framed), None


def show_foreground(
    image: Tensor, c2w: Tensor, fxfycxcy: Tensor, config: ModelConfig
) -> tuple[Tensor, PixelRays, Tensor | None]:
    """`show_views` of the patches that hold foreground, with depth bounded by the silhouettes.

    Args:
        image: [B, V, 4, H, W] straight colour and alpha.
    """
    (height, width), patch = image.shape[-2:], config.patch_size
    origin, direction = pixel_rays(c2w, fxfycxcy, height, width)
    index, is_token = select_tokens(F.max_pool2d(image[:, :, 3], patch).flatten(1) > 0)
    seen, *rest = (
        take_patches(part, index, patch) for part in (pose_images(image, origin, direction), origin, direction, image)
    )
    origin, direction, rgba = (part.flatten(1, 3) for part in rest)
    view = index // (height * width // patch**2)
    pitch, is_pixel = (
        part.repeat_interleave(patch**2, 1)[..., None] for part in ((1 / fxfycxcy[..., 0]).gather(1, view), is_token)
    )
    cameras = CameraTensors.from_c2w(c2w, fxfycxcy, width, height)
    allowed = allowed_part(origin, direction, image[:, :, 3], cameras.w2c, fxfycxcy, config.depth_range)
    seen = torch.cat([seen, ends(allowed, config.depth_range).reshape(*seen.shape[:-1], 2)], dim=-1)
    mask = None
    if not bool(is_token.all()):
        mask = F.pad(is_token, (config.free_gaussians, 0), value=True)[:, None, None, :]
    pixels = Pixels(rgba[..., :3], rgba[..., 3:] * is_pixel, pitch, allowed)
    return seen, PixelRays(origin, direction, -(origin * direction).sum(-1, keepdim=True), pixels), mask


def pixel_rays(c2w: Tensor, fxfycxcy: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Origins and unit directions [..., 3, H, W] of the rays through all pixel centres, in world coordinates.

    Args:
        c2w: [..., 4, 4] camera to world, OpenCV axes.
        fxfycxcy: [..., 4] pixels; pixel (i, j) has its centre at (i + 0.5, j + 0.5).
    """
    fx, fy, cx, cy = (part[..., None, None] for part in fxfycxcy.unbind(-1))
    column = torch.arange(width, device=c2w.device, dtype=c2w.dtype) + 0.5
    row = torch.arange(height, device=c2w.device, dtype=c2w.dtype)[:, None] + 0.5
    x, y = torch.broadcast_tensors((column - cx) / fx, (row - cy) / fy)
    length = (x * x + y * y + 1).sqrt_()
    direction = torch.stack([x / length, y / length, 1 / length], dim=-3)  # [..., 3, H, W] camera axes
    direction = torch.einsum("...ij,...jhw->...ihw", c2w[..., :3, :3], direction)
    return c2w[..., :3, 3, None, None].expand_as(direction), direction


def patchify(images: Tensor, patch: int) -> Tensor:
    """[B, V, C, H, W] -> [B, V*h*w, p, p, C], patches in the order view, patch row, patch column."""
    b, v, c, height, width = images.shape
    tiles = images.reshape(b, v, c, height // patch, patch, width // patch, patch)
    return tiles.permute(0, 1, 3, 5, 4, 6, 2).reshape(b, -1, patch, patch, c)


def take_patches(images: Tensor, index: Tensor, patch: int) -> Tensor:
    """The patches [B, m, p, p, C] with numbers `index` [B, m] among those of `patchify`, without cutting the others."""
    b, v, c, height, width = images.shape
    tiles = images.unflatten(4, (-1, patch)).unflatten(3, (-1, patch)).permute(0, 1, 3, 5, 4, 6, 2)
    columns = width // patch
    view, place = index // (height // patch * columns), index % (height // patch * columns)
    return tiles[torch.arange(b, device=index.device)[:, None], view, place // columns, place % columns]


def pose_images(image: Tensor, origin: Tensor, direction: Tensor) -> Tensor:
    """[..., 9 or 10, H, W]: colour in [-1,1], ray direction, the ray's nearest point to the world origin, and alpha in
    [-1,1].

    Args:
        image: [..., 3 or 4, H, W] in [0,1], colour and perhaps alpha.
    """
    nearest = origin - (origin * direction).sum(-3, keepdim=True) * direction
    return torch.cat([image[..., :3, :, :] * 2 - 1, direction, nearest, image[..., 3:, :, :] * 2 - 1], dim=-3)


def remove_background(image: Tensor) -> Tensor:
    """[..., 4, H, W]: straight colour where there is foreground and grey elsewhere, then alpha.

    Args:
        image: [..., 4, H, W], colour over a background of one colour, then alpha. What that colour was is read off the
            pixels whose alpha is 0.
    """
    rgb, alpha = image[..., :3, :, :], image[..., 3:, :, :]
    empty = (alpha == 0).to(rgb)
    behind = (rgb * empty).sum((-2, -1), keepdim=True) / empty.sum((-2, -1), keepdim=True).clamp(min=1)
    straight = ((rgb - (1 - alpha) * behind) / alpha.clamp(min=0.05)).clamp(0, 1)  # 0.05: 8-bit colours say no more
    return torch.cat([torch.where(alpha > 0, straight, 0.5), alpha], dim=-3)


def select_tokens(keep: Tensor) -> tuple[Tensor, Tensor]:
    """Indices [B, m] of the kept tokens, in order, padded to the longest row; and which of them are real, bool [B,
    m]."""
    counts = keep.sum(1)
    longest = max(int(counts.max()), 1)
    order = keep.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :longest]
    return order, torch.arange(longest, device=keep.device) < counts[:, None]
