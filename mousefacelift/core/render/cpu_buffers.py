"""What the CPU kernels are handed: tensors packed into flat arrays, tile lists and padded images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mousefacelift.core.render import bins, project
from mousefacelift.core.render.formation import RenderConfig
from mousefacelift.core.render.jit import run
from mousefacelift.core.render.simd import LANES


@dataclass(frozen=True)
class Sizes:
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


@dataclass(frozen=True)
class Lists:
    """Depth-ordered records, tile lists and gradient slots; see `bins.fill_tiles`."""

    records: np.ndarray
    tile_start: np.ndarray
    entries: np.ndarray
    first_slot: np.ndarray
    slot_count: np.ndarray
    shift: np.ndarray
    slots: int


def flat_array(tensor: torch.Tensor) -> np.ndarray:
    """The values of a tensor as a flat array that shares its memory where it is contiguous."""
    return tensor.detach().contiguous().view(-1).numpy()


def pack_constants(config: RenderConfig, dtype: torch.dtype) -> np.ndarray:
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


def pack_cameras(w2c: torch.Tensor, intrinsics: torch.Tensor, sizes: Sizes) -> np.ndarray:
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
    return flat_array(torch.cat([part.detach() for part in parts], -1))


def run_projection(
    sizes: Sizes, config: RenderConfig, constants: np.ndarray, cameras: np.ndarray, *raw: torch.Tensor
) -> tuple[torch.Tensor, np.ndarray]:
    """Packed Gaussians and their projections into every camera, as the kernels read them."""
    packed = torch.empty(sizes.scenes, project.PACKED, sizes.padded, dtype=raw[0].dtype)
    flat = torch.empty(sizes.images, project.FLAT, sizes.padded, dtype=raw[0].dtype)
    run(project.pack, sizes.chunk_tasks, *(flat_array(a) for a in raw), flat_array(packed), sizes.count, sizes.padded)
    run(
        project.project,
        sizes.chunk_tasks,
        flat_array(packed),
        cameras,
        flat_array(flat),
        constants,
        config.antialiased,
        (sizes.views, sizes.padded, sizes.width, sizes.height),
    )
    return packed, flat_array(flat)


def make_lists(sizes: Sizes, constants: np.ndarray, flat: np.ndarray, colors: torch.Tensor) -> Lists:
    """Tile lists of the projected Gaussians, nearest first, and where each one's gradients are collected."""
    work = np.empty((sizes.images, 4), np.int64)
    run(bins.count_work, sizes.images, flat, sizes.padded, work)
    totals = work.sum(0)
    counted = np.ascontiguousarray(work[:, [0, 2, 3]])  # for one image and for many of one layout: one kernel
    starts = np.cumsum(counted, 0) - counted
    lists = Lists(
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
        flat_array(colors),
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
    return Lists(
        lists.records,
        lists.tile_start.reshape(-1),
        lists.entries,
        lists.first_slot,
        lists.slot_count,
        lists.shift,
        lists.slots,
    )


def pad_image(gradient: torch.Tensor, sizes: Sizes) -> torch.Tensor:
    """The gradient of an image [..., H, W, C] padded with zeros to whole tiles."""
    right, below = sizes.across * project.TILE - sizes.width, sizes.down * project.TILE - sizes.height
    if right or below:
        gradient = torch.nn.functional.pad(gradient, (0, right, 0, below))
    return gradient.contiguous()


def unpack_camera_gradient(v_cameras: torch.Tensor, sizes: Sizes) -> tuple[torch.Tensor, torch.Tensor]:
    """Chunk sums [S, chunks, V, 16] to dL/dw2c [S * V, 4, 4] and dL/dfxfycxcy [S * V, 4]; added in one fixed order."""
    total = torch.from_numpy(v_cameras.numpy().sum(1)).reshape(sizes.images, LANES)
    v_w2c = torch.zeros(sizes.images, 4, 4, dtype=total.dtype)
    v_w2c[:, :3, :3] = total[:, :9].reshape(-1, 3, 3)
    v_w2c[:, :3, 3] = total[:, 9:12]
    return v_w2c, total[:, 12:]
