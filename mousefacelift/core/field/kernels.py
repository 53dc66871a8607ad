"""Compiled loops of the radiance field: where rays meet it, its picture along them, and the gradients.

A ray is a line in grid coordinates, in which voxel [i, j, k] has its centre at (i, j, k); its `direction` is one step
long. Sample n of a ray lies at origin + (first + n + 0.5) * direction. Values between centres are trilinear. The light
that passes a sample of raw density f is (1 + e^f)^-STEP, which is exp(-softplus(f) * STEP) with one exponential.

The backward pass walks front to back as the forward pass does and keeps nothing of it. With s_i the upstream gradient
of what sample i would contribute alone and S the sum of w_j s_j behind sample i, dL/dtau_i = T_(i+1) s_i - S; S starts
at the gradient times the picture and loses w_i s_i at every sample (from equation 3 of Mildenhall et al. 2020).
"""

from __future__ import annotations

import numba
import numpy as np

from mousefacelift.core.compiled import compiled
from mousefacelift.core.render.jit import take_ticket

STEP = 0.5  # voxels between samples; the kernels take the square root that it stands for
STOP = 1e-4  # transmittance below which a ray ends
BLOCK = 256  # rays of one task of the forward pass

_compile = compiled(error_model="numpy", fastmath={"contract"})


@_compile
def trim_rays(tickets, tasks, live, origins, directions, first, count):
    """First sample and number of samples, int32 [R], from the first to the last live cell that each ray meets.

    Args:
        live: uint8 [X, Y, Z]; cell [i, j, k] lies between the centres i and i + 1, so the last of every axis is 0.
        origins, directions: [R, 3].
    """
    X, Y, Z = live.shape
    while True:
        task = take_ticket(tickets)
        if task >= tasks:
            return
        for ray in range(task * BLOCK, min((task + 1) * BLOCK, len(first))):
            near, far = 0.0, 1e9
            for axis in range(3):
                start, along, size = origins[ray, axis], directions[ray, axis], live.shape[axis] - 1
                if abs(along) < 1e-12:
                    if start < 0 or start >= size:
                        far = -1.0
                    continue
                one, two = -start / along, (size - start) / along
                near, far = max(near, min(one, two)), min(far, max(one, two))
            begin, end = int(np.ceil(near - 0.5)), int(np.floor(far - 0.5))
            low, high = -1, -1
            for n in range(begin, end + 1):
                x = origins[ray, 0] + (n + 0.5) * directions[ray, 0]
                y = origins[ray, 1] + (n + 0.5) * directions[ray, 1]
                z = origins[ray, 2] + (n + 0.5) * directions[ray, 2]
                i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
                if i < 0 or j < 0 or k < 0 or i >= X or j >= Y or k >= Z or not live[i, j, k]:
                    continue
                low = n if low < 0 else low
                high = n
            first[ray] = max(low, 0)
            count[ray] = high - low + 1 if low >= 0 else 0


@_compile
def march_forward(tickets, tasks, values, live, origins, directions, first, count, reach, rgb, alpha, depth):
    """Colour over black [R, 3], alpha [R] and weighted camera depth [R] of rays.

    Args:
        values: [X, Y, Z, 4], raw density and rgb at the voxel centres.
        reach: [R], camera depth of one step.
    """
    Y, Z = live.shape[1], live.shape[2]
    flat, cells = values.reshape(-1), live.reshape(-1)
    while True:
        task = take_ticket(tickets)
        if task >= tasks:
            return
        for ray in range(task * BLOCK, min((task + 1) * BLOCK, len(first))):
            through = flat.dtype.type(1.0)
            red, green, blue, far = through * 0, through * 0, through * 0, through * 0
            for n in range(first[ray], first[ray] + count[ray]):
                at = n + 0.5
                x = origins[ray, 0] + at * directions[ray, 0]
                y = origins[ray, 1] + at * directions[ray, 1]
                z = origins[ray, 2] + at * directions[ray, 2]
                i, j, k = int(x), int(y), int(z)
                cell = (i * Y + j) * Z + k
                if not cells[cell]:
                    continue
                f, r, g, b = _interpolate(flat, cell, Y, Z, x - i, y - j, z - k)
                passed = through / np.sqrt(1 + np.exp(f))
                weight = through - passed
                red, green, blue = red + weight * r, green + weight * g, blue + weight * b
                far += weight * at
                through = passed
                if through < STOP:
                    break
            rgb[ray, 0], rgb[ray, 1], rgb[ray, 2] = red, green, blue
            alpha[ray], depth[ray] = 1 - through, far * reach[ray]


@numba.njit(inline="always")
def _interpolate(flat, cell, Y, Z, u, v, w):
    """The four values between the eight centres around a cell; u, v, w in [0, 1]."""
    p = 4 * cell
    q, r, s = p + 4 * Z, p + 4 * Y * Z, p + 4 * Y * Z + 4 * Z
    a, b = (1 - u) * (1 - v), (1 - u) * v
    c, d = u * (1 - v), u * v
    a0, a1, b0, b1 = a * (1 - w), a * w, b * (1 - w), b * w
    c0, c1, d0, d1 = c * (1 - w), c * w, d * (1 - w), d * w
    f0 = a0 * flat[p] + a1 * flat[p + 4] + b0 * flat[q] + b1 * flat[q + 4]
    f0 += c0 * flat[r] + c1 * flat[r + 4] + d0 * flat[s] + d1 * flat[s + 4]
    f1 = a0 * flat[p + 1] + a1 * flat[p + 5] + b0 * flat[q + 1] + b1 * flat[q + 5]
    f1 += c0 * flat[r + 1] + c1 * flat[r + 5] + d0 * flat[s + 1] + d1 * flat[s + 5]
    f2 = a0 * flat[p + 2] + a1 * flat[p + 6] + b0 * flat[q + 2] + b1 * flat[q + 6]
    f2 += c0 * flat[r + 2] + c1 * flat[r + 6] + d0 * flat[s + 2] + d1 * flat[s + 6]
    f3 = a0 * flat[p + 3] + a1 * flat[p + 7] + b0 * flat[q + 3] + b1 * flat[q + 7]
    f3 += c0 * flat[r + 3] + c1 * flat[r + 7] + d0 * flat[s + 3] + d1 * flat[s + 7]
    return f0, f1, f2, f3


@_compile
def march_backward(
    tickets,
    tasks,
    values,
    live,
    origins,
    directions,
    first,
    count,
    reach,
    rgb,
    alpha,
    depth,
    v_rgb,
    v_alpha,
    v_depth,
    v,
):
    """Gradients `v` [tasks, X, Y, Z, 4] of the values, one sum for each of `tasks` equal shares of the rays.

    Which rays share a sum depends on `tasks` alone, and so do the bits of the gradient, whatever thread does the work.

    Args:
        rgb, alpha, depth: what `march_forward` returned.
        v_rgb, v_alpha, v_depth: upstream gradients.
    """
    Y, Z = live.shape[1], live.shape[2]
    flat, cells, rays = values.reshape(-1), live.reshape(-1), len(first)
    while True:
        task = take_ticket(tickets)
        if task >= tasks:
            return
        out = v[task].reshape(-1)
        out[:] = 0
        for ray in range(task * rays // tasks, (task + 1) * rays // tasks):
            through = flat.dtype.type(1.0)
            v_r, v_g, v_b, v_a, v_d = (
                v_rgb[ray, 0],
                v_rgb[ray, 1],
                v_rgb[ray, 2],
                v_alpha[ray],
                v_depth[ray] * reach[ray],
            )
            rest = v_r * rgb[ray, 0] + v_g * rgb[ray, 1] + v_b * rgb[ray, 2] + v_a * alpha[ray]
            rest += v_depth[ray] * depth[ray]
            for n in range(first[ray], first[ray] + count[ray]):
                at = n + 0.5
                x = origins[ray, 0] + at * directions[ray, 0]
                y = origins[ray, 1] + at * directions[ray, 1]
                z = origins[ray, 2] + at * directions[ray, 2]
                i, j, k = int(x), int(y), int(z)
                cell = (i * Y + j) * Z + k
                if not cells[cell]:
                    continue
                u, t, w = x - i, y - j, z - k
                f, r, g, b = _interpolate(flat, cell, Y, Z, u, t, w)
                e = np.exp(f)
                passed = through / np.sqrt(1 + e)
                weight = through - passed
                alone = v_r * r + v_g * g + v_b * b + v_a + v_d * at
                rest -= weight * alone
                v_f = (passed * alone - rest) * STEP * (e / (1 + e))
                _scatter(out, cell, Y, Z, u, t, w, v_f, weight * v_r, weight * v_g, weight * v_b)
                through = passed
                if through < STOP:
                    break


@numba.njit(inline="always")
def _scatter(out, cell, Y, Z, u, v, w, f, r, g, b):
    """Add the gradient of an interpolated sample to the eight centres around its cell."""
    p = 4 * cell
    for corner in range(4):
        q = p + (4 * Z if corner & 1 else 0) + (4 * Y * Z if corner & 2 else 0)
        across = (v if corner & 1 else 1 - v) * (u if corner & 2 else 1 - u)
        one, two = across * (1 - w), across * w
        out[q] += one * f
        out[q + 1] += one * r
        out[q + 2] += one * g
        out[q + 3] += one * b
        out[q + 4] += two * f
        out[q + 5] += two * r
        out[q + 6] += two * g
        out[q + 7] += two * b


@_compile
def smoothness_gradient(tickets, tasks, values, active, weights, v):
    """Gradient [X, Y, Z, 4] of the sum over neighbouring active voxels of weights[c] * (values[a] - values[b])^2."""
    X, Y, Z = active.shape
    while True:
        i = take_ticket(tickets)
        if i >= tasks:
            return
        for j in range(Y):
            for k in range(Z):
                if not active[i, j, k]:
                    v[i, j, k] = 0
                    continue
                for c in range(4):
                    here, total = values[i, j, k, c], values[i, j, k, c] * 0
                    if i > 0 and active[i - 1, j, k]:
                        total += here - values[i - 1, j, k, c]
                    if i < X - 1 and active[i + 1, j, k]:
                        total += here - values[i + 1, j, k, c]
                    if j > 0 and active[i, j - 1, k]:
                        total += here - values[i, j - 1, k, c]
                    if j < Y - 1 and active[i, j + 1, k]:
                        total += here - values[i, j + 1, k, c]
                    if k > 0 and active[i, j, k - 1]:
                        total += here - values[i, j, k - 1, c]
                    if k < Z - 1 and active[i, j, k + 1]:
                        total += here - values[i, j, k + 1, c]
                    v[i, j, k, c] = 2 * weights[c] * total
