"""Polygons of OBJ and PLY files as triangles: fans, and ears where a polygon is not convex.

Part of the objects stage. A fan of a polygon with a dent covers what the polygon leaves out: a ring drawn as one
polygon would become a disc.
"""

import numpy as np


def split_polygons(sizes: np.ndarray, owners: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[F, 3] rows of the table of corners, and [F] the owner of each triangle.

    Args:
        sizes: [N] corners of each polygon, in the order of the table. owners: [N].
        places: [C, 3] where each corner of the table lies.
    """
    starts = np.cumsum(sizes) - sizes
    count = np.maximum(sizes - 2, 0)
    first = np.repeat(starts, count)
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    fans, number = np.stack([first, first + step + 1, first + step + 2], -1), np.repeat(np.arange(len(sizes)), count)
    dented = find_dented(places[fans[sizes[number] > 3]], number[sizes[number] > 3], len(sizes))
    if not len(dented):
        return fans, owners[number]
    kept = ~np.isin(number, dented)
    faces, numbers = [fans[kept]], [number[kept]]
    for polygon in dented:
        corner = starts[polygon] + np.arange(sizes[polygon])
        faces.append(corner[cut_ears(flatten(places[corner]))])
        numbers.append(np.full(len(faces[-1]), polygon))
    number = np.concatenate(numbers)
    order = np.argsort(number, kind="stable")
    return np.concatenate(faces)[order], owners[number[order]]


def find_dented(corners: np.ndarray, number: np.ndarray, count: int) -> np.ndarray:
    """Numbers, below `count`, of the polygons of which a triangle of the fan [F, 3, 3] faces the other way."""
    areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    whole = np.stack([np.bincount(number, areas[:, axis], count) for axis in range(3)], -1)[number]
    against = np.einsum("fi,fi->f", areas, whole) < -1e-6 * np.einsum("fi,fi->f", whole, whole)
    return np.unique(number[against])


def flatten(places: np.ndarray) -> np.ndarray:
    """[K, 2] of the corners [K, 3] of a polygon, seen so that it runs counter-clockwise."""
    normal = np.cross(places - places[0], np.roll(places, -1, axis=0) - places[0]).sum(axis=0)
    normal /= np.linalg.norm(normal)
    side = np.cross(normal, np.eye(3)[np.argmin(np.abs(normal))])
    side /= np.linalg.norm(side)
    return np.stack([places @ side, places @ np.cross(normal, side)], -1)


def cut_ears(points: np.ndarray) -> np.ndarray:
    """[K - 2, 3] corners of the triangles of a counter-clockwise polygon [K, 2], convex or not (Meisters 1975).

    Corners that lie at one place, as where a hole is joined to the outline, do not hinder an ear that touches them. Of
    a polygon that crosses itself no ear may be left: then the widest corner is cut, so that it ends.
    """
    left, triangles = list(range(len(points))), []
    while len(left) > 3:
        around = points[left]
        before, after = np.roll(around, 1, axis=0), np.roll(around, -1, axis=0)
        turn = cross(around - before, after - around)
        best = None
        for k in np.argsort(-turn, kind="stable"):
            if turn[k] <= 0:
                break
            a, b, c = before[k], around[k], after[k]
            inside = (cross(b - a, around - a) >= 0) & (cross(c - b, around - b) >= 0) & (cross(a - c, around - c) >= 0)
            at_corner = (around[:, None] == np.stack([a, b, c])).all(axis=2).any(axis=1)
            if not (inside & ~at_corner).any():
                best = k
                break
        if best is None:
            best = int(np.argmax(turn))
        triangles.append([left[best - 1], left[best], left[(best + 1) % len(left)]])
        del left[best]
    return np.array([*triangles, left])


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Third component of the cross product of vectors [..., 2]."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
