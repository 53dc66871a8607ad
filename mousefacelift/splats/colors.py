"""What the cameras of a frame disagree about in colour: exposures and white balances differ, the animal does not.

The colours of a real rig's cameras differ by 0.06 to 0.08 of full range. A fit that takes them as they are paints every
side of the animal as the camera there sees it and spends Gaussians on the seams.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mousefacelift.core.cameras import find_pixels
from mousefacelift.core.hull import Hull
from mousefacelift.splats.frames import FrameViews

VISIBLE_WITHIN = 2.5  # voxels behind the nearest surface at which a point still counts as visible
INSIDE = 0.9  # alpha from which a pixel shows the animal alone
RIDGE = 0.02  # of the mean weight of a camera: cameras that share next to nothing stay as they are
LARGEST = 0.1  # offset that is believed; real ones are smaller
ROUNDS = 6
SMALL = 0.01  # difference below which one counts by its square


def camera_offsets(frame: FrameViews, hull: Hull, depths: Sequence[np.ndarray]) -> np.ndarray:
    """By how much each camera's red, green and blue lie above what all of them see, [V, 3], zero in the mean.

    Solved over the surface points that two or more cameras see: what a point's colour in one camera is above its mean
    over these cameras is what that camera's offset is above the mean of theirs.

    Args:
        depths: [H, W] of the hull in every camera.
    """
    points, colors, sees = hull.surface_points(), [], []
    for rgba, camera, depth in zip(frame.rgba, frame.cameras, depths, strict=True):
        row, column, inside, z = find_pixels(camera, points)
        sample = rgba[row, column]
        colors.append(sample[:, :3])
        sees.append(inside & (sample[:, 3] > INSIDE) & (z <= depth[row, column] + VISIBLE_WITHIN * hull.voxel))
    seen = np.stack(sees, 1)
    shared = seen.sum(1) >= 2
    color = np.stack(colors, 1)[shared].astype(np.float64)
    offsets = np.stack([_solve(seen[shared], color[..., channel]) for channel in range(3)], 1)
    return np.clip(offsets - offsets.mean(0), -LARGEST, LARGEST).astype(np.float32)


def _solve(seen: np.ndarray, color: np.ndarray) -> np.ndarray:
    """Offsets [V] of one channel from the colours [P, V] of points in the cameras that see them, bool [P, V].

    Points where a camera sees another part of the coat than the others are many and far off: absolute differences are
    minimised, by squares that are weighted anew.
    """
    offsets, weights = np.zeros(seen.shape[1]), seen.astype(np.float64)
    for _ in range(ROUNDS):
        total = np.maximum(weights.sum(1, keepdims=True), 1e-9)
        above = color - (color * weights).sum(1, keepdims=True) / total
        normal = np.diag(weights.sum(0)) - (weights / total).T @ weights
        ridge = RIDGE * max(np.trace(normal) / len(normal), 1.0)
        offsets = np.linalg.solve(normal + ridge * np.eye(len(normal)), (above * weights).sum(0))
        left = color - offsets
        left -= (left * weights).sum(1, keepdims=True) / total
        weights = seen / np.maximum(np.abs(left), SMALL)
    return offsets
