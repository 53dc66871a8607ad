"""The march along rays in plain torch: what CUDA tensors take, and the kernels' twin in double precision.

Every sample of every ray is a row of a padded array; gradients come from autograd.
"""

from __future__ import annotations

import numpy as np
import torch

from mousefacelift.core.field.kernels import STEP, STOP
from mousefacelift.core.field.rays import Rays


def march_dense(values: torch.Tensor, live: np.ndarray, rays: Rays) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """rgb [R, 3] over black, alpha [R] and weighted depth [R], see `march`."""
    longest = int(rays.count.max()) if len(rays) else 0
    number = torch.arange(longest, device=values.device)
    at = (rays.first[:, None] + number).to(values.dtype) + 0.5
    points = rays.origins[:, None] + at[..., None] * rays.directions[:, None]
    base = points.floor().long().clamp_min(0)
    base = torch.minimum(base, torch.tensor(live.shape, device=base.device) - 1)
    cells = (base[..., 0] * live.shape[1] + base[..., 1]) * live.shape[2] + base[..., 2]
    used = torch.from_numpy(live).to(values.device).reshape(-1)[cells].bool() & (number < rays.count[:, None])
    sample = _interpolate(values, live.shape, cells, points - base, used)
    passed = torch.where(used, torch.exp(-STEP * torch.nn.functional.softplus(sample[..., 0])), 1.0)
    through = passed.cumprod(1)
    before = torch.cat([torch.ones_like(through[:, :1]), through[:, :-1]], 1)
    weight = (before - through) * (before >= STOP)
    return (weight[..., None] * sample[..., 1:]).sum(1), weight.sum(1), (weight * at).sum(1) * rays.reach


def _interpolate(values, shape, cells, offset, used) -> torch.Tensor:
    """The four values [R, S, 4] between the eight centres around each cell; 0 for cells that are not used."""
    flat, cells, total = values.reshape(-1, 4), torch.where(used, cells, 0), 0.0
    for corner in np.ndindex(2, 2, 2):
        weight = torch.ones_like(offset[..., 0])
        for axis in range(3):
            weight = weight * (offset[..., axis] if corner[axis] else 1 - offset[..., axis])
        step = (corner[0] * shape[1] + corner[1]) * shape[2] + corner[2]
        total = total + weight[..., None] * flat[cells + step]
    return torch.where(used[..., None], total, 0.0)
