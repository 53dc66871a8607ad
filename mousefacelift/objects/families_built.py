"""Families of procedural objects that are built of flat pieces: furniture, towers, crystals."""

import numpy as np

from mousefacelift.objects.patterns import make_pattern
from mousefacelift.objects.surfaces import box, painted

Random = np.random.Generator


def furniture(random: Random) -> list[dict]:
    """Chair, table or shelf of boxes."""
    pattern, other = make_pattern(random), make_pattern(random)
    width, depth, height = random.uniform(0.35, 0.7), random.uniform(0.35, 0.6), random.uniform(0.3, 0.7)
    thick = random.uniform(0.03, 0.07)
    parts = [box((0, 0, 0), (width, depth, thick), pattern)]
    if random.uniform() < 0.3:
        levels = int(random.integers(2, 5))
        parts = [box((0, 0, z), (width, depth * 0.6, thick), pattern) for z in np.linspace(-0.8, 0.8, levels + 1)]
        return parts + [box((s * width, 0, 0), (thick, depth * 0.6, 0.8 + thick), other) for s in (-1, 1)]
    for sx in (-1, 1):
        for sy in (-1, 1):
            parts.append(
                box((sx * (width - thick), sy * (depth - thick), -height / 2), (thick, thick, height / 2), other, 6)
            )
    if random.uniform() < 0.6:
        parts.append(box((0, depth - thick, height * 0.6), (width, thick, height * 0.5), pattern))
    return parts


def tower(random: Random) -> list[dict]:
    """Stacked boxes and a pyramid, as a building or a lamp."""
    parts, z, width = [], -1.0, random.uniform(0.4, 0.7)
    for _ in range(int(random.integers(2, 6))):
        height = random.uniform(0.1, 0.35)
        parts.append(box((0, 0, z + height), (width, width * random.uniform(0.6, 1), height), make_pattern(random)))
        z, width = z + 2 * height, width * random.uniform(0.6, 1.0)
    sides = int(random.integers(3, 9))
    angle = 2 * np.pi * np.arange(sides) / sides
    base = np.stack([width * np.cos(angle), width * np.sin(angle), np.full(sides, z)], -1)
    vertices = np.concatenate([base, [[0, 0, z + random.uniform(0.2, 0.6)], [0, 0, z]]])
    following = (np.arange(sides) + 1) % sides
    faces = [(k, n, sides) for k, n in enumerate(following)] + [(n, k, sides + 1) for k, n in enumerate(following)]
    return [*parts, painted(vertices, np.array(faces), make_pattern(random), flat=True)]


def crystal(random: Random) -> list[dict]:
    """Facets: the convex hull of random points, or a star grown on it."""
    from scipy.spatial import ConvexHull

    points = random.normal(size=(int(random.integers(8, 40)), 3)) * random.uniform(0.5, 1.0, 3)
    hull = ConvexHull(points)
    corners = points[hull.simplices]
    outward = np.einsum(
        "fi,fi->f", np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), corners.mean(1)
    )
    faces = np.where(outward[:, None] < 0, hull.simplices[:, ::-1], hull.simplices)
    if random.uniform() < 0.5:
        tips = points[faces].mean(axis=1) * random.uniform(1.3, 2.2)
        top = len(points) + np.arange(len(faces))
        faces = np.concatenate([np.stack([faces[:, k], faces[:, (k + 1) % 3], top], -1) for k in range(3)])
        points = np.concatenate([points, tips])
    vertices, faces = subdivide(points, faces, 3)
    return [painted(vertices, faces, make_pattern(random), flat=True)]


def subdivide(vertices: np.ndarray, faces: np.ndarray, times: int) -> tuple[np.ndarray, np.ndarray]:
    """Each triangle cut into four, `times` times, vertices not shared."""
    corners = vertices[faces]
    for _ in range(times):
        a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
        ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
        corners = np.concatenate([np.stack(t, 1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
    return corners.reshape(-1, 3), np.arange(len(corners) * 3).reshape(-1, 3)
