"""Kernels of the fused SSIM: five moments, the map and its four derivatives in one pass; the transposed blur in another.

Wang et al. 2004. With moments m_a, m_b, E[aa], E[bb], E[ab] of an 11 x 11 window, SSIM = A1 A2 / (B1 B2); its derivatives
with respect to the moments are kept, and the gradient of an image is the transposed blur of (derivatives x upstream).
"""

from __future__ import annotations

import numpy as np

from mousefacelift.core.render.jit import inlined, kernel
from mousefacelift.core.render.simd import LANES, fill, fma, get, load, store, take_ticket

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
def _moments(a, b, taps, base, width, rows):
    """Vertical blur of a, b, aa, bb, ab over the 11 image rows from `base`: five rows in `rows`."""
    for block in range(0, width, LANES):
        x = min(block, width - LANES)
        zero = fill(a, 0)
        m_a, m_b, aa, bb, ab = zero, zero, zero, zero, zero
        for tap in range(WINDOW):
            at = base + tap * width + x
            p, q, w = load(a, at), load(b, at), get(taps, tap)
            wp, wq = p * w, q * w
            m_a, m_b = m_a + wp, m_b + wq
            aa, bb, ab = fma(wp, p, aa), fma(wq, q, bb), fma(wp, q, ab)
        store(rows, x, m_a)
        store(rows, width + x, m_b)
        store(rows, 2 * width + x, aa)
        store(rows, 3 * width + x, bb)
        store(rows, 4 * width + x, ab)


@kernel
def ssim_forward(tickets, tasks, a, b, taps, constants, height, width, values, slopes, with_slopes):
    """Map [P, H-10, W-10] and, if wanted, its derivatives by m_a, m_b, E[aa] (= E[bb]), E[ab] in `slopes` [4, P, ...]."""
    inner_h, inner_w = height - PAD, width - PAD
    rows = np.empty(5 * width, a.dtype)
    c1, c2, area = get(constants, 0), get(constants, 1), inner_h * inner_w
    while True:
        plane = take_ticket(tickets)
        if plane >= tasks:
            return
        for y in range(inner_h):
            _moments(a, b, taps, (plane * height + y) * width, width, rows)
            for block in range(0, inner_w, LANES):
                x = min(block, inner_w - LANES)
                m_a, m_b = _across(rows, x, taps), _across(rows, width + x, taps)
                square = fma(m_a, m_a, m_b * m_b)
                product = m_a * m_b
                cov = _across(rows, 4 * width + x, taps) - product
                variances = _across(rows, 2 * width + x, taps) + _across(rows, 3 * width + x, taps) - square
                a1, b1, a2, b2 = fma(product, 2, c1), square + c1, fma(cov, 2, c2), variances + c2
                inverse = 1 / (b1 * b2)
                value = a1 * a2 * inverse
                at = plane * area + y * inner_w + x
                store(values, at, value)
                if with_slopes:
                    cross, own = 2 * (a2 - a1) * inverse, 2 * value * (b1 - b2) * inverse
                    store(slopes, at, fma(m_b, cross, m_a * own))
                    store(slopes, at + tasks * area, fma(m_a, cross, m_b * own))
                    store(slopes, at + 2 * tasks * area, 0 - value * b1 * inverse)
                    store(slopes, at + 3 * tasks * area, 2 * a1 * inverse)


@inlined
def _weighted_columns(slopes, upstream, taps, plane, planes, y, inner_h, inner_w, rows, stride):
    """Vertical part of the transposed blur of the four (slope x upstream) maps for image row y: four padded rows."""
    area = inner_h * inner_w
    for block in range(0, inner_w, LANES):
        x = min(block, inner_w - LANES)
        zero = fill(slopes, 0)
        s0, s1, s2, s3 = zero, zero, zero, zero
        for row in range(max(0, y - PAD), min(inner_h, y + 1)):
            at = plane * area + row * inner_w + x
            w = load(upstream, at) * get(taps, y - row)
            s0, s1 = fma(w, load(slopes, at), s0), fma(w, load(slopes, at + planes * area), s1)
            s2 = fma(w, load(slopes, at + 2 * planes * area), s2)
            s3 = fma(w, load(slopes, at + 3 * planes * area), s3)
        store(rows, PAD + x, s0)
        store(rows, stride + PAD + x, s1)
        store(rows, 2 * stride + PAD + x, s2)
        store(rows, 3 * stride + PAD + x, s3)


@kernel
def ssim_backward(tickets, tasks, a, b, taps, height, width, slopes, upstream, v_a, v_b):
    """Gradients of both images [P, H, W]."""
    stride = width + PAD
    rows = np.zeros(4 * stride, a.dtype)
    while True:
        plane = take_ticket(tickets)
        if plane >= tasks:
            return
        for y in range(height):
            _weighted_columns(slopes, upstream, taps, plane, tasks, y, height - PAD, width - PAD, rows, stride)
            for block in range(0, width, LANES):
                x = min(block, width - LANES)
                at = (plane * height + y) * width + x
                p, q = load(a, at), load(b, at)
                square, cross = 2 * _across(rows, 2 * stride + x, taps), _across(rows, 3 * stride + x, taps)
                store(v_a, at, fma(p, square, fma(q, cross, _across(rows, x, taps))))
                store(v_b, at, fma(q, square, fma(p, cross, _across(rows, stride + x, taps))))
