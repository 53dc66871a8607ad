"""Kernels of the per-Gaussian half: 3D Gaussians to 2D ones, and gradients back. 16 Gaussians at a time.

Equations: Zwicker et al., "EWA splatting" (2002), with the tangent clamp and the dilation of 3DGS as gsplat 1.5.3 has
them. Gaussians are packed as rows of `packed` [S, 15, M] with M = N rounded up to 16: mean 0-2, unit quaternion wxyz
3-6, scale 7-9, opacity 10, log2 of the opacity 11, norm of the raw quaternion 12. Padding has opacity 0.
"""

from __future__ import annotations

import math

import numpy as np

from mousefacelift.core.render.jit import inlined, kernel, take_ticket
from mousefacelift.core.render.simd import (
    LANES,
    ceil,
    floor,
    fma,
    fnma,
    get,
    load,
    log2,
    maximum,
    minimum,
    select,
    sqrt,
    store,
)

PACKED = 13  # rows of `packed`
FLAT = 11  # rows of `flat`: u v a b c log2(opacity) z, first and last tile row, first and last tile column
TILE = 8  # pixels
CHUNK = 256  # Gaussians per task
LOG2E = 1 / math.log(2.0)


@kernel
def pack(tickets, tasks, means, quats, scales, opacities, packed, count, padded):
    """Raw [S, N, *] arrays (flattened) to `packed` rows; one task per scene and chunk."""
    chunks = (padded + CHUNK - 1) // CHUNK
    while True:
        task = take_ticket(tickets)
        if task >= tasks:
            return
        scene, first = task // chunks, task % chunks * CHUNK
        base = scene * PACKED * padded
        for i in range(first, min(first + CHUNK, count)):
            g = scene * count + i
            norm = means[0] * 0
            for k in range(4):
                norm += quats[4 * g + k] * quats[4 * g + k]
            norm = np.sqrt(norm)
            inverse = 1 / norm if norm > 1e-12 else norm * 0
            for k in range(3):
                packed[base + k * padded + i] = means[3 * g + k]
                packed[base + (7 + k) * padded + i] = scales[3 * g + k]
            for k in range(4):
                packed[base + (3 + k) * padded + i] = quats[4 * g + k] * inverse
            packed[base + 10 * padded + i] = opacities[g]
            packed[base + 11 * padded + i] = np.log2(opacities[g]) if opacities[g] > 0 else -np.inf
            packed[base + 12 * padded + i] = norm
        for i in range(max(first, count), min(first + CHUNK, padded)):
            for k in range(PACKED):
                packed[base + k * padded + i] = 0
            packed[base + 11 * padded + i] = -np.inf


@inlined
def _rotation(packed, at, step):
    """Rotation matrix (9 vectors, row-major) of 16 unit quaternions."""
    w, x = load(packed, at + 3 * step), load(packed, at + 4 * step)
    y, z = load(packed, at + 5 * step), load(packed, at + 6 * step)
    x2, y2, z2 = x + x, y + y, z + z
    return (
        1 - fma(y, y2, z * z2),
        fnma(w, z2, x * y2),
        fma(w, y2, x * z2),
        fma(w, z2, x * y2),
        1 - fma(x, x2, z * z2),
        fnma(w, x2, y * z2),
        fnma(w, y2, x * z2),
        fma(w, x2, y * z2),
        1 - fma(x, x2, y * y2),
    )


@inlined
def _covariance(r, s0, s1, s2):
    """R diag(s^2) R^T as xx xy xz yy yz zz."""
    a0, a1, a2 = r[0] * s0, r[1] * s1, r[2] * s2
    b0, b1, b2 = r[3] * s0, r[4] * s1, r[5] * s2
    c0, c1, c2 = r[6] * s0, r[7] * s1, r[8] * s2
    return (
        fma(a0, a0, fma(a1, a1, a2 * a2)),
        fma(a0, b0, fma(a1, b1, a2 * b2)),
        fma(a0, c0, fma(a1, c1, a2 * c2)),
        fma(b0, b0, fma(b1, b1, b2 * b2)),
        fma(b0, c0, fma(b1, c1, b2 * c2)),
        fma(c0, c0, fma(c1, c1, c2 * c2)),
    )


@inlined
def _apply(s, x, y, z):
    """Symmetric matrix (xx xy xz yy yz zz) times a vector."""
    return (
        fma(s[0], x, fma(s[1], y, s[2] * z)),
        fma(s[1], x, fma(s[3], y, s[4] * z)),
        fma(s[2], x, fma(s[4], y, s[5] * z)),
    )


@inlined
def _dot(a, b):
    return fma(a[0], b[0], fma(a[1], b[1], a[2] * b[2]))


@inlined
def _local(cameras, c, x, y, z):
    """Camera coordinates of world points. A camera is R (9), t (3), fx fy cx cy, tangent limits x- x+ y- y+."""
    return (
        fma(x, get(cameras, c), fma(y, get(cameras, c + 1), fma(z, get(cameras, c + 2), get(cameras, c + 9)))),
        fma(x, get(cameras, c + 3), fma(y, get(cameras, c + 4), fma(z, get(cameras, c + 5), get(cameras, c + 10)))),
        fma(x, get(cameras, c + 6), fma(y, get(cameras, c + 7), fma(z, get(cameras, c + 8), get(cameras, c + 11)))),
    )


@inlined
def _jacobian(cameras, c, focal, row, inverse, tangent):
    """One row of the projection's Jacobian in the world: focal / z * (R[row] - tangent * R[2])."""
    scale = inverse * get(cameras, c + 12 + focal)
    return (
        scale * (get(cameras, c + row) - tangent * get(cameras, c + 6)),
        scale * (get(cameras, c + row + 1) - tangent * get(cameras, c + 7)),
        scale * (get(cameras, c + row + 2) - tangent * get(cameras, c + 8)),
    )


CAMERA = 20  # numbers per camera


@inlined
def _geometry(cameras, c, position, sigma, near):
    """One view of 16 Gaussians: what `project` and its transpose share.

    Returns:
        Whether each is in front of the near plane; camera coordinates; 1 / z; tangents; clamped tangents; the rows of
        the Jacobian; sigma times these; the covariance before dilation (xx, xy, yy).
    """
    local = _local(cameras, c, position[0], position[1], position[2])
    seen = local[2] >= near
    inverse = 1 / select(seen, local[2], 1)
    tangent = (local[0] * inverse, local[1] * inverse)
    clamped = (
        minimum(maximum(tangent[0], get(cameras, c + 16)), get(cameras, c + 17)),
        minimum(maximum(tangent[1], get(cameras, c + 18)), get(cameras, c + 19)),
    )
    j, k = _jacobian(cameras, c, 0, 0, inverse, clamped[0]), _jacobian(cameras, c, 1, 3, inverse, clamped[1])
    p, q = _apply(sigma, j[0], j[1], j[2]), _apply(sigma, k[0], k[1], k[2])
    return seen, local, inverse, tangent, clamped, j, k, p, q, (_dot(j, p), _dot(k, p), _dot(k, q))


@inlined
def _tile_range(center, radius, size):
    """First and last tile along one axis whose pixel centres can lie within `radius` of `center`."""
    return (
        maximum(ceil((center - radius - (TILE - 0.5)) * (1 / TILE)), 0),
        minimum(floor((center + radius - 0.5) * (1 / TILE)), (size - 1) // TILE),
    )


@inlined
def _store_flat(flat, out, step, u, v, cxx, cxy, cyy, conic, exponent, depth, seen, rows, columns):
    store(flat, out, u)
    store(flat, out + step, v)
    store(flat, out + 2 * step, cyy * conic * 0.5)
    store(flat, out + 3 * step, 0 - cxy * conic)
    store(flat, out + 4 * step, cxx * conic * 0.5)
    store(flat, out + 5 * step, exponent)
    store(flat, out + 6 * step, depth)
    store(flat, out + 7 * step, select(seen, rows[0], 1))
    store(flat, out + 8 * step, select(seen, rows[1], 0))
    store(flat, out + 9 * step, columns[0])
    store(flat, out + 10 * step, columns[1])


CAMERA = 20  # numbers per camera


@kernel
def project(tickets, tasks, packed, cameras, flat, constants, antialiased, sizes):
    """2D Gaussians of all views as rows of `flat` [S * V, FLAT, M]; one task per scene and chunk.

    The exponent of a Gaussian at offset (dx, dy) px is log2(opacity) - (a dx^2 + b dx dy + c dy^2), so alpha is 2 to
    it. Gaussians that touch no pixel get last tile row < first tile row.
    """
    views, padded, width, height = sizes
    eps, near, low = get(constants, 0), get(constants, 1), get(constants, 2)
    chunks = (padded + CHUNK - 1) // CHUNK
    while True:
        task = take_ticket(tickets)
        if task >= tasks:
            return
        scene, first = task // chunks, task % chunks * CHUNK
        for g in range(first, min(first + CHUNK, padded), LANES):
            at = scene * PACKED * padded + g
            position = load(packed, at), load(packed, at + padded), load(packed, at + 2 * padded)
            sigma = _covariance(
                _rotation(packed, at, padded),
                load(packed, at + 7 * padded),
                load(packed, at + 8 * padded),
                load(packed, at + 9 * padded),
            )
            for view in range(scene * views, (scene + 1) * views):
                c = view * CAMERA
                seen, local, _, tangent, _, _, _, _, _, cov = _geometry(cameras, c, position, sigma, near)
                bare = fnma(cov[1], cov[1], cov[0] * cov[2])
                cxx, cyy = cov[0] + eps, cov[2] + eps
                determinant = fnma(cov[1], cov[1], cxx * cyy)
                exponent = load(packed, at + 11 * padded)
                if antialiased:
                    exponent = fma(log2(maximum(bare / determinant, 1e-30)), 0.5, exponent)
                level = exponent - low
                seen = seen & (determinant > 0) & (level >= 0)
                u = fma(tangent[0], get(cameras, c + 12), get(cameras, c + 14))
                v = fma(tangent[1], get(cameras, c + 13), get(cameras, c + 15))
                # largest |dx| and |dy| at which alpha reaches its minimum: sqrt(2 ln(2) level cov)
                reach = select(seen, level, 0) * (2 / LOG2E)
                columns = _tile_range(u, sqrt(reach * cxx) * 1.0001 + 0.01, width)
                rows = _tile_range(v, sqrt(reach * cyy) * 1.0001 + 0.01, height)
                seen = seen & (columns[0] <= columns[1]) & (rows[0] <= rows[1])
                _store_flat(
                    flat,
                    view * FLAT * padded + g,
                    padded,
                    u,
                    v,
                    cxx,
                    cov[1],
                    cyy,
                    LOG2E / select(determinant > 0, determinant, 1),
                    exponent,
                    local[2],
                    seen,
                    rows,
                    columns,
                )
