"""Compiled loops of the visual hull: voxels against silhouettes, counting votes, drawing voxels."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True, error_model="numpy")
def cast_votes(outside, w2c, fxfycxcy, origin, voxel, margin, give_up_after, seen, missed):
    """Project every voxel centre into every view and set its bits in `seen` and `missed` int64 [X, Y, Z].

    Args:
        outside: [V, H, W] pixels to the nearest foreground pixel.
        w2c: [V, 3, 4].
        fxfycxcy: [V, 4].
        give_up_after: a voxel outside more silhouettes than this is not looked at any further.
    """
    views, height, width = outside.shape
    for i in range(seen.shape[0]):
        x = origin[0] + (i + 0.5) * voxel
        for j in range(seen.shape[1]):
            y = origin[1] + (j + 0.5) * voxel
            for k in range(seen.shape[2]):
                z = origin[2] + (k + 0.5) * voxel
                seen_bits, missed_bits, misses = 0, 0, 0
                for v in range(views):
                    depth = w2c[v, 2, 0] * x + w2c[v, 2, 1] * y + w2c[v, 2, 2] * z + w2c[v, 2, 3]
                    if depth <= 1e-9:
                        continue
                    inverse = 1.0 / depth
                    a = w2c[v, 0, 0] * x + w2c[v, 0, 1] * y + w2c[v, 0, 2] * z + w2c[v, 0, 3]
                    b = w2c[v, 1, 0] * x + w2c[v, 1, 1] * y + w2c[v, 1, 2] * z + w2c[v, 1, 3]
                    column = fxfycxcy[v, 0] * a * inverse + fxfycxcy[v, 2]
                    row = fxfycxcy[v, 1] * b * inverse + fxfycxcy[v, 3]
                    if column < 0.0 or row < 0.0 or column >= width or row >= height:
                        continue
                    seen_bits |= 1 << v
                    if outside[v, int(row), int(column)] > margin * voxel * fxfycxcy[v, 0] * inverse:
                        missed_bits |= 1 << v
                        misses += 1
                        if misses > give_up_after:
                            break
                seen[i, j, k] = seen_bits
                missed[i, j, k] = missed_bits


@numba.njit(cache=True, nogil=True)
def count_votes(seen, missed, keep, tolerance, min_views):
    """Voxels, bool [X, Y, Z], that at least `min_views` of the views in the bit mask `keep` see and at most `tolerance` miss."""
    occupied = np.zeros(seen.shape, np.bool_)
    flat_seen, flat_missed, flat = seen.ravel(), missed.ravel(), occupied.ravel()
    for index in range(flat_seen.size):
        bits, views = flat_seen[index] & keep, 0
        while bits:
            bits &= bits - 1
            views += 1
        if views < min_views:
            continue
        bits, misses = flat_missed[index] & keep, 0
        while bits:
            bits &= bits - 1
            misses += 1
        flat[index] = misses <= tolerance
    return occupied


@numba.njit(cache=True, nogil=True, error_model="numpy")
def draw_squares(pixels, z, half_size, depth):
    """Lower `depth` [H, W] to the depths `z` [P] of squares at `pixels` [P, 2], half their side being half_size / z."""
    height, width = depth.shape
    for index in range(z.size):
        if z[index] <= 1e-9:
            continue
        half = half_size / z[index]
        # pixels whose centre lies in the square; a square smaller than a pixel still marks the pixel it falls in
        first_column, last_column = int(np.ceil(pixels[index, 0] - half - 0.5)), int(np.floor(pixels[index, 0] + half - 0.5))
        first_row, last_row = int(np.ceil(pixels[index, 1] - half - 0.5)), int(np.floor(pixels[index, 1] + half - 0.5))
        if last_column < first_column:
            first_column = last_column = int(np.floor(pixels[index, 0]))
        if last_row < first_row:
            first_row = last_row = int(np.floor(pixels[index, 1]))
        for row in range(max(0, first_row), min(height - 1, last_row) + 1):
            for column in range(max(0, first_column), min(width - 1, last_column) + 1):
                depth[row, column] = min(depth[row, column], z[index])
