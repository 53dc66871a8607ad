"""Closed surfaces from rings of points: the modelling tools of the procedural mouse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Part:
    """A closed piece of surface.

    Args:
        vertices: [N, 3] mm. faces: [F, 3], counter-clockwise from outside.
        uv: [M, 2] in [0, 1] of the part's own chart. faces_uv: [F, 3].
        along: [N] position along the part, 0 at its first ring and 1 at its last.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    faces_uv: np.ndarray
    along: np.ndarray


def loft(rings: np.ndarray) -> Part:
    """The closed surface through rings [R, S, 3] that turn counter-clockwise seen from the last ring, with a pole at
    each end."""
    count, size = rings.shape[:2]
    poles = rings[[0, -1]].mean(1)
    vertices = np.concatenate([rings.reshape(-1, 3), poles])
    grid = np.arange(count * size).reshape(count, size)
    a, b = grid[:-1], grid[1:]
    a1, b1 = np.roll(a, -1, 1), np.roll(b, -1, 1)
    start, end = count * size, count * size + 1
    first, last = grid[0], grid[-1]
    faces = np.concatenate(
        [
            np.stack([a, a1, b1], -1).reshape(-1, 3),
            np.stack([a, b1, b], -1).reshape(-1, 3),
            np.stack([np.full(size, start), np.roll(first, -1), first], -1),
            np.stack([np.full(size, end), last, np.roll(last, -1)], -1),
        ]
    )
    uv, faces_uv = _loft_uv(count, size)
    along = np.append(np.repeat(np.linspace(0, 1, count), size), [0.0, 1.0])
    return Part(vertices, faces, uv, faces_uv, along)


def _loft_uv(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Chart of a loft: rings along u, angle along v, the seam column doubled, each cap a thin strip of triangles."""
    u, v = np.meshgrid(np.linspace(0.04, 0.96, count), np.linspace(0, 1, size + 1), indexing="ij")
    middle = (np.arange(size) + 0.5) / size
    caps = [np.stack([np.full(size, value), middle], -1) for value in (0.0, 1.0)]
    uv = np.concatenate([np.stack([u, v], -1).reshape(-1, 2), *caps])
    grid = np.arange(count * (size + 1)).reshape(count, size + 1)
    a, b, a1, b1 = grid[:-1, :-1], grid[1:, :-1], grid[:-1, 1:], grid[1:, 1:]
    start = count * (size + 1) + np.arange(size)
    faces = np.concatenate(
        [
            np.stack([a, a1, b1], -1).reshape(-1, 3),
            np.stack([a, b1, b], -1).reshape(-1, 3),
            np.stack([start, grid[0, 1:], grid[0, :-1]], -1),
            np.stack([start + size, grid[-1, :-1], grid[-1, 1:]], -1),
        ]
    )
    return uv, faces


def tube(
    points: np.ndarray, radii: np.ndarray, sides: int, up=(0.0, 0.0, 1.0), flatten: np.ndarray | float = 1.0
) -> Part:
    """A tube along points [R, 3] with radii [R]; `flatten` scales it along the axis that is nearest to `up`."""
    tangents = np.gradient(points, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    side = np.cross(np.asarray(up, np.float64), tangents)
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
    normal = np.cross(tangents, side)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    height = radii * np.broadcast_to(flatten, radii.shape)
    rings = (
        points[:, None]
        + radii[:, None, None] * np.cos(angle)[None, :, None] * side[:, None]
        + height[:, None, None] * np.sin(angle)[None, :, None] * normal[:, None]
    )
    return loft(rings)


def smooth_path(
    corners: np.ndarray, radii: np.ndarray, count: int, rounding: float = 0.14
) -> tuple[np.ndarray, np.ndarray]:
    """`count` points along a polyline [C, 3] with rounded corners, and the radii [C] interpolated beside them."""
    lengths = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1)))
    fine = np.linspace(0, lengths[-1], 400)
    dense = np.stack(
        [np.interp(fine, lengths, corners[:, i]) for i in range(3)] + [np.interp(fine, lengths, radii)], -1
    )
    width = max(int(400 * rounding) | 1, 3)
    kernel = np.hanning(width + 2)[1:-1]
    kernel /= kernel.sum()
    padded = np.concatenate(
        [2 * dense[:1] - dense[width // 2 : 0 : -1], dense, 2 * dense[-1:] - dense[-2 : -width // 2 - 1 : -1]]
    )
    smooth = np.stack([np.convolve(padded[:, i], kernel, "valid") for i in range(4)], -1)[:400]
    arc = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(smooth[:, :3], axis=0), axis=1)))
    at = np.linspace(0, arc[-1], count)
    return np.stack([np.interp(at, arc, smooth[:, i]) for i in range(3)], -1), np.interp(at, arc, smooth[:, 3])


def ellipsoid(center: np.ndarray, radii: np.ndarray, rings: int, sides: int) -> Part:
    """A closed ellipsoid around `center` with semi-axes `radii`, poles along x."""
    polar = np.linspace(0, np.pi, rings + 2)[1:-1][::-1]
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    unit = np.stack(
        np.broadcast_arrays(
            np.cos(polar)[:, None], np.sin(polar)[:, None] * np.cos(angle), np.sin(polar)[:, None] * np.sin(angle)
        ),
        -1,
    )
    part = loft(np.asarray(center) + unit * radii)
    part.vertices[-2:] = np.asarray(center) + np.array([[-1.0, 0, 0], [1.0, 0, 0]]) * radii
    return part


def capsule_distance(points: np.ndarray, a: np.ndarray, b: np.ndarray, radius_a: float, radius_b: float) -> np.ndarray:
    """Signed distance [N] of points to a tapered capsule (approximate where the taper is strong)."""
    along = np.clip((points - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
    nearest = a + along[:, None] * (b - a)
    return np.linalg.norm(points - nearest, axis=1) - (radius_a + along * (radius_b - radius_a))


def smooth_union_push(distance_self: np.ndarray, distance_other: np.ndarray, blend: float) -> np.ndarray:
    """How far [N] a point at `distance_self` lies inside the smooth union with another solid (polynomial smooth
    minimum)."""
    h = np.clip(0.5 + 0.5 * (distance_other - distance_self) / blend, 0, 1)
    union = distance_other + (distance_self - distance_other) * h - blend * h * (1 - h)
    return np.maximum(-union, 0.0)


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """[N, 3] area-weighted unit normals."""
    corners = vertices[faces]
    face_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.stack(
        [np.bincount(faces.ravel(), np.repeat(face_normals[:, i], 3), len(vertices)) for i in range(3)], -1
    )
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
