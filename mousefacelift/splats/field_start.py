"""Where the fit of a field starts: solid inside the rounded hull, thinning out at its surface, in visible colours."""

from __future__ import annotations

import numpy as np
import torch

from mousefacelift.core.field import Field, empty_values
from mousefacelift.core.hull import Hull
from mousefacelift.splats.config import FieldConfig
from mousefacelift.splats.frames import FrameViews
from mousefacelift.splats.start import visible_colors


def start_field(frame: FrameViews, hull: Hull, config: FieldConfig) -> Field:
    """The field of a frame before its first step, on the voxels within `config.reach` of the hull.

    The raw density grows by `slope` per voxel with the distance to the surface, inwards; every voxel has the colour of
    the nearest point of the shell as the views see it.
    """
    from scipy.ndimage import distance_transform_edt  # as in `start`

    pad = int(np.ceil(config.reach)) + 1
    index = np.argwhere(hull.occupancy)
    low = index.min(0)
    occupied = np.pad(hull.occupancy[tuple(map(slice, low, index.max(0) + 1))], pad)
    origin = hull.origin + (low - pad) * hull.voxel
    distance = distance_transform_edt(occupied) - distance_transform_edt(~occupied)
    signed = distance - 0.5 * np.sign(distance)  # from centres of voxels to the face between them
    shell = Hull(occupied, origin, hull.voxel).surface()
    points = origin + (np.argwhere(shell) + 0.5) * hull.voxel
    colors = np.zeros((*shell.shape, 3), np.float32)
    colors[shell] = visible_colors(frame, hull, points)
    nearest = distance_transform_edt(~shell, return_distances=False, return_indices=True)
    active = signed >= -config.reach
    values = empty_values(active.shape)
    density = np.clip(config.slope * signed + config.offset, *config.start_range)
    values[active] = np.concatenate([density[..., None], colors[tuple(nearest)]], -1)[active]
    return Field(torch.from_numpy(values), active, origin, hull.voxel)
