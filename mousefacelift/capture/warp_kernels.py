"""Compiled parts of the warp: where pixel corners come from, and the resampling of one row at a time.

Of the source only the part that the output can see is read. Neighbouring pixels are packed into one number (luma and
mask of two columns, both chroma planes of two columns), so that a bilinear sample of all four planes takes four reads;
the loops over pixels have no branches and are vectorised by the compiler.
"""

from __future__ import annotations

import numpy as np

from mousefacelift.capture.lens import distort_point, undistort_points
from mousefacelift.core.compiled import compiled, inlined

UNSEEN = np.float32(-1e9)
BLOCK = 8  # px of the source; blocks without mask send nothing
CHUNK = 256  # pixels sampled together
C1, C2, C3, C4, C5, C6, C7 = (np.uintp(k * CHUNK) for k in range(1, 8))
ONE, ZERO = np.float32(1.0), np.float32(0.0)
HALF, QUARTER, BEFORE_END = np.float32(0.5), np.float32(0.25), np.float32(1.001)


@compiled(error_model="numpy")
def reach(place, lens, rotation, fxfycxcy):
    """Smallest and largest new pixel [2], [2] of the border of old pixels (x, y, w, h), two pixels further out; NaN
    where too little of it is seen to tell."""
    steps = 9
    border = np.empty((4 * steps, 2))
    left, top, width, height = place[0] - 2, place[1] - 2, place[2] + 4, place[3] + 4
    for k in range(steps):
        u, v = left + width * k / (steps - 1), top + height * k / (steps - 1)
        for row, x, y in ((0, u, top), (1, u, top + height), (2, left, v), (3, left + width, v)):
            border[4 * k + row, 0], border[4 * k + row, 1] = x, y  # numba takes 1.6 s to compile rows as tuples
    plane = undistort_points(border, lens)
    low, high, seen = np.full(2, np.inf), np.full(2, -np.inf), 0
    for k in range(len(plane)):
        x, y = plane[k, 0], plane[k, 1]
        if not (np.isfinite(x) and np.isfinite(y)):
            continue
        z = x * rotation[0, 2] + y * rotation[1, 2] + rotation[2, 2]
        if z <= 1e-6:
            seen = -len(plane)
        seen += 1
        for c in range(2):
            ray = x * rotation[0, c] + y * rotation[1, c] + rotation[2, c]
            pixel = ray / z * fxfycxcy[c] + fxfycxcy[2 + c]
            low[c], high[c] = min(low[c], pixel), max(high[c], pixel)
    if seen < 8:
        low[:], high[:] = np.nan, np.nan
    return low, high


@compiled(error_model="numpy")
def find_corners(x0, y0, rotation, fxfycxcy, lens, radius2, us, vs):
    """Old pixels (us, vs [rows, columns]) of the new pixel corners from (x0, y0) on; UNSEEN where the old lens does not
    see."""
    p = (
        lens[0],
        lens[1],
        lens[2],
        lens[3],
        lens[4],
        lens[5],
        lens[6],
        lens[7],
        lens[8],
        lens[9],
        lens[10],
        lens[11],
        lens[12],
        lens[13],
    )
    r00, r01, r02 = rotation[0, 0], rotation[0, 1], rotation[0, 2]
    r10, r11, r12 = rotation[1, 0], rotation[1, 1], rotation[1, 2]
    r20, r21, r22 = rotation[2, 0], rotation[2, 1], rotation[2, 2]
    fx, fy, cx, cy = fxfycxcy[0], fxfycxcy[1], fxfycxcy[2], fxfycxcy[3]
    for j in range(us.shape[0]):
        yn = (y0 + j - cy) / fy
        for k in range(us.shape[1]):
            xn = (x0 + k - cx) / fx
            z = r20 * xn + r21 * yn + r22
            x = (r00 * xn + r01 * yn + r02) / z
            y = (r10 * xn + r11 * yn + r12) / z
            u, v = distort_point(x, y, p)
            seen = (z > 1e-9) & (x * x + y * y <= radius2)
            us[j, k] = np.float32(u) if seen else UNSEEN
            vs[j, k] = np.float32(v) if seen else UNSEEN


@compiled()
def pack_pairs(first, second):
    """uint32 [h, w - 1] of uint8 [h, w]: bytes first, second of column c, then first, second of column c + 1."""
    height, width = first.shape
    out = np.empty((height, width - 1), np.uint32)
    for r in range(height):
        for c in range(width - 1):
            out[r, c] = (
                np.uint32(first[r, c])
                | (np.uint32(second[r, c]) << np.uint32(8))
                | (np.uint32(first[r, c + 1]) << np.uint32(16))
                | (np.uint32(second[r, c + 1]) << np.uint32(24))
            )
    return out


@compiled()
def find_blocks(mask, low):
    """uint8 [ceil(h / BLOCK), ceil(w / BLOCK)]: whether a pixel of the block of mask [h, w] is above `low`."""
    height, width = mask.shape
    out = np.zeros(((height + BLOCK - 1) // BLOCK, (width + BLOCK - 1) // BLOCK), np.uint8)
    for r in range(height):
        for c in range(width):
            if mask[r, c] > low:
                out[r // BLOCK, c // BLOCK] = 1
    return out


@compiled(fastmath=True, error_model="numpy")
def _find_active(upper_u, upper_v, lower_u, lower_v, blocks, active):
    """Columns of a row whose pixel's footprint, a pixel wider than it is, meets a block with mask; their number."""
    rows, columns = blocks.shape
    count = 0
    for i in range(len(upper_u) - 1):
        a, b, c, d = upper_u[i], upper_u[i + 1], lower_u[i], lower_u[i + 1]
        left, right = min(min(a, b), min(c, d)), max(max(a, b), max(c, d))
        if left < np.float32(-1e8):
            continue
        a, b, c, d = upper_v[i], upper_v[i + 1], lower_v[i], lower_v[i + 1]
        top, bottom = min(min(a, b), min(c, d)), max(max(a, b), max(c, d))
        c0, c1 = max(0, int(left - 2) // BLOCK), min(columns - 1, int(right + 2) // BLOCK)
        r0, r1 = max(0, int(top - 2) // BLOCK), min(rows - 1, int(bottom + 2) // BLOCK)
        found = False
        for r in range(r0, r1 + 1):
            for c in range(c0, c1 + 1):
                found |= blocks[r, c] > 0
        if found:
            active[count] = i
            count += 1
    return count


@compiled(fastmath=True, error_model="numpy")
def warp_rows(us, vs, luma_mask, chroma, blocks, bounds, low, gain, to_rgb, samples, x0, y0, out):
    """Fill out[y0.., x0..] from packed planes; the lens is exact at pixel corners, inside a pixel the map is linear to
    1e-4 px.

    Args:
        us, vs: float32 [rows + 1, columns + 1] corners in the source's part, whose pixel centres lie at whole numbers.
        luma_mask, chroma: uint32 of `pack_pairs`, a column narrower than the part.
        blocks: of `find_blocks`.
        bounds: float32 [4], what lies beyond is no picture (left, top, right, bottom; of the same coordinates).
        low, gain: mask level at which coverage begins, and coverage per level.
        to_rgb: of the `Picture`.
        samples: rays along each edge of a pixel.
    """
    columns = us.shape[1] - 1
    active, targets = np.empty(columns, np.int64), np.empty((CHUNK, 2), np.int64)
    maps, sums = np.empty(8 * CHUNK, np.float32), np.empty(4 * CHUNK, np.float32)
    n = np.int64(0)  # of a plain 0 numba compiles the kernels below once more, for n = 0
    for j in range(us.shape[0] - 1):
        count = _find_active(us[j], vs[j], us[j + 1], vs[j + 1], blocks, active)
        for k in range(count):
            i = active[k]
            _set_map(maps[n:], us[j, i], us[j, i + 1], us[j + 1, i], us[j + 1, i + 1])
            _set_map(maps[4 * CHUNK + n :], vs[j, i], vs[j, i + 1], vs[j + 1, i], vs[j + 1, i + 1])
            targets[n, 0], targets[n, 1] = y0 + j, x0 + i
            n += 1
            if n == CHUNK:
                _sample_pixels(n, samples, maps, luma_mask, chroma, bounds, low, gain, sums)
                _write_pixels(n, targets, sums, samples, to_rgb, out)
                n = np.int64(0)
    _sample_pixels(n, samples, maps, luma_mask, chroma, bounds, low, gain, sums)
    _write_pixels(n, targets, sums, samples, to_rgb, out)


@inlined(fastmath=True)
def _set_map(column, a, b, c, d):
    """Coefficients of 1, q, p, pq of the map of a pixel from its upper left, upper right, lower left, lower right
    corner."""
    column[0], column[CHUNK], column[2 * CHUNK], column[3 * CHUNK] = a, c - a, b - a, d - c - b + a


@compiled(fastmath=True, error_model="numpy")
def _sample_pixels(n, samples, maps, luma_mask, chroma, bounds, low, gain, sums):
    """Sums of coverage and of luma, blue and red by coverage over the rays of n pixels.

    What the compiler can vectorise (places, then weights and sums) is kept apart from what it cannot (the reads); all
    numbers of one kind lie in one array, in which it knows that they do not overlap.
    """
    places, quads = np.empty(2 * CHUNK, np.int32), np.empty(4 * CHUNK, np.uint32)
    parts = np.empty(5 * CHUNK, np.float32)
    fine, coarse = luma_mask.ravel(), chroma.ravel()
    width, chroma_width = luma_mask.shape[1], chroma.shape[1]
    sums[:] = ZERO
    step = ONE / np.float32(samples)
    for b in range(samples):
        for a in range(samples):
            p, q = (np.float32(a) + HALF) * step, (np.float32(b) + HALF) * step
            _place_rays(n, p, q, maps, bounds, luma_mask.shape, chroma.shape, places, parts)
            for k in range(n):
                here, half = places[k], places[CHUNK + k]
                quads[k], quads[CHUNK + k] = fine[here], fine[here + width]
                quads[2 * CHUNK + k], quads[3 * CHUNK + k] = coarse[half], coarse[half + chroma_width]
            _add_rays(n, quads, parts, low, gain, sums)


@compiled(fastmath=True, error_model="numpy")
def _place_rays(n, p, q, maps, bounds, shape, chroma_shape, places, parts):
    """Where the rays (p, q) of n pixels meet the fine and the coarse planes: places of their upper left neighbours,
    shares of the right and lower ones, and 1 where there is a picture, else 0."""
    left, top, right, bottom = bounds[0], bounds[1], bounds[2], bounds[3]
    height, width = np.int32(shape[0]), np.int32(shape[1])
    chroma_height, chroma_width = np.int32(chroma_shape[0]), np.int32(chroma_shape[1])
    x_end, y_end = np.float32(width + 1) - BEFORE_END, np.float32(height) - BEFORE_END
    cx_end, cy_end = np.float32(chroma_width + 1) - BEFORE_END, np.float32(chroma_height) - BEFORE_END
    for k in range(n):
        i = np.uintp(k)
        u = maps[i] + q * maps[i + C1] + p * (maps[i + C2] + q * maps[i + C3])
        v = maps[i + C4] + q * maps[i + C5] + p * (maps[i + C6] + q * maps[i + C7])
        x, y = min(max(u, ZERO), x_end), min(max(v, ZERO), y_end)
        c, r = np.int32(x), np.int32(y)
        parts[i], parts[i + C1] = x - np.float32(c), y - np.float32(r)
        places[i] = r * width + c
        x, y = min(max(HALF * u - QUARTER, ZERO), cx_end), min(max(HALF * v - QUARTER, ZERO), cy_end)
        c, r = np.int32(x), np.int32(y)
        parts[i + C2], parts[i + C3] = x - np.float32(c), y - np.float32(r)
        places[i + C1] = r * chroma_width + c
        parts[i + C4] = ONE if (u > left) & (v > top) & (u < right) & (v < bottom) else ZERO


@compiled(fastmath=True, error_model="numpy")
def _add_rays(n, quads, parts, low, gain, sums):
    """Add coverage, and luma, blue and red by coverage, of one ray of n pixels."""
    for k in range(n):
        i = np.uintp(k)
        t, d, fx, fy = quads[i], quads[i + C1], parts[i], parts[i + C1]
        grey = _mix(_byte(t, 8), _byte(t, 24), _byte(d, 8), _byte(d, 24), fx, fy)
        m = min(max((grey - low) * gain, ZERO), ONE) * parts[i + C4]
        sums[i] += m
        sums[i + C1] += m * _mix(_byte(t, 0), _byte(t, 16), _byte(d, 0), _byte(d, 16), fx, fy)
        t, d, fx, fy = quads[i + C2], quads[i + C3], parts[i + C2], parts[i + C3]
        sums[i + C2] += m * _mix(_byte(t, 0), _byte(t, 16), _byte(d, 0), _byte(d, 16), fx, fy)
        sums[i + C3] += m * _mix(_byte(t, 8), _byte(t, 24), _byte(d, 8), _byte(d, 24), fx, fy)


@inlined()
def _byte(packed, shift):
    return np.float32(np.int32((packed >> np.uint32(shift)) & np.uint32(255)))


@inlined(fastmath=True)
def _mix(a, b, c, d, fx, fy):
    top, bottom = a + fx * (b - a), c + fx * (d - c)
    return top + fy * (bottom - top)


@compiled(fastmath=True, error_model="numpy")
def _write_pixels(n, targets, sums, samples, to_rgb, out):
    """Straight colours and alpha of n pixels."""
    y_low, y_gain, c_gain = to_rgb[0], to_rgb[1], to_rgb[2]
    red_v, green_u, green_v, blue_u = to_rgb[3], to_rgb[4], to_rgb[5], to_rgb[6]
    for k in range(n):
        weight = sums[k]
        alpha = 255.0 * weight / samples**2
        if alpha < 0.5:
            continue
        luma = (sums[CHUNK + k] / weight - y_low) * y_gain
        cb = (sums[2 * CHUNK + k] / weight - 128.0) * c_gain
        cr = (sums[3 * CHUNK + k] / weight - 128.0) * c_gain
        pixel = out[targets[k, 0], targets[k, 1]]
        pixel[0] = np.uint8(min(max(luma + red_v * cr, 0.0), 255.0) + 0.5)
        pixel[1] = np.uint8(min(max(luma - green_u * cb - green_v * cr, 0.0), 255.0) + 0.5)
        pixel[2] = np.uint8(min(max(luma + blue_u * cb, 0.0), 255.0) + 0.5)
        pixel[3] = np.uint8(min(alpha, 255.0) + 0.5)
