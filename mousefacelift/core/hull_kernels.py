"""Compiled loops of the visual hull: voxels against silhouettes, counting votes, drawing voxels."""

from __future__ import annotations

import numpy as np

from mousefacelift.core.compiled import compiled, inlined

BLOCK = 4  # voxels along the edge of a block that is looked at as a whole first
CHAMFER = 1.05  # more than the 5x5 distance transform can change per pixel of Euclidean distance (about 1.02)


@compiled(error_model="numpy")
def cast_votes(outside, w2c, fxfycxcy, origin, voxel, margin, give_up_after, seen, missed):
    """Project every voxel centre into every view and set its bits in `seen` and `missed` int64 [X, Y, Z].

    A block of voxels that lies wholly outside more than `give_up_after` silhouettes is skipped: all its bits are set in
    `missed`, so that no tolerance below that keeps any of it.

    Args:
        outside: [V, H, W] pixels to the nearest foreground pixel.
        w2c: [V, 3, 4].
        fxfycxcy: [V, 4].
        give_up_after: a voxel outside more silhouettes than this is not looked at any further.
    """
    size_x, size_y, size_z = seen.shape
    for i0 in range(0, size_x, BLOCK):
        for j0 in range(0, size_y, BLOCK):
            for k0 in range(0, size_z, BLOCK):
                i1, j1, k1 = min(i0 + BLOCK, size_x), min(j0 + BLOCK, size_y), min(k0 + BLOCK, size_z)
                if (
                    block_misses(outside, w2c, fxfycxcy, origin, voxel, margin, give_up_after, i0, j0, k0)
                    > give_up_after
                ):
                    missed[i0:i1, j0:j1, k0:k1] = -1
                    continue
                for i in range(i0, i1):
                    for j in range(j0, j1):
                        for k in range(k0, k1):
                            x, y, z = (
                                origin[0] + (i + 0.5) * voxel,
                                origin[1] + (j + 0.5) * voxel,
                                origin[2] + (k + 0.5) * voxel,
                            )
                            seen[i, j, k], missed[i, j, k] = voxel_votes(
                                outside, w2c, fxfycxcy, x, y, z, margin * voxel, give_up_after
                            )


@inlined(error_model="numpy")
def voxel_votes(outside, w2c, fxfycxcy, x, y, z, reach, give_up_after):
    """(seen bits, missed bits) of the point x, y, z; `reach` is the distance, world units, that still counts as
    inside."""
    views, height, width = outside.shape
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
        if outside[v, int(row), int(column)] > reach * fxfycxcy[v, 0] * inverse:
            missed_bits |= 1 << v
            misses += 1
            if misses > give_up_after:
                break
    return seen_bits, missed_bits


@compiled(error_model="numpy")
def block_misses(outside, w2c, fxfycxcy, origin, voxel, margin, give_up_after, i0, j0, k0):
    """In how many views (counting stops above `give_up_after`) every voxel centre of a block is certainly in frame and
    outside.

    A point within `radius` of the block's middle moves by at most f radius sqrt(1 + tan^2) / (depth - radius) pixels.
    """
    views, height, width = outside.shape
    half = 0.5 * BLOCK * voxel
    radius = np.sqrt(3.0) * half
    x, y, z = origin[0] + i0 * voxel + half, origin[1] + j0 * voxel + half, origin[2] + k0 * voxel + half
    misses = 0
    for v in range(views):
        depth = w2c[v, 2, 0] * x + w2c[v, 2, 1] * y + w2c[v, 2, 2] * z + w2c[v, 2, 3]
        if depth <= radius + 1e-6:
            continue
        a = (w2c[v, 0, 0] * x + w2c[v, 0, 1] * y + w2c[v, 0, 2] * z + w2c[v, 0, 3]) / depth
        b = (w2c[v, 1, 0] * x + w2c[v, 1, 1] * y + w2c[v, 1, 2] * z + w2c[v, 1, 3]) / depth
        column, row = fxfycxcy[v, 0] * a + fxfycxcy[v, 2], fxfycxcy[v, 1] * b + fxfycxcy[v, 3]
        nearest = 1.0 / (depth - radius)
        moved = max(fxfycxcy[v, 0], fxfycxcy[v, 1]) * radius * np.sqrt(1.0 + a * a + b * b) * nearest
        if column < moved or row < moved or column + moved >= width or row + moved >= height:
            continue
        # 1.5: both pixels are rounded down
        if outside[v, int(row), int(column)] - CHAMFER * (moved + 1.5) > margin * voxel * fxfycxcy[v, 0] * nearest:
            misses += 1
            if misses > give_up_after:
                break
    return misses


@compiled()
def count_votes(seen, missed, keep, tolerance, min_views):
    """Voxels, bool [X, Y, Z], that at least `min_views` of the views in the bit mask `keep` see and at most `tolerance`
    miss."""
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


@compiled(error_model="numpy")
def draw_squares(pixels, z, half_size, depth):
    """Lower `depth` [H, W] to the depths `z` [P] of squares at `pixels` [P, 2], half their side being half_size / z."""
    height, width = depth.shape
    for index in range(z.size):
        if z[index] <= 1e-9:
            continue
        half = half_size / z[index]
        # pixels whose centre lies in the square; a square smaller than a pixel still marks the pixel it falls in
        first_column, last_column = (
            int(np.ceil(pixels[index, 0] - half - 0.5)),
            int(np.floor(pixels[index, 0] + half - 0.5)),
        )
        first_row, last_row = int(np.ceil(pixels[index, 1] - half - 0.5)), int(np.floor(pixels[index, 1] + half - 0.5))
        if last_column < first_column:
            first_column = last_column = int(np.floor(pixels[index, 0]))
        if last_row < first_row:
            first_row = last_row = int(np.floor(pixels[index, 1]))
        for row in range(max(0, first_row), min(height - 1, last_row) + 1):
            for column in range(max(0, first_column), min(width - 1, last_column) + 1):
                depth[row, column] = min(depth[row, column], z[index])


@compiled()
def find_near(seen, missed, limit, min_views):
    """Votes counted, and the voxels that may lie on the surface of some hull.

    A voxel that no view misses, whose six neighbours no view misses either, is inside whichever view is left out.

    Returns:
        seen_count, missed_count int8 [X, Y, Z], and index int64 [P, 3] of the voxels that at most `limit` views miss
        and at least `min_views` see, without those that are inside for certain.
    """
    seen_count, missed_count = np.zeros(seen.shape, np.int8), np.zeros(seen.shape, np.int8)
    certain = np.zeros(seen.shape, np.bool_)
    for i in range(seen.shape[0]):
        for j in range(seen.shape[1]):
            for k in range(seen.shape[2]):
                missed_count[i, j, k] = count_bits(missed[i, j, k], limit + 1)
                if missed_count[i, j, k] <= limit:
                    seen_count[i, j, k] = count_bits(seen[i, j, k], 64)
                    certain[i, j, k] = missed_count[i, j, k] == 0 and seen_count[i, j, k] > min_views
    index, found = np.empty((seen.size, 3), np.int64), 0
    for i in range(seen.shape[0]):
        for j in range(seen.shape[1]):
            for k in range(seen.shape[2]):
                if seen_count[i, j, k] < min_views or _surrounded(certain, i, j, k):
                    continue
                index[found, 0], index[found, 1], index[found, 2] = i, j, k
                found += 1
    return seen_count, missed_count, index[:found].copy()


@inlined()
def _surrounded(grid, i, j, k):
    inner = 0 < i < grid.shape[0] - 1 and 0 < j < grid.shape[1] - 1 and 0 < k < grid.shape[2] - 1
    return (
        inner
        and grid[i, j, k]
        and grid[i - 1, j, k]
        and grid[i + 1, j, k]
        and grid[i, j - 1, k]
        and grid[i, j + 1, k]
        and grid[i, j, k - 1]
        and grid[i, j, k + 1]
    )


@inlined()
def count_bits(bits, most):
    """Number of set bits, counted up to `most`."""
    count = 0
    while bits and count < most:
        bits &= bits - 1
        count += 1
    return count


@compiled()
def find_surface(seen, missed, seen_count, missed_count, near, leave_out, tolerance, min_views):
    """Those of the voxels `near` int64 [P, 3] that a hull keeps and that touch, by a face, one that it does not; int64
    [Q, 3].

    Args:
        leave_out: view that has no vote; -1 for none.
    """
    surface, found = np.empty_like(near), 0
    bit = np.int64(1) << leave_out if leave_out >= 0 else np.int64(0)
    size_x, size_y, size_z = seen.shape
    for point in range(len(near)):
        x, y, z = near[point, 0], near[point, 1], near[point, 2]
        if not _kept(seen, missed, seen_count, missed_count, x, y, z, bit, tolerance, min_views):
            continue
        inside = True
        for axis in range(3):
            for step in (-1, 1):
                i, j, k = x + (axis == 0) * step, y + (axis == 1) * step, z + (axis == 2) * step
                if i < 0 or j < 0 or k < 0 or i >= size_x or j >= size_y or k >= size_z:
                    inside = False
                elif inside:
                    inside = _kept(seen, missed, seen_count, missed_count, i, j, k, bit, tolerance, min_views)
        if not inside:
            surface[found, 0], surface[found, 1], surface[found, 2] = x, y, z
            found += 1
    return surface[:found]


@inlined()
def _kept(seen, missed, seen_count, missed_count, i, j, k, bit, tolerance, min_views):
    misses = missed_count[i, j, k] - ((missed[i, j, k] & bit) != 0)
    return misses <= tolerance and seen_count[i, j, k] - ((seen[i, j, k] & bit) != 0) >= min_views


@compiled(error_model="numpy")
def cast_depth(occupancy, origin, voxel, rotation, center, fxfycxcy, depth):
    """Lower `depth` [H, W] to where the ray of the pixel's centre is half a voxel into the body.

    The ray goes from voxel to voxel (Amanatides and Woo 1987), so no gap between voxels is ever seen.

    Args:
        rotation, center: of the camera, w2c and world.
    """
    size = np.array(occupancy.shape)
    height, width = depth.shape
    start = (center - origin) / voxel
    step, cell = np.empty(3, np.int64), np.empty(3, np.int64)
    ray, reach, stride = np.empty(3), np.empty(3), np.empty(3)
    for row in range(height):
        for column in range(width):
            a = (column + 0.5 - fxfycxcy[2]) / fxfycxcy[0]
            b = (row + 0.5 - fxfycxcy[3]) / fxfycxcy[1]
            near, far = 0.0, np.inf
            for k in range(3):  # per unit of camera depth, so the parameter of the ray is the depth in voxels
                ray[k] = rotation[0, k] * a + rotation[1, k] * b + rotation[2, k]
                if abs(ray[k]) < 1e-12:
                    ray[k] = 1e-12
                first, last = -start[k] / ray[k], (size[k] - start[k]) / ray[k]
                near, far = max(near, min(first, last)), min(far, max(first, last))
            if near >= far:
                continue
            for k in range(3):
                at = start[k] + near * ray[k]
                cell[k] = min(max(int(np.floor(at)), 0), size[k] - 1)
                step[k] = 1 if ray[k] > 0 else -1
                stride[k] = abs(1 / ray[k])
                reach[k] = (cell[k] + (1 if step[k] > 0 else 0) - start[k]) / ray[k]
            here = near
            while True:
                if occupancy[cell[0], cell[1], cell[2]]:
                    depth[row, column] = min(depth[row, column], (here + 0.5) * voxel)
                    break
                axis = 0 if reach[0] < reach[1] else 1
                axis = axis if reach[axis] < reach[2] else 2
                here = reach[axis]
                cell[axis] += step[axis]
                reach[axis] += stride[axis]
                if cell[axis] < 0 or cell[axis] >= size[axis]:
                    break
