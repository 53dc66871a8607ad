"""CPU backend: the kernels of this package behind torch's autograd.

Forward: pack, project, sort and list, blend. Backward: walk the tiles again, then gather per Gaussian. float32 and
float64 tensors get kernels of their own type; half precision is rendered in float32. The result does not depend on the
number of threads (torch.get_num_threads()).
"""

from __future__ import annotations

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.render.cpu_buffers import Sizes, pad_image, unpack_camera_gradient
from mousefacelift.core.render.formation import Render, RenderConfig
from mousefacelift.core.render.passes import draw, pull_back
from mousefacelift.errors import DataError


def render_cpu(
    gaussians: Gaussians,
    colors: torch.Tensor,
    cameras: CameraTensors,
    config: RenderConfig,
    background: torch.Tensor | None,
    probe_means2d: bool,
) -> Render:
    """See `render`; colors [..., V or 1, N, 3]."""
    means = gaussians.means
    if means.device.type != "cpu":
        raise DataError("the CPU renderer needs tensors on the CPU", got=str(means.device), expected="cpu")
    dtype = torch.float64 if means.dtype == torch.float64 else torch.float32
    lead, views = means.shape[:-2], cameras.w2c.shape[-3]
    sizes = Sizes(int(np.prod(lead)), views, gaussians.count, cameras.width, cameras.height)
    inputs = [
        a.reshape(sizes.scenes, *a.shape[len(lead) :]).to(dtype)
        for a in (means, gaussians.quats, gaussians.scales, gaussians.opacities, colors)
    ]
    w2c = cameras.w2c.to(dtype).expand(*lead, views, 4, 4).reshape(sizes.images, 4, 4)
    intrinsics = cameras.fxfycxcy.to(dtype).expand(*lead, views, 4).reshape(sizes.images, 4)
    if background is None:
        background = torch.zeros(3, dtype=dtype)
    background = background.to(dtype).expand(*lead, views, 3).reshape(sizes.images, 3)
    probe = torch.zeros(*lead, views, sizes.count, 2, dtype=dtype, requires_grad=True) if probe_means2d else None
    probe_flat = None if probe is None else probe.reshape(sizes.images, sizes.count, 2)
    rgb, alpha, depth = _Rasterize.apply(sizes, config, *inputs, w2c, intrinsics, background, probe_flat)
    shape = (*lead, views, cameras.height, cameras.width)
    return Render(
        rgb.movedim(1, -1).reshape(*shape, 3)
        if lead != (sizes.scenes,)
        else rgb.unflatten(0, (sizes.scenes, views)).movedim(2, -1),
        alpha.reshape(shape),
        depth.reshape(shape),
        probe,
    )


class _Rasterize(torch.autograd.Function):
    """rgb [S * V, 3, H, W] (planes), alpha and depth [S * V, H, W]."""

    @staticmethod
    def forward(ctx, sizes, config, means, quats, scales, opacities, colors, w2c, intrinsics, background, probe):
        colors, background = colors.contiguous(), background.contiguous()
        images, ctx.drawing = draw(
            sizes, config, (means, quats, scales, opacities), colors, (w2c, intrinsics), background
        )
        ctx.save_for_backward(images, background)
        rgb, alpha, depth = images[:, :3], images[:, 3], images[:, 4]
        return tuple(a[..., : sizes.height, : sizes.width] for a in (rgb, alpha, depth))

    @staticmethod
    @once_differentiable
    def backward(ctx, v_rgb, v_alpha, v_depth):
        images, background = ctx.saved_tensors
        sizes = ctx.drawing.sizes
        upstream = pad_image(v_rgb, sizes), pad_image(v_alpha, sizes), pad_image(v_depth, sizes)
        needs = dict(zip(("w2c", "intrinsics", "background", "probe"), ctx.needs_input_grad[7:]))
        with_cameras = needs["w2c"] or needs["intrinsics"]
        out = pull_back(ctx.drawing, images, background, upstream, needs["probe"], with_cameras)
        v_w2c, v_intrinsics = unpack_camera_gradient(out.cameras, sizes) if with_cameras else (None, None)
        v_background = (upstream[0] * (1 - images[:, 3:4])).sum((-1, -2)) if needs["background"] else None
        count = sizes.count
        return (
            None,
            None,
            *(a[:, :count] for a in (out.means, out.quats, out.scales, out.opacities)),
            out.colors[:, :, :count],
            v_w2c,
            v_intrinsics,
            v_background,
            out.means2d[:, :count] if needs["probe"] else None,
        )
