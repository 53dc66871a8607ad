"""Kernels of the per-pixel half: blend each 8 x 8 tile front to back, and the same walk again for the gradients.

A tile is four 4 x 4 blocks of 16 lanes (left and right, upper and lower); all of its state lives in registers. Images
are planes of [S * V, channels, H, W] with H and W rounded up to whole tiles. The backward walk also goes front to back
with the same decisions as the forward one: it carries what is still to come of (dL/dpixel . pixel), so nothing but the
images has to be kept. Sums over pixels go to one private slot per Gaussian and band of 16 rows: no atomics, one order
of summation.
"""

from __future__ import annotations

from mousefacelift.core.render.bins import BAND
from mousefacelift.core.render.jit import inlined, kernel, take_ticket
from mousefacelift.core.render.project import TILE
from mousefacelift.core.render.simd import (
    LANES,
    any_lane,
    block_columns,
    block_rows,
    exp2,
    fill,
    fma,
    fnma,
    get,
    load,
    load_block,
    minimum,
    select,
    store,
    store_block,
    sum_each,
)

HALF = TILE // 2
CLEAR = 1 << 16


@inlined
def _exponents(records, at, left, upper):
    """log2(alpha) of one Gaussian in the four blocks, and its offsets (right and left dx, upper and lower dy).

    left: pixel centres [16] relative to the tile's left edge plus that edge; upper likewise for rows.
    """
    x0, y0 = left - get(records, at), upper - get(records, at + 1)
    x1, y1 = x0 + HALF, y0 + HALF
    a, b, c, top = get(records, at + 2), get(records, at + 3), get(records, at + 4), get(records, at + 5)
    ax0, ax1, by0, by1 = x0 * a, x1 * a, y0 * b, y1 * b
    cy0, cy1 = fnma(y0 * c, y0, top), fnma(y1 * c, y1, top)
    return (
        (fnma(x0, ax0 + by0, cy0), fnma(x1, ax1 + by0, cy0), fnma(x0, ax0 + by1, cy1), fnma(x1, ax1 + by1, cy1)),
        x0,
        x1,
        y0,
        y1,
    )


@inlined
def _blend(state, exponent, low, clamp, stop, red, green, blue, depth):
    """One block one Gaussian further: state is (transmittance or 0 when finished, r, g, b, alpha, depth)."""
    alpha = select(exponent >= low, minimum(exp2(exponent), clamp), 0)
    weight = alpha * state[0]
    after = state[0] - weight
    goes_on = after > stop
    weight = select(goes_on, weight, 0)
    return (
        select(goes_on, after, 0),
        fma(weight, red, state[1]),
        fma(weight, green, state[2]),
        fma(weight, blue, state[3]),
        state[4] + weight,
        fma(weight, depth, state[5]),
    ), goes_on


@inlined
def _write(images, at, plane, stride, state, background, b):
    """Store a block: rgb over the background, alpha, depth."""
    left = 1 - state[4]
    store_block(images, at, stride, fma(left, get(background, b), state[1]))
    store_block(images, at + plane, stride, fma(left, get(background, b + 1), state[2]))
    store_block(images, at + 2 * plane, stride, fma(left, get(background, b + 2), state[3]))
    store_block(images, at + 3 * plane, stride, state[4])
    store_block(images, at + 4 * plane, stride, state[5])


@kernel
def raster(tickets, tasks, records, tile_start, entries, constants, background, images, across, down):
    """Images [S * V, 5, H, W] (rgb, alpha, depth); one task per view and tile row."""
    low, clamp, stop = get(constants, 2), get(constants, 3), get(constants, 4)
    columns, rows = block_columns(records), block_rows(records)
    stride, plane, tiles = across * TILE, across * down * TILE * TILE, across * down
    zero, one = fill(records, 0), fill(records, 1)
    while True:
        task = take_ticket(tickets)
        if task >= tasks:
            return
        view, row = task // down, task % down
        upper = rows + row * TILE
        for column in range(across):
            left = columns + column * TILE
            s0 = s1 = s2 = s3 = (one, zero, zero, zero, zero, zero)
            tile = view * (tiles + 1) + row * across + column
            for entry in range(tile_start[tile], tile_start[tile + 1]):
                at = LANES * entries[entry]
                e, _, _, _, _ = _exponents(records, at, left, upper)
                r, g, b, z = get(records, at + 6), get(records, at + 7), get(records, at + 8), get(records, at + 9)
                s0, m0 = _blend(s0, e[0], low, clamp, stop, r, g, b, z)
                s1, m1 = _blend(s1, e[1], low, clamp, stop, r, g, b, z)
                s2, m2 = _blend(s2, e[2], low, clamp, stop, r, g, b, z)
                s3, m3 = _blend(s3, e[3], low, clamp, stop, r, g, b, z)
                if not any_lane(m0 | m1 | m2 | m3):
                    break
            place = view * 5 * plane + row * TILE * stride + column * TILE
            _write(images, place, plane, stride, s0, background, 3 * view)
            _write(images, place + HALF, plane, stride, s1, background, 3 * view)
            _write(images, place + HALF * stride, plane, stride, s2, background, 3 * view)
            _write(images, place + HALF * stride + HALF, plane, stride, s3, background, 3 * view)


@inlined
def _upstream(images, v_rgb, v_alpha, v_depth, at, view, plane, stride, background):
    """Per pixel: dL/d(rgb), dL/d(alpha) through everything it touches, dL/d(depth), and (dL/dpixel . pixel)."""
    at5, at3, at1 = at + view * 5 * plane, at + view * 3 * plane, at + view * plane
    red, green = load_block(v_rgb, at3, stride), load_block(v_rgb, at3 + plane, stride)
    blue = load_block(v_rgb, at3 + 2 * plane, stride)
    alpha, depth = load_block(v_alpha, at1, stride), load_block(v_depth, at1, stride)
    b0, b1, b2 = get(background, 3 * view), get(background, 3 * view + 1), get(background, 3 * view + 2)
    ahead = fma(alpha, load_block(images, at5 + 3 * plane, stride), depth * load_block(images, at5 + 4 * plane, stride))
    ahead = fma(red, load_block(images, at5, stride) - b0, ahead)
    ahead = fma(green, load_block(images, at5 + plane, stride) - b1, ahead)
    ahead = fma(blue, load_block(images, at5 + 2 * plane, stride) - b2, ahead)
    return red, green, blue, fnma(red, b0, fnma(green, b1, fnma(blue, b2, alpha))), depth, ahead


@inlined
def _tile_upstream(images, v_rgb, v_alpha, v_depth, place, view, plane, stride, background):
    """`_upstream` of the four blocks of a tile, and their (dL/dpixel . pixel) once more as a tuple of its own."""
    below = place + HALF * stride
    u0 = _upstream(images, v_rgb, v_alpha, v_depth, place, view, plane, stride, background)
    u1 = _upstream(images, v_rgb, v_alpha, v_depth, place + HALF, view, plane, stride, background)
    u2 = _upstream(images, v_rgb, v_alpha, v_depth, below, view, plane, stride, background)
    u3 = _upstream(images, v_rgb, v_alpha, v_depth, below + HALF, view, plane, stride, background)
    return u0, u1, u2, u3, (u0[5], u1[5], u2[5], u3[5])


@inlined
def _unblend(through, ahead, exponent, low, high, clamp, stop, up, red, green, blue, depth):
    """One block one Gaussian further, and what it adds to the Gaussian's sums.

    Returns:
        Transmittance and (dL/dpixel . rest) after it, its weight, s = dL/d log(alpha), and whether a lane goes on.
    """
    alpha = select(exponent >= low, minimum(exp2(exponent), clamp), 0)
    weight = alpha * through
    after = through - weight
    goes_on = after > stop
    weight = select(goes_on, weight, 0)
    gain = fma(up[0], red, fma(up[1], green, fma(up[2], blue, fma(up[4], depth, up[3]))))
    ahead = fnma(weight, gain, ahead)
    slope = fnma(alpha / (1 - alpha), ahead, weight * gain)
    return select(goes_on, after, 0), ahead, weight, select(goes_on & (exponent <= high), slope, 0), goes_on


@inlined
def _sums(w, up0, up1, up2, up3, s, x0, x1, y0, y1):
    """The 10 sums over the pixels of a tile, as vectors of 16 partial sums."""
    left, right = s[0] + s[2], s[1] + s[3]
    upper, lower = s[0] + s[1], s[2] + s[3]
    xl, xr, yu, yl = x0 * left, x1 * right, y0 * upper, y1 * lower
    cross = fma(x0, fma(y0, s[0], y1 * s[2]), x1 * fma(y0, s[1], y1 * s[3]))
    return (
        fma(w[0], up0[0], fma(w[1], up1[0], fma(w[2], up2[0], w[3] * up3[0]))),
        fma(w[0], up0[1], fma(w[1], up1[1], fma(w[2], up2[1], w[3] * up3[1]))),
        fma(w[0], up0[2], fma(w[1], up1[2], fma(w[2], up2[2], w[3] * up3[2]))),
        fma(w[0], up0[4], fma(w[1], up1[4], fma(w[2], up2[4], w[3] * up3[4]))),
        left + right,
        xl + xr,
        yu + yl,
        fma(x0, xl, x1 * xr),
        cross,
        fma(y0, yu, y1 * yl),
    )


@kernel
def clear(tickets, tasks, slots):
    """Zero `slots`, CLEAR numbers a task. torch would wake threads of its own for it, which then spin beside the
    kernels'."""
    while True:
        task = take_ticket(tickets)
        if task >= tasks:
            return
        slots[task * CLEAR : (task + 1) * CLEAR] = 0


@kernel
def raster_backward(
    tickets,
    tasks,
    records,
    shift,
    tile_start,
    entries,
    constants,
    background,
    images,
    v_rgb,
    v_alpha,
    v_depth,
    slots,
    across,
    down,
):
    """Sums over the pixels of every (Gaussian, band) added to `slots` [T, 16] (zeroed); one task per view and band."""
    low, clamp, stop, high = get(constants, 2), get(constants, 3), get(constants, 4), get(constants, 5)
    columns, rows = block_columns(records), block_rows(records)
    stride, plane, tiles = across * TILE, across * down * TILE * TILE, across * down
    one = fill(records, 1)
    bands = (down + BAND - 1) // BAND
    while True:
        task = take_ticket(tickets)
        if task >= tasks:
            return
        view, band = task // bands, task % bands
        for row in range(band * BAND, min(down, band * BAND + BAND)):
            upper = rows + row * TILE
            for column in range(across):
                tile = view * (tiles + 1) + row * across + column
                if tile_start[tile] == tile_start[tile + 1]:
                    continue
                left = columns + column * TILE
                u0, u1, u2, u3, (a0, a1, a2, a3) = _tile_upstream(
                    images,
                    v_rgb,
                    v_alpha,
                    v_depth,
                    row * TILE * stride + column * TILE,
                    view,
                    plane,
                    stride,
                    background,
                )
                t0, t1, t2, t3 = one, one, one, one
                for entry in range(tile_start[tile], tile_start[tile + 1]):
                    record = entries[entry]
                    at = LANES * record
                    e, x0, x1, y0, y1 = _exponents(records, at, left, upper)
                    r, g, b, z = get(records, at + 6), get(records, at + 7), get(records, at + 8), get(records, at + 9)
                    t0, a0, w0, s0, m0 = _unblend(t0, a0, e[0], low, high, clamp, stop, u0, r, g, b, z)
                    t1, a1, w1, s1, m1 = _unblend(t1, a1, e[1], low, high, clamp, stop, u1, r, g, b, z)
                    t2, a2, w2, s2, m2 = _unblend(t2, a2, e[2], low, high, clamp, stop, u2, r, g, b, z)
                    t3, a3, w3, s3, m3 = _unblend(t3, a3, e[3], low, high, clamp, stop, u3, r, g, b, z)
                    sums = sum_each(_sums((w0, w1, w2, w3), u0, u1, u2, u3, (s0, s1, s2, s3), x0, x1, y0, y1))
                    slot = LANES * (shift[record] + band)
                    store(slots, slot, load(slots, slot) + sums)
                    if not any_lane(m0 | m1 | m2 | m3):
                        break
