"""A small table of recently shaded faces: what is alike for all samples of a face, so that one costs a few sums.

Part of the objects stage; compiled into the kernel of render.py.
"""

from typing import NamedTuple

import numba
import numpy as np

from mousefacelift.objects.texture import BASE_TEXTURE, GLOW_TEXTURE, GLOWING, INNER, choose_level

SLOTS = 64  # recent faces kept, by the low bits of their number; the tables stay in the first-level cache


class Recent(NamedTuple):
    """What is kept of recent faces, one row per slot.

    Attributes:
        face: [SLOTS] number of the face, -1 = none.
        planes: [SLOTS, 3, N] of inverse depth and of each corner column from the normal on, times inverse depth: the
            value at the first vertex and its steps along x and y.
        place: [SLOTS, 2] screen position of the first vertex.
        side: [SLOTS, 3] normal of the face toward the eye, not of unit length.
        level: [SLOTS, 2] mip level of the base and of the emissive texture.
    """

    face: np.ndarray
    planes: np.ndarray
    place: np.ndarray
    side: np.ndarray
    level: np.ndarray


def new_recent(columns: int) -> Recent:
    """An empty table for corners of `columns` columns."""
    count = columns - 2  # position goes, inverse depth comes
    return Recent(
        np.full(SLOTS, -1, np.int64),
        np.zeros((SLOTS, 3, count)),
        np.zeros((SLOTS, 2)),
        np.zeros((SLOTS, 3)),
        np.zeros((SLOTS, 2), np.int64),
    )


@numba.njit(**INNER)
def remember_face(recent_face, planes, place, side, level, faces, corners, materials, levels, screen, eye, f):
    """Fill face f's slot in the table of recent faces."""
    slot = f & (SLOTS - 1)
    recent_face[slot] = f
    a, b, c, m = faces[f, 0], faces[f, 1], faces[f, 2], faces[f, 3]
    x0, y0, i0, i1, i2 = screen[a, 0], screen[a, 1], screen[a, 2], screen[b, 2], screen[c, 2]
    x1, y1, x2, y2 = screen[b, 0] - x0, screen[b, 1] - y0, screen[c, 0] - x0, screen[c, 1] - y0
    area = x1 * y2 - x2 * y1
    place[slot, 0], place[slot, 1] = x0, y0
    x1, y1, x2, y2 = x1 / area, y1 / area, x2 / area, y2 / area
    first, second = i1 - i0, i2 - i0
    planes[slot, 0, 0], planes[slot, 1, 0], planes[slot, 2, 0] = i0, first * y2 - second * y1, second * x1 - first * x2
    for k in range(1, planes.shape[2]):
        start = corners[a, k + 2] * i0
        first, second = corners[b, k + 2] * i1 - start, corners[c, k + 2] * i2 - start
        planes[slot, 0, k] = start
        planes[slot, 1, k] = first * y2 - second * y1
        planes[slot, 2, k] = second * x1 - first * x2
    px, py, pz = corners[a, 0], corners[a, 1], corners[a, 2]
    ux, uy, uz = corners[b, 0] - px, corners[b, 1] - py, corners[b, 2] - pz
    vx, vy, vz = corners[c, 0] - px, corners[c, 1] - py, corners[c, 2] - pz
    gx, gy, gz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    sign = -1.0 if gx * (eye[0] - px) + gy * (eye[1] - py) + gz * (eye[2] - pz) < 0.0 else 1.0
    side[slot, 0], side[slot, 1], side[slot, 2] = sign * gx, sign * gy, sign * gz
    for k in range(2):
        texture = int(materials[m, GLOW_TEXTURE if k else BASE_TEXTURE])
        if texture >= 0:
            at = 12 if k and corners.shape[1] == GLOWING else 6
            u1, v1 = corners[b, at] - corners[a, at], corners[b, at + 1] - corners[a, at + 1]
            u2, v2 = corners[c, at] - corners[a, at], corners[c, at + 1] - corners[a, at + 1]
            level[slot, k] = choose_level(levels, texture, abs(u1 * v2 - u2 * v1), abs(area))
