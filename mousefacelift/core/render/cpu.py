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
from mousefacelift.core.render import bins, project, project_backward, raster
from mousefacelift.core.render.cpu_buffers import (
    Sizes,
    flat_array,
    make_lists,
    pack_cameras,
    pack_constants,
    pad_image,
    run_projection,
    unpack_camera_gradient,
)
from mousefacelift.core.render.formation import Render, RenderConfig
from mousefacelift.core.render.jit import run
from mousefacelift.core.render.simd import LANES
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
        constants = pack_constants(config, means.dtype)
        cameras = pack_cameras(w2c, intrinsics, sizes)
        colors, background = colors.contiguous(), background.contiguous()
        packed, flat = run_projection(sizes, config, constants, cameras, means, quats, scales, opacities)
        lists = make_lists(sizes, constants, flat, colors)
        images = torch.empty(sizes.images, 5, sizes.down * project.TILE, sizes.across * project.TILE, dtype=means.dtype)
        run(
            raster.raster,
            sizes.images * sizes.down,
            lists.records,
            lists.tile_start,
            lists.entries,
            constants,
            flat_array(background),
            flat_array(images),
            sizes.across,
            sizes.down,
        )
        ctx.sizes, ctx.config, ctx.lists, ctx.constants, ctx.shared = (
            sizes,
            config,
            lists,
            constants,
            colors.shape[1] == 1,
        )
        ctx.cameras, ctx.packed = cameras, packed
        ctx.save_for_backward(images, background)
        rgb, alpha, depth = images[:, :3], images[:, 3], images[:, 4]
        return tuple(a[..., : sizes.height, : sizes.width] for a in (rgb, alpha, depth))

    @staticmethod
    @once_differentiable
    def backward(ctx, v_rgb, v_alpha, v_depth):
        images, background = ctx.saved_tensors
        sizes, lists, padded = ctx.sizes, ctx.lists, ctx.sizes.padded
        dtype = images.dtype
        v_rgb, v_alpha, v_depth = (pad_image(a, sizes) for a in (v_rgb, v_alpha, v_depth))
        slots = torch.empty(lists.slots * LANES, dtype=dtype)
        run(raster.clear, -(-lists.slots * LANES // raster.CLEAR), flat_array(slots))
        bands = -(-sizes.down // bins.BAND)
        run(
            raster.raster_backward,
            sizes.images * bands,
            lists.records,
            lists.shift,
            lists.tile_start,
            lists.entries,
            ctx.constants,
            flat_array(background),
            flat_array(images),
            flat_array(v_rgb),
            flat_array(v_alpha),
            flat_array(v_depth),
            flat_array(slots),
            sizes.across,
            sizes.down,
        )
        needs = dict(zip(("w2c", "intrinsics", "background", "probe"), ctx.needs_input_grad[7:]))
        camera_gradient = needs["w2c"] or needs["intrinsics"]
        rows = sizes.scenes if ctx.shared else sizes.images
        chunks = sizes.chunk_tasks // max(sizes.scenes, 1)
        v_means, v_quats, v_scales, v_opacities, v_colors, v_means2d, v_cameras = (
            torch.empty(*shape, dtype=dtype)
            for shape in (
                (sizes.scenes, padded, 3),
                (sizes.scenes, padded, 4),
                (sizes.scenes, padded, 3),
                (sizes.scenes, padded),
                (rows, padded, 3),
                (sizes.images if needs["probe"] else 0, padded, 2),
                (sizes.scenes if camera_gradient else 0, chunks, sizes.views, LANES),
            )
        )
        run(
            project_backward.project_backward,
            sizes.chunk_tasks,
            flat_array(ctx.packed),
            ctx.cameras,
            ctx.constants,
            ctx.config.antialiased,
            (sizes.views, padded, ctx.shared),
            flat_array(slots),
            lists.first_slot,
            lists.slot_count,
            *(flat_array(a) for a in (v_means, v_quats, v_scales, v_opacities, v_colors, v_means2d, v_cameras)),
        )
        count = sizes.count
        v_colors = v_colors.reshape(sizes.scenes, 1 if ctx.shared else sizes.views, padded, 3)[:, :, :count]
        v_w2c, v_intrinsics = unpack_camera_gradient(v_cameras, sizes) if camera_gradient else (None, None)
        v_background = None
        if needs["background"]:
            v_background = (v_rgb * (1 - images[:, 3:4])).sum((-1, -2))
        return (
            None,
            None,
            v_means[:, :count],
            v_quats[:, :count],
            v_scales[:, :count],
            v_opacities[:, :count],
            v_colors,
            v_w2c,
            v_intrinsics,
            v_background,
            v_means2d[:, :count] if needs["probe"] else None,
        )
