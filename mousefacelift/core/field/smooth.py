"""The gradient that keeps a field smooth, and that of voxels which are not active put away."""

from __future__ import annotations

import torch

from mousefacelift.core.field.container import Field
from mousefacelift.core.field.kernels import smoothness_gradient
from mousefacelift.core.render.jit import run


def smoothness(field: Field, weights: torch.Tensor) -> torch.Tensor:
    """Gradient [X, Y, Z, 4] of sum_c weights[c] times the sum of squared differences between active neighbours.

    Args:
        weights: [4], of the raw density and of rgb.
    """
    if field.values.is_cuda:
        return _dense(field, weights)
    out = torch.empty_like(field.values)
    arrays = (field.values.detach().numpy(), field.active, weights.numpy(), out.numpy())
    run(smoothness_gradient, len(field.active), *arrays)
    return out


def _dense(field: Field, weights: torch.Tensor) -> torch.Tensor:
    values, active = field.values.detach(), torch.from_numpy(field.active).to(field.values.device)
    out = torch.zeros_like(values)
    for axis in range(3):
        size = active.shape[axis] - 1
        one, two = ((values.narrow(axis, at, size), active.narrow(axis, at, size)) for at in (0, 1))
        difference = (two[0] - one[0]) * (one[1] & two[1])[..., None]
        out.narrow(axis, 1, size).add_(difference)
        out.narrow(axis, 0, size).sub_(difference)
    return 2 * out * weights.to(values)


def count_pairs(active) -> int:
    """Number of neighbouring pairs of active voxels."""
    return sum(int((active.swapaxes(0, a)[1:] & active.swapaxes(0, a)[:-1]).sum()) for a in range(3))
