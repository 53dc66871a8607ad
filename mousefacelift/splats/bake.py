"""A field as Gaussians: disks on its surface, for viewers, exports and libraries, and as the start of a splat's fit."""

from __future__ import annotations

import numpy as np

from mousefacelift.core.field import Field
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.hull import Hull
from mousefacelift.errors import DataError
from mousefacelift.splats.start import disks, shell_disks

OPACITY = 0.9
RADIUS = 0.4  # voxels, standard deviation of a disk: one stands on every voxel of the surface
SUNK = 0.5  # voxels under the surface: a disk reaches out beyond its middle, and renderers widen it


def bake_field(field: Field) -> Gaussians:
    """A disk for every voxel of the surface, which is where the raw density is 0, half the light lost in two voxels.

    Raises:
        DataError: nothing of the field is solid.
    """
    hull, colors = field_shell(field)
    index = np.argwhere(hull.surface())
    density = field.values[..., 0].detach().cpu().numpy()
    slope = np.stack(np.gradient(density), -1)[tuple(index.T)]
    steepness = np.maximum(np.linalg.norm(slope, axis=1), 1e-6)
    inward = slope / steepness[:, None]
    depth = np.clip(density[tuple(index.T)] / steepness, 0.0, 1.0)  # voxels from the surface to the voxel's centre
    points = hull.surface_points() + (SUNK - depth)[:, None] * inward * field.voxel
    return disks(points, inward, np.full(len(points), RADIUS * field.voxel), OPACITY, colors)


def field_start(field: Field, count: int, rng: np.random.Generator) -> Gaussians:
    """`count` Gaussians on the field's surface, as a fit starts from them."""
    hull, colors = field_shell(field)
    return shell_disks(hull, colors, count, rng)


def field_shell(field: Field) -> tuple[Hull, np.ndarray]:
    """The solid voxels of a field (raw density above 0) and the colours [P, 3] of their surface points."""
    values = field.values.detach().cpu().numpy()
    hull = Hull(values[..., 0] > 0, field.origin, field.voxel)
    if hull.empty:
        raise DataError(
            "the field holds nothing solid",
            got=f"a largest raw density of {values[..., 0].max():.2f}",
            expected="voxels above 0",
            likely="cameras and images that do not belong together",
            hint="mousefacelift capture audit",
        )
    return hull, values[hull.surface()][:, 1:]
