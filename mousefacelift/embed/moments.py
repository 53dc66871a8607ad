"""Moments of a splat: a vector of its shape that does not change when it is turned about z, moved or scaled.

For models without a shape code. The body's mass (opacity times area) is spread over rings around its vertical axis and
layers of height; of every such ring the amplitudes of its first Fourier orders over azimuth are kept. A turn about z
changes phases only, so nothing has to find the heading.
"""

from __future__ import annotations

import numpy as np
import torch

from mousefacelift.core.gaussians import Gaussians
from mousefacelift.errors import DataError

RINGS = (0.4, 0.9, 1.5, 2.2)  # radii, in units of the RMS distance from the middle
LAYERS = (-0.9, -0.3, 0.3, 0.9)  # heights from the middle, same unit
WIDTH = 0.45  # standard deviation of the soft bins, same unit
ORDERS = 4  # Fourier orders 0 to 3 over azimuth
SIZE = len(RINGS) * len(LAYERS) * ORDERS


def splat_moments(gaussians: Gaussians) -> np.ndarray:
    """[SIZE] float64 of Gaussians [N].

    Raises:
        DataError: nothing visible.
    """
    weight = gaussians.opacities * gaussians.scales.sort(-1).values[:, 1:].prod(-1)
    mass = weight.detach().cpu().double()
    if not float(mass.sum()) > 0:
        raise DataError("a splat shows nothing and has no shape", got=f"{gaussians.count} Gaussians of no mass")
    mass = mass / mass.sum()
    points = gaussians.means.detach().cpu().double()
    points = points - mass @ points
    points = points / (mass @ points.square().sum(1)).sqrt().clamp_min(1e-12)
    radius, azimuth = points[:, :2].norm(dim=1), torch.atan2(points[:, 1], points[:, 0])

    def soft(values: torch.Tensor, centers: tuple[float, ...]) -> torch.Tensor:
        near = torch.exp(-0.5 * ((values[:, None] - torch.tensor(centers, dtype=torch.float64)) / WIDTH).square())
        return near / near.sum(1, keepdim=True).clamp_min(1e-12)

    waves = torch.polar(
        torch.ones(ORDERS, len(points), dtype=torch.float64), torch.outer(torch.arange(ORDERS), azimuth)
    )
    bins = torch.einsum("n,nr,nl->nrl", mass, soft(radius, RINGS), soft(points[:, 2], LAYERS)).to(waves.dtype)
    return torch.einsum("on,nrl->rlo", waves, bins).abs().flatten().numpy()
