"""Kernels of the fused SSIM: the map or its mean in one pass over the images, their gradients in another.

Wang et al. 2004. With the moments m_a, m_b, E[aa] + E[bb], E[ab] of an 11 x 11 window, SSIM = A1 A2 / (B1 B2). The
gradient of an image is the transposed blur of (derivatives by the moments x upstream). The second pass computes the
moments once more instead of reading them back: four maps of the images' size cost more to write than to compute. Its
transposed blur runs along with it, on a ring of the last 11 rows.
"""

from __future__ import annotations

import numpy as np

from mousefacelift.core.render.jit import inlined, kernel, take_ticket
from mousefacelift.core.render.simd import LANES, fill, fma, get, load, store

WINDOW = 11
PAD = WINDOW - 1


@inlined
def _across(rows, at, taps):
    """Horizontal blur: 16 outputs from 26 entries of a row."""
    total = load(rows, at) * get(taps, 0)
    for tap in range(1, WINDOW):
        total = fma(load(rows, at + tap), get(taps, tap), total)
    return total


@inlined
def _moment_rows(a, b, taps, base, width, rows):
    """Vertical blur of a, b, aa + bb, ab over the 11 image rows from `base`: four rows in `rows`."""
    for block in range(0, width, LANES):
        x = min(block, width - LANES)
        zero = fill(a, 0)
        m_a, m_b, squares, product = zero, zero, zero, zero
        for tap in range(WINDOW):
            at = base + tap * width + x
            p, q, w = load(a, at), load(b, at), get(taps, tap)
            wp, wq = p * w, q * w
            m_a, m_b = m_a + wp, m_b + wq
            squares, product = fma(wq, q, fma(wp, p, squares)), fma(wp, q, product)
        store(rows, x, m_a)
        store(rows, width + x, m_b)
        store(rows, 2 * width + x, squares)
        store(rows, 3 * width + x, product)


@inlined
def _factors(rows, x, width, taps, constants):
    """m_a, m_b and the factors A1 A2 B1 B2 of 16 windows."""
    m_a, m_b = _across(rows, x, taps), _across(rows, width + x, taps)
    square, product = fma(m_a, m_a, m_b * m_b), m_a * m_b
    cov, variances = _across(rows, 3 * width + x, taps) - product, _across(rows, 2 * width + x, taps) - square
    c1, c2 = get(constants, 0), get(constants, 1)
    return m_a, m_b, fma(product, 2, c1), fma(cov, 2, c2), square + c1, variances + c2


@kernel
def ssim_forward(tickets, tasks, a, b, taps, constants, height, width, values, means):
    """Mean SSIM of each plane in `means` [P], and the map [P, H-10, W-10] in `values` unless that is empty."""
    inner_h, inner_w = height - PAD, width - PAD
    rows, line, lanes = np.empty(4 * width, a.dtype), np.zeros(inner_w + LANES, a.dtype), np.empty(LANES, a.dtype)
    while True:
        plane = take_ticket(tickets)
        if plane >= tasks:
            return
        mean = 0.0
        for y in range(inner_h):
            _moment_rows(a, b, taps, (plane * height + y) * width, width, rows)
            for block in range(0, inner_w, LANES):
                x = min(block, inner_w - LANES)
                _, _, a1, a2, b1, b2 = _factors(rows, x, width, taps, constants)
                value = a1 * a2 / (b1 * b2)
                store(line, x, value)  # lanes of the last block were written before, with the same values
                if len(values):
                    store(values, (plane * inner_h + y) * inner_w + x, value)
            total = fill(a, 0)
            for block in range(0, inner_w, LANES):
                total = total + load(line, block)
            store(lanes, 0, total)
            for lane in range(LANES):
                mean += float(lanes[lane])
        means[plane] = mean / (inner_h * inner_w)


@inlined
def _slope_rows(rows, upstream, at, per_plane, plane, width, taps, constants, slopes, stride):
    """Upstream times the derivatives of one map row by m_a, E[aa] (twice), E[ab], m_b: four rows with margins of 10."""
    for block in range(0, width - PAD, LANES):
        x = min(block, width - PAD - LANES)
        m_a, m_b, a1, a2, b1, b2 = _factors(rows, x, width, taps, constants)
        inverse = 1 / (b1 * b2)
        value = a1 * a2 * inverse
        scale = 2 * inverse * (fill(upstream, get(upstream, plane)) if per_plane else load(upstream, at + x))
        cross, own = scale * (a2 - a1), scale * value * (b1 - b2)
        store(slopes, PAD + x, fma(m_b, cross, m_a * own))
        store(slopes, stride + PAD + x, 0 - scale * value * b1)
        store(slopes, 2 * stride + PAD + x, scale * a1)
        store(slopes, 3 * stride + PAD + x, fma(m_a, cross, m_b * own))


@inlined
def _spread_across(slopes, stride, taps, width, maps, ring, place):
    """Horizontal part of the transposed blur: `maps` rows of `width` into the ring at `place`."""
    for row in range(maps):
        for block in range(0, width, LANES):
            x = min(block, width - LANES)
            store(ring, place + row * width + x, _across(slopes, row * stride + x, taps))


@inlined
def _down(ring, at, slot, size, taps):
    """Vertical part: 16 outputs from the last 11 rows of the ring, the newest in `slot`."""
    total = load(ring, slot * size + at) * get(taps, 0)
    for tap in range(1, WINDOW):
        row = slot - tap if slot >= tap else slot - tap + WINDOW
        total = fma(load(ring, row * size + at), get(taps, tap), total)
    return total


@kernel
def ssim_backward(tickets, tasks, a, b, taps, constants, height, width, upstream, per_plane, v_a, v_b):
    """Gradients of the images [P, H, W], `v_b` unless it is empty.

    Args:
        upstream: [P] gradient of each plane's sum (per_plane), or [P, H-10, W-10] gradient of the map.
    """
    stride, maps = width + PAD, 4 if len(v_b) else 3
    rows, slopes, ring = (
        np.empty(4 * width, a.dtype),
        np.zeros(4 * stride, a.dtype),
        np.empty(WINDOW * 4 * width, a.dtype),
    )
    while True:
        plane = take_ticket(tickets)
        if plane >= tasks:
            return
        ring[:] = 0
        for y in range(height):
            slot, base = y % WINDOW, (plane * height + y) * width
            if y < height - PAD:
                _moment_rows(a, b, taps, base, width, rows)
                at = (plane * (height - PAD) + y) * (width - PAD)
                _slope_rows(rows, upstream, at, per_plane, plane, width, taps, constants, slopes, stride)
                _spread_across(slopes, stride, taps, width, maps, ring, slot * 4 * width)
            else:
                ring[slot * 4 * width : (slot + 1) * 4 * width] = 0
            for block in range(0, width, LANES):
                x = min(block, width - LANES)
                p, q = load(a, base + x), load(b, base + x)
                square, cross = (
                    _down(ring, width + x, slot, 4 * width, taps),
                    _down(ring, 2 * width + x, slot, 4 * width, taps),
                )
                store(v_a, base + x, fma(p, square, fma(q, cross, _down(ring, x, slot, 4 * width, taps))))
                if len(v_b):
                    store(
                        v_b, base + x, fma(q, square, fma(p, cross, _down(ring, 3 * width + x, slot, 4 * width, taps)))
                    )
