"""The two passes of the CPU renderer as plain functions: pictures of Gaussians, and gradients from those of pictures.

`cpu.py` puts them behind torch's autograd. A fit calls them itself: it knows its loss, and autograd would spend as long
on the pixels as the renderer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mousefacelift.core.render import bins, project, project_backward, raster
from mousefacelift.core.render.cpu_buffers import (
    Lists,
    Sizes,
    flat_array,
    make_lists,
    pack_cameras,
    pack_constants,
    run_projection,
)
from mousefacelift.core.render.formation import RenderConfig
from mousefacelift.core.render.jit import run
from mousefacelift.core.render.simd import LANES


@dataclass(frozen=True)
class Drawing:
    """What the forward pass leaves for the backward one, its pictures aside.

    Attributes:
        shared_colors: whether a Gaussian has one colour for all views.
    """

    sizes: Sizes
    config: RenderConfig
    constants: np.ndarray
    cameras: np.ndarray
    packed: torch.Tensor
    lists: Lists
    shared_colors: bool


@dataclass(frozen=True)
class Gradients:
    """By the raw parameters of S scenes of N Gaussians, padded to M rows.

    Attributes:
        means, quats, scales: [S, M, 3 or 4]; opacities: [S, M].
        colors: [S, V or 1, M, 3].
        means2d: [S * V, M, 2], or of no images.
        cameras: [S, chunks, V, 16] sums of chunks, or of no scenes.
    """

    means: torch.Tensor
    quats: torch.Tensor
    scales: torch.Tensor
    opacities: torch.Tensor
    colors: torch.Tensor
    means2d: torch.Tensor
    cameras: torch.Tensor


def draw(
    sizes: Sizes,
    config: RenderConfig,
    gaussians: Sequence[torch.Tensor],
    colors: torch.Tensor,
    cameras: tuple[torch.Tensor, torch.Tensor],
    background: torch.Tensor,
) -> tuple[torch.Tensor, Drawing]:
    """Pictures [S * V, 5, H, W] (rgb over the background, alpha, depth; H and W whole tiles), and the rest.

    Args:
        gaussians: means [S, N, 3], quats [S, N, 4], scales [S, N, 3], opacities [S, N], of one floating type.
        colors: [S, V or 1, N, 3].
        cameras: w2c [S * V, 4, 4] and fxfycxcy [S * V, 4].
        background: [S * V, 3].
    """
    dtype = gaussians[0].dtype
    constants, packed_cameras = pack_constants(config, dtype), pack_cameras(*cameras, sizes)
    packed, flat = run_projection(sizes, config, constants, packed_cameras, *gaussians)
    lists = make_lists(sizes, constants, flat, colors)
    images = torch.empty(sizes.images, 5, sizes.down * project.TILE, sizes.across * project.TILE, dtype=dtype)
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
    return images, Drawing(sizes, config, constants, packed_cameras, packed, lists, colors.shape[1] == 1)


def pull_back(
    drawing: Drawing,
    images: torch.Tensor,
    background: torch.Tensor,
    upstream: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    with_means2d: bool = False,
    with_cameras: bool = False,
) -> Gradients:
    """Gradients by the Gaussians from those by the pictures, and by projected means and cameras where asked for.

    Args:
        images, background: of `draw`.
        upstream: gradients by rgb [S * V, 3, H, W], alpha and depth [S * V, H, W], H and W whole tiles, contiguous.
    """
    sizes, lists, dtype = drawing.sizes, drawing.lists, images.dtype
    slots = torch.empty(lists.slots * LANES, dtype=dtype)
    run(raster.clear, -(-lists.slots * LANES // raster.CLEAR), flat_array(slots))
    run(
        raster.raster_backward,
        sizes.images * -(-sizes.down // bins.BAND),
        lists.records,
        lists.shift,
        lists.tile_start,
        lists.entries,
        drawing.constants,
        flat_array(background),
        flat_array(images),
        *(flat_array(a) for a in upstream),
        flat_array(slots),
        sizes.across,
        sizes.down,
    )
    return _gather(drawing, slots, with_means2d, with_cameras)


def _gather(drawing: Drawing, slots: torch.Tensor, with_means2d: bool, with_cameras: bool) -> Gradients:
    sizes, lists, padded = drawing.sizes, drawing.lists, drawing.sizes.padded
    rows = sizes.scenes if drawing.shared_colors else sizes.images
    shapes = (
        (sizes.scenes, padded, 3),
        (sizes.scenes, padded, 4),
        (sizes.scenes, padded, 3),
        (sizes.scenes, padded),
        (rows, padded, 3),
        (sizes.images if with_means2d else 0, padded, 2),
        (sizes.scenes if with_cameras else 0, sizes.chunk_tasks // max(sizes.scenes, 1), sizes.views, LANES),
    )
    out = [torch.empty(*shape, dtype=slots.dtype) for shape in shapes]
    run(
        project_backward.project_backward,
        sizes.chunk_tasks,
        flat_array(drawing.packed),
        drawing.cameras,
        drawing.constants,
        drawing.config.antialiased,
        (sizes.views, padded, drawing.shared_colors),
        flat_array(slots),
        lists.first_slot,
        lists.slot_count,
        *(flat_array(a) for a in out),
    )
    out[4] = out[4].reshape(sizes.scenes, 1 if drawing.shared_colors else sizes.views, padded, 3)
    return Gradients(*out)
