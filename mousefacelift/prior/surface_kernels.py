"""Compiled loops of `surface`: the mean of every point's neighbours, and the frame of its second moments."""

from __future__ import annotations

import numpy as np

from mousefacelift.core.compiled import compiled

SWEEPS = 8  # of Jacobi's method; three by three converges to double precision in five or six

_compile = compiled(error_model="numpy")


@_compile
def mean_of_neighbours(points, neighbours, out):
    """out [H, N, 3] = mean of points [H, N, 3] over neighbours [N, K]."""
    share = points.dtype.type(1.0 / neighbours.shape[1])
    for h in range(len(points)):
        for n in range(len(neighbours)):
            x = y = z = points.dtype.type(0)
            for other in neighbours[n]:
                x += points[h, other, 0]
                y += points[h, other, 1]
                z += points[h, other, 2]
            out[h, n, 0], out[h, n, 1], out[h, n, 2] = x * share, y * share, z * share


@_compile
def spread_to_neighbours(gradient, neighbours, out):
    """The transpose of `mean_of_neighbours`; out [H, N, 3] must be 0."""
    share = gradient.dtype.type(1.0 / neighbours.shape[1])
    for h in range(len(gradient)):
        for n in range(len(neighbours)):
            x, y, z = gradient[h, n, 0] * share, gradient[h, n, 1] * share, gradient[h, n, 2] * share
            for other in neighbours[n]:
                out[h, other, 0] += x
                out[h, other, 1] += y
                out[h, other, 2] += z


@_compile
def frames_of_neighbours(points, neighbours, values, frames):
    """Second moments of every point's neighbours about it: ascending `values` [H, N, 3], and as columns of `frames`
    [H, N, 3, 3] a right-handed frame: the axis of the least value, outward as the first two neighbours turn, then the
    other two."""
    a, v = np.empty((3, 3)), np.empty((3, 3))
    near = np.empty((neighbours.shape[1], 3))
    for h in range(len(points)):
        for n in range(len(neighbours)):
            for k in range(len(near)):
                for i in range(3):
                    near[k, i] = points[h, neighbours[n, k], i] - points[h, n, i]
            for i in range(3):
                for j in range(3):
                    total = 0.0
                    for k in range(len(near)):
                        total += near[k, i] * near[k, j]
                    a[i, j] = total / len(near)
            diagonalise(a, v)
            least = 0 if a[0, 0] <= a[1, 1] and a[0, 0] <= a[2, 2] else 1 if a[1, 1] <= a[2, 2] else 2
            middle, most = (least + 1) % 3, (least + 2) % 3
            if a[middle, middle] > a[most, most]:
                middle, most = most, middle
            values[h, n, 0], values[h, n, 1] = max(a[least, least], 0.0), max(a[middle, middle], 0.0)
            values[h, n, 2] = max(a[most, most], 0.0)
            x = v[1, middle] * v[2, most] - v[2, middle] * v[1, most]
            y = v[2, middle] * v[0, most] - v[0, middle] * v[2, most]
            z = v[0, middle] * v[1, most] - v[1, middle] * v[0, most]
            turn = x * (near[0, 1] * near[1, 2] - near[0, 2] * near[1, 1])
            turn += y * (near[0, 2] * near[1, 0] - near[0, 0] * near[1, 2])
            turn += z * (near[0, 0] * near[1, 1] - near[0, 1] * near[1, 0])
            sign = -1.0 if turn < 0 else 1.0  # of two axes, so that the frame stays right-handed
            frames[h, n, 0, 0], frames[h, n, 1, 0], frames[h, n, 2, 0] = sign * x, sign * y, sign * z
            for i in range(3):
                frames[h, n, i, 1], frames[h, n, i, 2] = sign * v[i, middle], v[i, most]


@_compile
def diagonalise(a, v):
    """Jacobi's method: symmetric a [3, 3] becomes diagonal, v [3, 3] its eigenvectors as columns."""
    for i in range(3):
        for j in range(3):
            v[i, j] = 1.0 if i == j else 0.0
    for _ in range(SWEEPS):
        off = abs(a[0, 1]) + abs(a[0, 2]) + abs(a[1, 2])
        if off <= 1e-15 * (abs(a[0, 0]) + abs(a[1, 1]) + abs(a[2, 2])):
            return
        for turn in range(3):
            p, q = (0, 1) if turn == 0 else (0, 2) if turn == 1 else (1, 2)
            if a[p, q] == 0.0:
                continue
            theta = (a[q, q] - a[p, p]) / (2.0 * a[p, q])
            t = (1.0 if theta >= 0 else -1.0) / (abs(theta) + np.sqrt(theta * theta + 1.0))
            c = 1.0 / np.sqrt(t * t + 1.0)
            s = t * c
            for k in range(3):
                x, y = a[k, p], a[k, q]
                a[k, p], a[k, q] = c * x - s * y, s * x + c * y
            for k in range(3):
                x, y = a[p, k], a[q, k]
                a[p, k], a[q, k] = c * x - s * y, s * x + c * y
                x, y = v[k, p], v[k, q]
                v[k, p], v[k, q] = c * x - s * y, s * x + c * y
