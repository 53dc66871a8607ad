"""Families of random compositions of simple solids, with three measured ingredients: cuts, height fields, wire frames.

Part of the objects stage. After the words of LRM-Zero (Xie et al. 2024, arXiv 2406.09371), whose Zeroverse composes
cubes, balls, cylinders, cones and tori at random and augments them by height fields, boolean differences and wire
frames, and reports that data too complex makes training diverge; MegaSynth (Jiang et al. 2024, arXiv 2412.14166) builds
scenes of such parts and holds their complexity down for the same reason. Unlike theirs, the two to five parts here
touch: the mouse is one body. What each ingredient is worth here is measured (docs/objects.md), not taken over.
Solids are signed fields of unit size; a part is at most a few of them.
"""

from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation

from mousefacelift.objects.mesh import smooth_normals
from mousefacelift.objects.patterns import make_noise, make_pattern
from mousefacelift.objects.surfaces import implicit, painted

Random = np.random.Generator
Field = Callable[[np.ndarray], np.ndarray]


def box_field(points: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Distance to a box."""
    outside = np.abs(points) - half
    return np.linalg.norm(np.maximum(outside, 0), axis=1) + np.minimum(outside.max(axis=1), 0)


def make_solid(random: Random, size: float) -> Field:
    """A turned ball, box, cylinder, cone or ring of about `size`, negative inside."""
    kind, half = int(random.integers(5)), size * random.uniform(0.45, 1.0, 3)
    turned = Rotation.from_rotvec(random.normal(size=3)).as_matrix()

    def solid(points: np.ndarray) -> np.ndarray:
        p = points @ turned
        across = np.hypot(p[:, 0], p[:, 1])
        if kind == 0:
            return (np.linalg.norm(p / half, axis=1) - 1) * half.min()
        if kind == 1:
            return box_field(p, half)
        if kind == 2:
            return np.maximum(across - half[0], np.abs(p[:, 2]) - half[2])
        if kind == 3:
            slope = half[0] * (0.5 - p[:, 2] / (2 * half[2]))
            return np.maximum((across - slope) * 0.7, np.abs(p[:, 2]) - half[2])
        return np.hypot(across - 0.7 * half[0], p[:, 2]) - 0.28 * half[0]

    return solid


def shift(field: Field, place: np.ndarray) -> Field:
    """The field moved to `place`."""
    return lambda points: field(points - place)


def layout(random: Random) -> list[tuple[np.ndarray, float]]:
    """Places and sizes of two to five solids that touch: each next one stands on the rim of an earlier one."""
    places = [(np.zeros(3), random.uniform(0.4, 0.55))]
    for _ in range(int(random.integers(1, 5))):
        base, reach = places[int(random.integers(len(places)))]
        size = random.uniform(0.2, 0.45)
        direction = random.normal(size=3)
        place = base + direction / np.linalg.norm(direction) * reach * random.uniform(0.5, 0.9)
        places.append((np.clip(place, size - 1, 1 - size), size))
    return places


def composition(random: Random) -> list[dict]:
    """A few solids that touch, each with a pattern of its own."""
    return [
        implicit(shift(make_solid(random, size), place), make_pattern(random), 40) for place, size in layout(random)
    ]


def carved(random: Random) -> list[dict]:
    """A composition with boolean cuts: solids are taken away from each part, so that holes and hollows are seen."""
    parts = []
    for place, size in layout(random):
        body = shift(make_solid(random, size), place)
        tools = []
        for _ in range(int(random.integers(1, 3))):
            direction = random.normal(size=3)
            rim = place + direction / np.linalg.norm(direction) * size * random.uniform(0.5, 0.9)
            tools.append(shift(make_solid(random, size * random.uniform(0.5, 0.8)), rim))

        def field(points, body=body, tools=tools):
            return np.maximum.reduce([body(points), *(-tool(points) for tool in tools)])

        part = implicit(field, make_pattern(random), 48)
        if len(part["faces"]):
            parts.append(part)
    return parts or composition(random)


def relief(random: Random) -> list[dict]:
    """A composition whose surfaces carry a height field: bumps and dents along the normal of each part."""
    parts = []
    for place, size in layout(random)[:3]:
        noise, height = make_noise(random, random.uniform(2.0, 5.0), 3), size * random.uniform(0.06, 0.18)
        body = shift(make_solid(random, size * 0.9), place)

        def field(points, body=body, noise=noise, height=height):
            values = body(points)
            near = np.abs(values) < 2 * height  # farther off a bump of at most `height` changes no sign
            values[near] -= height * np.tanh(noise(points[near]))
            return values

        part = implicit(field, make_pattern(random), 56)
        if len(part["faces"]):
            parts.append(part)
    return parts or composition(random)


def wireframe(random: Random) -> list[dict]:
    """A solid as the bars of its edges, with or without a body inside: thin parts that a coarse model would lose."""
    from scipy.spatial import ConvexHull

    points = random.normal(size=(int(random.integers(6, 14)), 3))
    points *= random.uniform(0.75, 0.95, (len(points), 1)) / np.linalg.norm(points, axis=1, keepdims=True)
    hull = ConvexHull(points)
    edges = np.unique(np.sort(np.concatenate([hull.simplices[:, [k, (k + 1) % 3]] for k in range(3)]), axis=1), axis=0)
    radius, pattern = random.uniform(0.012, 0.04), make_pattern(random)
    parts = [bars(points[edges[:, 0]], points[edges[:, 1]], radius, pattern)]
    if random.uniform() < 0.5:
        parts.append(implicit(make_solid(random, random.uniform(0.3, 0.5)), make_pattern(random), 40))
    return parts


def bars(starts: np.ndarray, ends: np.ndarray, radius: float, pattern, sides: int = 8, steps: int = 8) -> dict:
    """Round bars from `starts` to `ends` [n, 3] as one painted part, closed at both ends by their overlap."""
    along = ends - starts
    axis = along / np.linalg.norm(along, axis=1, keepdims=True)
    side = np.cross(axis, np.where(np.abs(axis[:, :1]) < 0.8, [[1.0, 0, 0]], [[0, 1.0, 0]]))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    other = np.cross(axis, side)
    angle = 2 * np.pi * np.arange(sides) / sides
    round_ = np.cos(angle)[:, None, None] * side + np.sin(angle)[:, None, None] * other  # [sides, n, 3]
    reach = np.linspace(0, 1, steps + 1)[:, None, None, None]
    rings = starts + reach * along + radius * round_[None]  # [steps + 1, sides, n, 3]
    first = (np.arange(steps)[:, None] * sides + np.arange(sides)).reshape(-1)
    right = (np.arange(steps)[:, None] * sides + (np.arange(sides) + 1) % sides).reshape(-1)
    quads = np.concatenate(
        [np.stack([first, right, right + sides], -1), np.stack([first, right + sides, first + sides], -1)]
    )
    count, each = len(starts), (steps + 1) * sides
    vertices = rings.transpose(2, 0, 1, 3).reshape(-1, 3)
    faces = (quads[None] + each * np.arange(count)[:, None, None]).reshape(-1, 3)
    return painted(vertices, faces, pattern) | {"normals": smooth_normals(vertices, faces)}
