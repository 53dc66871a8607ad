"""CPU backend: the kernels of this package behind torch's autograd.

Forward: pack, project, sort and list, blend. Backward: walk the tiles again, then gather per Gaussian. float32 and
float64 tensors get kernels of their own type; half precision is rendered in float32. The result does not depend on the
number of threads (torch.get_num_threads()).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.render import bins, project, project_backward, raster
from mousefacelift.core.render.formation import Render, RenderConfig
from mousefacelift.core.render.jit import run
from mousefacelift.core.render.simd import LANES
from mousefacelift.errors import DataError


@dataclass(frozen=True)
class _Sizes:
    """S scenes of V views and N Gaussians (M: rounded up to whole vectors), images of W x H pixels."""

    scenes: int
    views: int
    count: int
    width: int
    height: int

    @property
    def images(self) -> int:
        return self.scenes * self.views

    @property
    def padded(self) -> int:
        return -(-self.count // LANES) * LANES

    @property
    def across(self) -> int:
        return -(-self.width // project.TILE)

    @property
    def down(self) -> int:
        return -(-self.height // project.TILE)

    @property
    def chunk_tasks(self) -> int:
        return self.scenes * -(-self.padded // project.CHUNK)


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
    sizes = _Sizes(int(np.prod(lead)), views, gaussians.count, cameras.width, cameras.height)
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
        constants = _constants(config, means.dtype)
        cameras = _pack_cameras(w2c, intrinsics, sizes)
        colors, background = colors.contiguous(), background.contiguous()
        packed, flat = _project(sizes, config, constants, cameras, means, quats, scales, opacities)
        lists = _make_lists(sizes, constants, flat, colors)
        images = torch.empty(sizes.images, 5, sizes.down * project.TILE, sizes.across * project.TILE, dtype=means.dtype)
        run(
            raster.raster,
            sizes.images * sizes.down,
            lists.records,
            lists.tile_start,
            lists.entries,
            constants,
            _flat(background),
            _flat(images),
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
        v_rgb, v_alpha, v_depth = (_pad_image(a, sizes) for a in (v_rgb, v_alpha, v_depth))
        slots = torch.empty(lists.slots * LANES, dtype=dtype)
        run(raster.clear, -(-lists.slots * LANES // raster.CLEAR), _flat(slots))
        bands = -(-sizes.down // bins.BAND)
        run(
            raster.raster_backward,
            sizes.images * bands,
            lists.records,
            lists.shift,
            lists.tile_start,
            lists.entries,
            ctx.constants,
            _flat(background),
            _flat(images),
            _flat(v_rgb),
            _flat(v_alpha),
            _flat(v_depth),
            _flat(slots),
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
            _flat(ctx.packed),
            ctx.cameras,
            ctx.constants,
            ctx.config.antialiased,
            (sizes.views, padded, ctx.shared),
            _flat(slots),
            lists.first_slot,
            lists.slot_count,
            *(_flat(a) for a in (v_means, v_quats, v_scales, v_opacities, v_colors, v_means2d, v_cameras)),
        )
        count = sizes.count
        v_colors = v_colors.reshape(sizes.scenes, 1 if ctx.shared else sizes.views, padded, 3)[:, :, :count]
        v_w2c, v_intrinsics = _unpack_camera_gradient(v_cameras, sizes) if camera_gradient else (None, None)
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


@dataclass(frozen=True)
class _Lists:
    """Depth-ordered records, tile lists and gradient slots; see `bins.fill_tiles`."""

    records: np.ndarray
    tile_start: np.ndarray
    entries: np.ndarray
    first_slot: np.ndarray
    slot_count: np.ndarray
    shift: np.ndarray
    slots: int


def _flat(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().contiguous().view(-1).numpy()


def _constants(config: RenderConfig, dtype: torch.dtype) -> np.ndarray:
    """eps2d, near, log2(alpha_min), alpha_max, t_stop, log2(alpha_max)."""
    numbers = [
        config.eps2d,
        config.near,
        np.log2(config.alpha_min),
        config.alpha_max,
        config.t_stop,
        np.log2(config.alpha_max),
    ]
    return np.array(numbers, np.float64 if dtype == torch.float64 else np.float32)


def _pack_cameras(w2c: torch.Tensor, intrinsics: torch.Tensor, sizes: _Sizes) -> np.ndarray:
    """[S * V * 20] R, t, fx fy cx cy and the limits of x/z and y/z in the Jacobian (0.3 tan(half field) past the
    frame)."""
    fx, fy, cx, cy = intrinsics.detach().unbind(-1)
    margin_x, margin_y = 0.15 * sizes.width / fx, 0.15 * sizes.height / fy
    limits = torch.stack(
        [
            -(cx / fx + margin_x),
            (sizes.width - cx) / fx + margin_x,
            -(cy / fy + margin_y),
            (sizes.height - cy) / fy + margin_y,
        ],
        -1,
    )
    parts = (w2c[:, :3, :3].reshape(-1, 9), w2c[:, :3, 3], intrinsics, limits)
    return _flat(torch.cat([part.detach() for part in parts], -1))


def _project(
    sizes: _Sizes, config: RenderConfig, constants: np.ndarray, cameras: np.ndarray, *raw: torch.Tensor
) -> tuple[torch.Tensor, np.ndarray]:
    packed = torch.empty(sizes.scenes, project.PACKED, sizes.padded, dtype=raw[0].dtype)
    flat = torch.empty(sizes.images, project.FLAT, sizes.padded, dtype=raw[0].dtype)
    run(project.pack, sizes.chunk_tasks, *(_flat(a) for a in raw), _flat(packed), sizes.count, sizes.padded)
    run(
        project.project,
        sizes.chunk_tasks,
        _flat(packed),
        cameras,
        _flat(flat),
        constants,
        config.antialiased,
        (sizes.views, sizes.padded, sizes.width, sizes.height),
    )
    return packed, _flat(flat)


def _make_lists(sizes: _Sizes, constants: np.ndarray, flat: np.ndarray, colors: torch.Tensor) -> _Lists:
    work = np.empty((sizes.images, 4), np.int64)
    run(bins.count_work, sizes.images, flat, sizes.padded, work)
    totals = work.sum(0)
    starts = np.cumsum(work[:, [0, 2, 3]], 0) - work[:, [0, 2, 3]]
    lists = _Lists(
        np.empty(totals[0] * LANES, flat.dtype),
        np.empty((sizes.images, sizes.across * sizes.down + 1), np.int64),
        np.empty(totals[2], np.int32),
        np.empty(sizes.images * sizes.padded, np.int32),
        np.empty(sizes.images * sizes.padded, np.int32),
        np.empty(totals[0], np.int32),
        int(totals[3]),
    )
    bits = flat.view(np.uint32 if flat.dtype == np.float32 else np.uint64)
    run(
        bins.fill_tiles,
        sizes.images,
        flat,
        bits,
        _flat(colors),
        constants,
        (sizes.views, sizes.padded, sizes.count, sizes.width, sizes.height, colors.shape[1] == 1),
        work,
        starts,
        lists.records,
        lists.first_slot,
        lists.slot_count,
        lists.shift,
        lists.tile_start,
        lists.entries,
    )
    return _Lists(
        lists.records,
        lists.tile_start.reshape(-1),
        lists.entries,
        lists.first_slot,
        lists.slot_count,
        lists.shift,
        lists.slots,
    )


def _pad_image(gradient: torch.Tensor, sizes: _Sizes) -> torch.Tensor:
    right, below = sizes.across * project.TILE - sizes.width, sizes.down * project.TILE - sizes.height
    if right or below:
        gradient = torch.nn.functional.pad(gradient, (0, right, 0, below))
    return gradient.contiguous()


def _unpack_camera_gradient(v_cameras: torch.Tensor, sizes: _Sizes) -> tuple[torch.Tensor, torch.Tensor]:
    """Chunk sums [S, chunks, V, 16] to dL/dw2c [S * V, 4, 4] and dL/dfxfycxcy [S * V, 4]; added in one fixed order."""
    total = torch.from_numpy(v_cameras.numpy().sum(1)).reshape(sizes.images, LANES)
    v_w2c = torch.zeros(sizes.images, 4, 4, dtype=total.dtype)
    v_w2c[:, :3, :3] = total[:, :9].reshape(-1, 3, 3)
    v_w2c[:, :3, 3] = total[:, 9:12]
    return v_w2c, total[:, 12:]
