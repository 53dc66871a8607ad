"""Families of procedural objects that are zero surfaces of fields: blobs, animals, trees, lattices, gears."""

import math
from collections.abc import Callable

import numpy as np

from mousefacelift.core.compiled import compiled
from mousefacelift.objects.patterns import make_pattern
from mousefacelift.objects.surfaces import implicit

Random = np.random.Generator


FAR = 40.0  # widths of the smooth union beyond which a capsule adds the same next to nothing


def capsules_field(ends: np.ndarray, radii: np.ndarray, smooth: float) -> Callable[[np.ndarray], np.ndarray]:
    """Smooth union of tapered capsules: ends [n, 2, 3], radii [n, 2]; negative inside."""
    ends, radii = np.ascontiguousarray(ends, np.float64), np.ascontiguousarray(radii, np.float64)
    return lambda points: join_capsules(np.ascontiguousarray(points, np.float64), ends, radii, float(smooth))


@compiled(error_model="numpy")
def join_capsules(points, ends, radii, smooth):
    """-smooth log(sum over capsules of exp(-distance / smooth)) at points [P, 3]."""
    values = np.empty(len(points))
    nothing = math.exp(-FAR)
    for p in range(len(points)):
        total = 1e-18
        for k in range(len(ends)):
            bx, by, bz = ends[k, 1, 0] - ends[k, 0, 0], ends[k, 1, 1] - ends[k, 0, 1], ends[k, 1, 2] - ends[k, 0, 2]
            x, y, z = points[p, 0] - ends[k, 0, 0], points[p, 1] - ends[k, 0, 1], points[p, 2] - ends[k, 0, 2]
            along = min(max((x * bx + y * by + z * bz) / max(bx * bx + by * by + bz * bz, 1e-9), 0.0), 1.0)
            x, y, z = x - along * bx, y - along * by, z - along * bz
            distance = math.sqrt(x * x + y * y + z * z) - (radii[k, 0] + along * (radii[k, 1] - radii[k, 0]))
            far = distance / smooth
            total += nothing if far >= FAR else math.exp(-max(far, -20.0))
        values[p] = -smooth * math.log(total)
    return values


def blob(random: Random) -> list[dict]:
    """Melted balls."""
    count = int(random.integers(4, 12))
    centers = random.uniform(-0.6, 0.6, (count, 3))
    ends = np.stack([centers, centers], 1)
    radii = np.repeat(random.uniform(0.15, 0.35, (count, 1)), 2, axis=1)
    return [implicit(capsules_field(ends, radii, 0.05), make_pattern(random))]


def creature(random: Random) -> list[dict]:
    """A four-legged animal: trunk, neck, head, ears, legs with a knee, tail."""
    length, leg, neck = random.uniform(0.35, 0.6), random.uniform(0.25, 0.55), random.uniform(0.1, 0.4)
    girth, head = random.uniform(0.13, 0.24), random.uniform(0.1, 0.17)
    shoulder, hip = np.array([0.0, -length, 0.0]), np.array([0.0, length, random.uniform(-0.05, 0.1)])
    skull = shoulder + [0, -0.15 - 0.3 * neck, neck]
    nose = skull + [0, -random.uniform(0.12, 0.3), -0.06]
    bones = [
        (shoulder, hip, girth, girth * random.uniform(0.8, 1.3)),
        (shoulder, skull, girth * 0.7, head),
        (skull, nose, head, head * 0.5),
    ]
    for side in (-1, 1):
        ear = skull + [side * head * 0.7, 0.03, head * 0.8]
        bones.append((ear, ear + [side * 0.06, 0.03, random.uniform(0.03, 0.2)], 0.05, 0.03))
        for base, bend in ((shoulder, -1), (hip, 1)):
            top = base + [side * girth * 0.8, 0, -girth * 0.3]
            knee = top + [side * 0.03, bend * 0.08, -leg * 0.5]
            foot = top + [side * 0.03, bend * random.uniform(-0.1, 0.1), -leg]
            bones += [
                (top, knee, girth * 0.45, 0.07),
                (knee, foot, 0.07, 0.06),
                (foot, foot + [0, -0.08, 0], 0.06, 0.05),
            ]
    tail = [hip + [0, 0.2, 0.05], hip + [random.uniform(-0.2, 0.2), 0.45, random.uniform(-0.2, 0.3)]]
    bones += [(hip, tail[0], 0.07, 0.05), (tail[0], tail[1], 0.05, 0.03)]
    ends = np.array([(a, b) for a, b, _, _ in bones])
    radii = np.array([(c, d) for _, _, c, d in bones])
    ends = ends - (ends.reshape(-1, 3).max(0) + ends.reshape(-1, 3).min(0)) / 2
    scale = 0.8 / np.abs(ends).max()
    return [implicit(capsules_field(ends * scale, radii * scale, 0.03), make_pattern(random), 72)]


def tree(random: Random) -> list[dict]:
    """A branching trunk, with leaves or bare."""
    ends, radii, tips = [], [], []

    def grow(start, direction, length, radius, depth):
        end = start + direction * length
        ends.append((start, end))
        radii.append((radius, radius * 0.7))
        if depth == 0:
            tips.append(end)
            return
        for _ in range(int(random.integers(2, 4))):
            turned = direction + random.normal(size=3) * 0.55
            grow(end, turned / np.linalg.norm(turned), length * 0.72, radius * 0.65, depth - 1)

    grow(np.array([0, 0, -0.95]), np.array([0, 0, 1.0]), 0.55, 0.1, 3)
    tips = np.array(tips)
    parts = [implicit(capsules_field(np.array(ends), np.array(radii), 0.02), make_pattern(random), 64)]
    if random.uniform() < 0.6:
        crown = np.stack([tips, tips], 1)
        parts.append(
            implicit(capsules_field(crown, np.full((len(tips), 2), 0.14), 0.04), make_pattern(random), 48, 1.4)
        )
    return parts


def lattice(random: Random) -> list[dict]:
    """A periodic minimal surface, thickened and cut to a ball or a cube: high genus."""
    frequency, thick = random.uniform(4, 8), random.uniform(0.25, 0.5)
    kind, ball = int(random.integers(3)), random.uniform() < 0.5

    def field(points):
        x, y, z = (points * frequency).T
        value = [
            np.sin(x) * np.cos(y) + np.sin(y) * np.cos(z) + np.sin(z) * np.cos(x),
            np.cos(x) + np.cos(y) + np.cos(z),
            np.sin(x) * np.sin(y) * np.sin(z) + np.cos(x) * np.cos(y) * np.cos(z),
        ][kind]
        bound = np.linalg.norm(points, axis=1) - 0.95 if ball else np.abs(points).max(axis=1) - 0.72
        return np.maximum((np.abs(value) - thick) / frequency, bound)

    return [implicit(field, make_pattern(random), 72)]


def gear(random: Random) -> list[dict]:
    """A toothed disc with a hole (genus one)."""
    teeth, hole = int(random.integers(6, 18)), random.uniform(0.2, 0.5)
    depth, thick = random.uniform(0.08, 0.2), random.uniform(0.08, 0.3)

    def field(points):
        angle = np.arctan2(points[:, 1], points[:, 0])
        radius = np.hypot(points[:, 0], points[:, 1])
        rim = 0.85 - depth / 2 + depth / 2 * np.tanh(4 * np.sin(teeth * angle))
        return np.maximum.reduce([radius - rim, hole - radius, np.abs(points[:, 2]) - thick])

    return [implicit(field, make_pattern(random), 80)]
