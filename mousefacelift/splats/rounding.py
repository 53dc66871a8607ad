"""The visual hull without its corners: the smooth body that still fills every silhouette.

Few cameras leave a hull with ridges, where the tangent cones of neighbouring views meet, and with blocks that no view
can refute. An animal has neither. The hull is smoothed like a body of wax (curvature flow: blur the occupancy, keep
what is above one half), but wherever a silhouette would lose a pixel, the voxel of that pixel's ray that the blur likes
best is put
back: thin parts stay, ridges and blocks that explain nothing go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from mousefacelift.core.cameras import Camera, find_pixels
from mousefacelift.core.compiled import compiled
from mousefacelift.core.hull import Hull

NEARLY = 0.98  # voxels of a ray within this factor of its best are put back together


def round_hull(
    hull: Hull, masks: np.ndarray, cameras: Sequence[Camera], sigma: float, rounds: int, start: np.ndarray | None = None
) -> Hull:
    """The hull after `rounds` of smoothing.

    Args:
        masks: bool [V, H, W], the silhouettes that it was carved from.
        sigma: of the blur, voxels.
        start: bool [X, Y, Z], part of `hull` to begin with in place of all of it: what its silhouettes claim beyond it
            is filled from `hull`, nearest first, and nothing else is added.
    Returns:
        A hull inside `hull` with the same grid; the silhouettes that `hull` filled stay filled.
    """
    voxels = np.argwhere(hull.occupancy)
    pixels = np.stack([_pixel_of(camera, hull.origin + (voxels + 0.5) * hull.voxel) for camera in cameras])
    wanted = masks.reshape(len(cameras), -1)
    pad = int(np.ceil(4 * sigma)) + 1
    places = tuple((voxels + pad).T)
    kept = np.ones(len(voxels), bool) if start is None else start[tuple(voxels.T)]
    for _ in range(rounds):
        field = np.zeros(np.array(hull.occupancy.shape) + 2 * pad, np.float32)
        field[places] = kept
        value = blur(field, sigma)[places]
        now = _fill_rays(value, value > 0.5, pixels, wanted)
        if np.array_equal(now, kept):
            break
        kept = now
    occupancy = np.zeros_like(hull.occupancy)
    occupancy[tuple(voxels[kept].T)] = True
    return replace(hull, occupancy=occupancy)


def blur(field: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of a float32 volume [X, Y, Z] with nothing around it, cut off at four sigma.

    As SciPy's `gaussian_filter` (tests), which works in double precision and takes seven times as long.
    """
    radius = int(4 * sigma + 0.5)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    taps, alone = (taps / taps.sum()).astype(np.float32), np.ones(1, np.float32)

    def down(plane: np.ndarray) -> np.ndarray:
        return cv2.sepFilter2D(plane, -1, alone, taps, borderType=cv2.BORDER_CONSTANT)

    field = np.ascontiguousarray(field, np.float32)
    x, y, z = field.shape
    field = down(field.reshape(x, y * z)).reshape(x, y, z)
    field = np.stack([down(plane) for plane in field])
    return cv2.sepFilter2D(field.reshape(x * y, z), -1, taps, alone, borderType=cv2.BORDER_CONSTANT).reshape(x, y, z)


def _pixel_of(camera: Camera, points: np.ndarray) -> np.ndarray:
    """Index of the pixel [P] that each point falls in, -1 outside the picture."""
    at = find_pixels(camera, points)
    return np.where(at.inside, at.rows * camera.width + at.columns, -1)


@compiled()
def _fill_rays(value, kept, pixels, wanted):
    """`kept` [P] with the best voxels of every wanted pixel that it leaves empty, one view after the other."""
    kept = kept.copy()
    for view in range(wanted.shape[0]):
        best = np.zeros(wanted.shape[1], np.float32)
        filled = ~wanted[view]
        for index in range(value.size):
            pixel = pixels[view, index]
            if pixel >= 0:
                best[pixel] = max(best[pixel], value[index])
                if kept[index]:
                    filled[pixel] = True
        for index in range(value.size):
            pixel = pixels[view, index]
            if pixel >= 0 and not filled[pixel] and best[pixel] > 0 and value[index] >= NEARLY * best[pixel]:
                kept[index] = True
    return kept
