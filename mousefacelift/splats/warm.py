"""Start a frame from the splat of the one before: drop what the new silhouettes exclude, seed what they uncover."""

from __future__ import annotations

import numpy as np
import torch

from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.hull import Hull
from mousefacelift.splats.frames import FrameViews
from mousefacelift.splats.start import hull_start

OUTSIDE = 1.5  # voxels from the hull at which a Gaussian no longer belongs to it
UNCOVERED = 2.0  # voxels from the nearest kept Gaussian at which the shell needs a new one
OPACITY_RANGE = (0.1, 0.9)  # saturated Gaussians would not move


def warm_start(before: Gaussians, frame: FrameViews, hull: Hull, rng: np.random.Generator) -> Gaussians:
    """As many Gaussians as `before`, those outside the new hull replaced by fresh ones on its uncovered shell."""
    from scipy.spatial import cKDTree  # as in `start`

    means = before.means.numpy().astype(np.float64)
    keep = cKDTree(hull.points()).query(means)[0] <= OUTSIDE * hull.voxel
    missing = int((~keep).sum())
    if missing == 0 or not keep.any():
        return before if missing == 0 else hull_start(frame, hull, len(means), rng)
    fresh = hull_start(frame, hull, max(8 * missing, 256), rng)
    distance = cKDTree(means[keep]).query(fresh.means.numpy())[0]
    uncovered = np.flatnonzero(distance > UNCOVERED * hull.voxel)
    rest = np.flatnonzero(distance <= UNCOVERED * hull.voxel)
    order = np.concatenate([rng.permutation(uncovered), rng.permutation(rest)])[:missing]
    kept, new = before.select(torch.from_numpy(keep)), fresh.select(torch.from_numpy(order))
    fields = ("means", "quats", "scales", "opacities", "sh")
    joined = {name: torch.cat([getattr(kept, name), getattr(new, name)]) for name in fields}
    joined["opacities"] = joined["opacities"].clamp(*OPACITY_RANGE)
    return Gaussians(**joined)
