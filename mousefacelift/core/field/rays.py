"""Rays of pixels in the coordinates of a field's grid, cut to where they meet it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.field.container import Field
from mousefacelift.core.field.kernels import BLOCK, STEP, trim_rays
from mousefacelift.core.render.jit import run


@dataclass(frozen=True)
class Rays:
    """R rays; sample n of a ray lies at origin + (first + n + 0.5) * direction, in grid coordinates.

    Attributes:
        origins, directions: [R, 3]; voxel [i, j, k] has its centre at (i, j, k), a direction is `STEP` long.
        first, count: int32 [R], samples from the first to the last that lie in a live cell; none is 0 of them.
        reach: [R], camera depth of one step, world units.
    """

    origins: torch.Tensor
    directions: torch.Tensor
    first: torch.Tensor
    count: torch.Tensor
    reach: torch.Tensor

    def __len__(self) -> int:
        return len(self.first)

    def select(self, chosen: torch.Tensor) -> Rays:
        """The chosen rays (indices or bool [R])."""
        return Rays(*(getattr(self, f.name)[chosen] for f in fields(self)))

    def to(self, device: str | torch.device) -> Rays:
        return Rays(*(getattr(self, f.name).to(device) for f in fields(self)))


def pixel_rays(field: Field, cameras: CameraTensors, oversample: int = 1) -> Rays:
    """Rays of all pixels of V cameras, R = V * H * W * oversample^2 in that order, on the CPU in the field's precision.

    Args:
        cameras: CameraTensors [V].
        oversample: rays per pixel and axis, at the centres of its equal parts.
    """
    w2c, fxfycxcy = (t.detach().cpu().double() for t in (cameras.w2c, cameras.fxfycxcy))
    part = (torch.arange(oversample, dtype=torch.float64) + 0.5) / oversample
    rows = (torch.arange(cameras.height)[:, None] + part).reshape(cameras.height, 1, oversample, 1)
    columns = (torch.arange(cameras.width)[:, None] + part).reshape(1, cameras.width, 1, oversample)
    fx, fy, cx, cy = (k[:, None, None, None, None] for k in fxfycxcy.unbind(-1))
    x, y = torch.broadcast_tensors((columns - cx) / fx, (rows - cy) / fy)
    local = torch.stack([x, y, torch.ones_like(x)], -1).flatten(1, 4)
    length = local.norm(dim=-1)
    directions = STEP * (local @ w2c[:, :3, :3]) / length[..., None]
    centers = (cameras.centers.detach().cpu().double() - torch.from_numpy(field.origin)) / field.voxel - 0.5
    origins = centers[:, None].expand_as(directions)
    reach = STEP * field.voxel / length.reshape(-1)
    return _trimmed(field, origins.reshape(-1, 3), directions.reshape(-1, 3), reach)


def _trimmed(field: Field, origins: torch.Tensor, directions: torch.Tensor, reach: torch.Tensor) -> Rays:
    kind = torch.float64 if field.values.dtype == torch.float64 else torch.float32
    origins, directions, reach = (t.to(kind).contiguous() for t in (origins, directions, reach))
    first, count = np.zeros(len(reach), np.int32), np.zeros(len(reach), np.int32)
    run(trim_rays, -(-len(reach) // BLOCK), field.live, origins.numpy(), directions.numpy(), first, count)
    return Rays(origins, directions, torch.from_numpy(first), torch.from_numpy(count), reach)
