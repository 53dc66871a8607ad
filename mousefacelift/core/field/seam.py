"""The one seam between the project and its field renderers: rays, pictures, and the choice of backend."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.field.container import Field
from mousefacelift.core.field.dense import march_dense
from mousefacelift.core.field.kernels import BLOCK, march_backward, march_forward
from mousefacelift.core.field.rays import Rays, pixel_rays
from mousefacelift.core.render import Render
from mousefacelift.core.render.jit import run
from mousefacelift.errors import DataError

SHARES = 4  # of the rays that have a gradient of their own, and so the threads that one backward pass can use


class Seen(NamedTuple):
    """What R rays see, over black: rgb [R, 3], alpha [R], depth [R] (sum of weight * camera depth, world units)."""

    rgb: torch.Tensor
    alpha: torch.Tensor
    depth: torch.Tensor


def march(field: Field, rays: Rays, live: np.ndarray | None = None) -> Seen:
    """What the rays see of the field, differentiable with respect to its values.

    CPU tensors go to the compiled kernels, whose results do not depend on the number of threads; CUDA tensors to plain
    torch, which keeps every sample for autograd and adds gradients in no fixed order.

    Args:
        live: uint8 [X, Y, Z], the cells that count; those of the field when None. Others let all light pass.
    Raises:
        DataError: field and rays differ in device or precision.
    """
    values = field.values
    if values.device != rays.reach.device or values.dtype != rays.reach.dtype:
        raise DataError(
            "field and rays do not fit together",
            got=f"{values.dtype} on {values.device} and {rays.reach.dtype} on {rays.reach.device}",
            expected="one device and one precision",
        )
    live = field.live if live is None else live
    return Seen(*(march_dense(values, live, rays) if values.is_cuda else _March.apply(values, live, rays)))


@torch.no_grad()
def render_field(field: Field, cameras: CameraTensors, oversample: int = 1) -> Render:
    """Images over black of a field from CameraTensors [V], as the Gaussians' renderer returns them; no gradients.

    Args:
        oversample: rays per pixel and axis, averaged.
    """
    shape = (len(cameras.w2c), cameras.height, cameras.width, oversample**2)
    rays = pixel_rays(field, cameras, oversample)
    hit = rays.count > 0
    seen = march(field, rays.select(hit).to(field.values.device))
    flat = field.values.new_zeros(len(rays), 5)
    flat[hit.to(flat.device)] = torch.cat([seen.rgb, seen.alpha[:, None], seen.depth[:, None]], 1)
    picture = flat.reshape(*shape, 5).mean(3)
    return Render(picture[..., :3], picture[..., 3], picture[..., 4])


class _March(torch.autograd.Function):
    """The kernels behind autograd."""

    @staticmethod
    def forward(ctx, values, live, rays):
        values = values.contiguous()
        rgb, alpha, depth = (rays.reach.new_empty(len(rays), *size) for size in ((3,), (), ()))
        ctx.live, ctx.rays = live, rays
        run(march_forward, -(-len(rays) // BLOCK), *_arrays(values, live, rays, rgb, alpha, depth))
        ctx.save_for_backward(values, rgb, alpha, depth)
        return rgb, alpha, depth

    @staticmethod
    @once_differentiable
    def backward(ctx, v_rgb, v_alpha, v_depth):
        values, *seen = ctx.saved_tensors
        sums = values.new_empty(SHARES, *values.shape)
        upstream = [a.contiguous().numpy() for a in (v_rgb, v_alpha, v_depth)]
        run(march_backward, SHARES, *_arrays(values, ctx.live, ctx.rays, *seen), *upstream, sums.numpy())
        return sums.sum(0), None, None


def _arrays(values, live, rays, rgb, alpha, depth) -> tuple:
    tensors = (rays.origins, rays.directions, rays.first, rays.count, rays.reach, rgb, alpha, depth)
    return (values.detach().numpy(), live, *(t.detach().numpy() for t in tensors))
