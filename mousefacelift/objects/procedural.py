"""A small collection of procedural textured objects: a stand-in where no Objaverse can be downloaded.

Part of the objects stage. `procedural_object(seed, number)` is a mesh of one of the families below, always the same for
the same seed and number. Families differ in topology: solids, tubes and knots, linked rings, lattices of high genus,
furniture of many parts, open two-sided sheets, cut-out cards, glass. The samples say `collection: procedural`; nobody
should take them for Objaverse.
"""

from collections.abc import Callable

import numpy as np

from mousefacelift.objects.mesh import BLEND, MASK, Mesh, join_parts
from mousefacelift.objects.patterns import make_pattern
from mousefacelift.objects.surfaces import box, implicit, painted, sheet, tube

Random = np.random.Generator


def power(x: np.ndarray, exponent: float) -> np.ndarray:
    """Signed power; rounding noise about zero counts as zero (its small power would tear a seam)."""
    return np.where(np.abs(x) < 1e-9, 0.0, np.sign(x) * np.abs(x) ** exponent)


def superquadric(random: Random) -> list[dict]:
    """Pillow, star, box or spindle: a superquadric ellipsoid."""
    e1, e2 = random.uniform(0.2, 1.8, 2)
    size = random.uniform(0.4, 1.0, 3)

    def shape(u, v):
        a, b = 2 * np.pi * u, np.pi * (v - 0.5)
        ring = power(np.cos(b), e1)
        return np.stack([ring * power(np.cos(a), e2), ring * power(np.sin(a), e2), power(np.sin(b), e1)], -1) * size

    return [sheet(shape, make_pattern(random), 64, 96)]


def supershape(random: Random) -> list[dict]:
    """Gielis' superformula in both angles: flowers, starfish, gourds."""
    lobes = random.integers(2, 9, 2)
    n = random.uniform(0.6, 4.0, (2, 3))

    def radius(angle, k):
        c, s = np.abs(np.cos(lobes[k] * angle / 4)), np.abs(np.sin(lobes[k] * angle / 4))
        return np.clip((c ** n[k, 1] + s ** n[k, 2]) ** (-1 / n[k, 0]), 0.2, 1.6)

    def shape(u, v):
        a, b = 2 * np.pi * u - np.pi, np.pi * (v - 0.5)
        r, s = radius(a, 0), radius(b, 1)
        return np.stack([r * np.cos(a) * s * np.cos(b), r * np.sin(a) * s * np.cos(b), s * np.sin(b)], -1)

    return [sheet(shape, make_pattern(random), 80, 120)]


def profile(random: Random) -> Callable[[np.ndarray], np.ndarray]:
    """A smooth positive radius along the height [0, 1]."""
    waves = random.normal(size=3) * [0.25, 0.15, 0.08]
    phases = random.uniform(0, 2 * np.pi, 3)
    return lambda t: np.clip(0.5 + np.sin(np.asarray(t)[..., None] * np.pi * [1, 2, 3] + phases) @ waves, 0.15, 1)


def vessel_parts(random: Random, height: float) -> tuple[list[dict], Callable]:
    """A lathed vessel with a wall and an inside."""
    radius, wall = profile(random), 0.05

    def shape(u, v):
        t = np.where(v < 0.5, 2 * v, 2 - 2 * v)
        bottom = np.clip(np.where(v < 0.5, t / 0.03, (t - 0.05) / 0.03), 0, 1)
        r = (radius(t) - np.where(v < 0.5, 0, wall)) * bottom
        z = height * (np.where(v < 0.5, t, np.maximum(t, 0.05)) - 0.5) * 2
        return np.stack([r * np.cos(2 * np.pi * u), r * np.sin(2 * np.pi * u), z], -1)

    return [sheet(shape, make_pattern(random), 120, 72)], radius


def vase(random: Random) -> list[dict]:
    """Vase, bowl or bottle."""
    return vessel_parts(random, random.uniform(0.4, 1.2))[0]


def mug(random: Random) -> list[dict]:
    """A vessel with a handle (a ring joined to a wall: genus one)."""
    parts, radius = vessel_parts(random, random.uniform(0.5, 0.8))
    lean, offset = random.uniform(0.2, 0.35), float(radius(np.array(0.5)))

    def path(t):
        a = np.pi * (t - 0.5) * 1.1
        return np.stack([offset - 0.06 + lean * np.cos(a) * 1.6, 0 * a, lean * 1.2 * np.sin(a)], -1)

    return [*parts, tube(path, random.uniform(0.04, 0.08), make_pattern(random), 40)]


def knot(random: Random) -> list[dict]:
    """A torus knot as a tube."""
    p, q = [(2, 3), (3, 2), (2, 5), (3, 4), (1, 4), (5, 2)][int(random.integers(6))]
    thick, lift = random.uniform(0.08, 0.16), random.uniform(0.25, 0.45)

    def path(t):
        a = 2 * np.pi * t
        r = 0.8 + lift * np.cos(q * a)
        return np.stack([r * np.cos(p * a), r * np.sin(p * a), lift * 1.4 * np.sin(q * a)], -1)

    return [tube(path, thick, make_pattern(random), 260, 20, 512)]


def chain(random: Random) -> list[dict]:
    """Linked rings that do not touch."""
    count, thick = int(random.integers(2, 6)), random.uniform(0.07, 0.13)
    parts = []
    for k in range(count):
        turn = (k % 2) * np.pi / 2 + random.uniform(-0.3, 0.3)

        def path(t, k=k, turn=turn):
            a = 2 * np.pi * t
            flat = 0.32 * np.sin(a)
            return np.stack([0.42 * np.cos(a) + 0.5 * k, flat * np.cos(turn), flat * np.sin(turn)], -1)

        parts.append(tube(path, thick, make_pattern(random), 64, 18))
    return parts


def spring(random: Random) -> list[dict]:
    """A helix that widens or narrows."""
    turns, taper = random.uniform(3, 7), random.uniform(-0.5, 0.5)
    thick = random.uniform(0.05, 0.1)

    def path(t):
        r = 0.6 * (1 + taper * (t - 0.5))
        a = 2 * np.pi * turns * t
        return np.stack([r * np.cos(a), r * np.sin(a), 1.6 * (t - 0.5)], -1)

    return [tube(path, lambda t: thick * np.minimum(1, np.minimum(t, 1 - t) * 60 + 1e-3), make_pattern(random), 300, 16)]


def capsules_field(ends: np.ndarray, radii: np.ndarray, smooth: float) -> Callable[[np.ndarray], np.ndarray]:
    """Smooth union of tapered capsules: ends [n, 2, 3], radii [n, 2]; negative inside."""

    def field(points):
        total = np.zeros(len(points))
        for (a, b), (ra, rb) in zip(ends, radii):
            along = np.clip((points - a) @ (b - a) / max((b - a) @ (b - a), 1e-9), 0, 1)
            distance = np.linalg.norm(points - a - along[:, None] * (b - a), axis=1) - (ra + along * (rb - ra))
            total += np.exp(-np.clip(distance / smooth, -20, 40))
        return -smooth * np.log(total + 1e-18)

    return field


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
    bones = [(shoulder, hip, girth, girth * random.uniform(0.8, 1.3)), (shoulder, skull, girth * 0.7, head),
             (skull, nose, head, head * 0.5)]  # fmt: skip
    for side in (-1, 1):
        ear = skull + [side * head * 0.7, 0.03, head * 0.8]
        bones.append((ear, ear + [side * 0.06, 0.03, random.uniform(0.03, 0.2)], 0.05, 0.03))
        for base, bend in ((shoulder, -1), (hip, 1)):
            top = base + [side * girth * 0.8, 0, -girth * 0.3]
            knee = top + [side * 0.03, bend * 0.08, -leg * 0.5]
            foot = top + [side * 0.03, bend * random.uniform(-0.1, 0.1), -leg]
            bones += [(top, knee, girth * 0.45, 0.07), (knee, foot, 0.07, 0.06), (foot, foot + [0, -0.08, 0], 0.06, 0.05)]
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
        parts.append(implicit(capsules_field(crown, np.full((len(tips), 2), 0.14), 0.04), make_pattern(random), 48, 1.4))
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
            parts.append(box((sx * (width - thick), sy * (depth - thick), -height / 2), (thick, thick, height / 2), other, 6))
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


def crystal(random: Random) -> list[dict]:
    """Facets: the convex hull of random points, or a star grown on it."""
    from scipy.spatial import ConvexHull

    points = random.normal(size=(int(random.integers(8, 40)), 3)) * random.uniform(0.5, 1.0, 3)
    hull = ConvexHull(points)
    corners = points[hull.simplices]
    outward = np.einsum("fi,fi->f", np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), corners.mean(1))
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


def ribbon(random: Random) -> list[dict]:
    """An open two-sided band with half turns: a Moebius strip when their number is odd."""
    half_turns, width = int(random.integers(1, 6)), random.uniform(0.2, 0.4)

    def shape(u, v):
        a, s = 2 * np.pi * u, (v - 0.5) * 2 * width
        r = 0.8 + s * np.cos(half_turns * a / 2)
        return np.stack([r * np.cos(a), r * np.sin(a), s * np.sin(half_turns * a / 2)], -1)

    return [sheet(shape, make_pattern(random), 16, 200)]


def plant(random: Random) -> list[dict]:
    """Cut-out leaves on cards (alpha MASK) around a stem."""
    stem = tube(lambda t: np.stack([0.05 * np.sin(6 * t), 0 * t, 1.8 * t - 0.95], -1), 0.03, make_pattern(random), 40, 10)
    parts, pattern, fingers = [stem], make_pattern(random), int(random.integers(1, 7))
    for k in range(int(random.integers(6, 16))):
        turn, tilt, at = 2.4 * k, random.uniform(0.1, 1.0), random.uniform(-0.5, 0.8)
        out = np.array([np.cos(turn) * np.cos(tilt), np.sin(turn) * np.cos(tilt), np.sin(tilt)])
        side = np.array([-np.sin(turn), np.cos(turn), 0])
        size = random.uniform(0.3, 0.6)

        def shape(u, v, out=out, side=side, size=size, at=at):
            droop = np.array([0, 0, -0.4]) * (v**2)[..., None]
            return (v[..., None] * out + (u - 0.5)[..., None] * side + droop) * size + [0, 0, at]

        def alpha(u, v):
            edge = np.sin(np.pi * v) * (0.35 + 0.12 * np.cos(2 * np.pi * fingers * v))
            return np.abs(u - 0.5) < edge

        parts.append(sheet(shape, pattern, 8, 8, 64, alpha, MASK))
    return parts


def lantern(random: Random) -> list[dict]:
    """A translucent shell (alpha BLEND) around a solid core."""
    core = superquadric(random)
    for part in core:
        part["vertices"] = part["vertices"] * 0.5
    opacity, squash = random.uniform(0.2, 0.5), random.uniform(0.7, 1.0)

    def shape(u, v):
        a, b = 2 * np.pi * u, np.pi * (v - 0.5)
        return np.stack([np.cos(b) * np.cos(a), np.cos(b) * np.sin(a), squash * np.sin(b)], -1)

    return [*core, sheet(shape, make_pattern(random), 40, 64, 128, lambda u, v: np.full(u.shape, opacity), BLEND)]


FAMILIES = (
    superquadric, supershape, vase, mug, knot, chain, spring, blob, creature, tree, lattice, furniture, tower, gear,
    crystal, ribbon, plant, lantern, creature, blob,
)  # fmt: skip


def procedural_object(seed: int, number: int) -> Mesh:
    """Object `number` of the collection `seed`, in a random upright orientation, Z up."""
    random = np.random.default_rng([seed, number])
    family = FAMILIES[number % len(FAMILIES)]
    turn = random.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1.0]])
    mesh = join_parts(family(random), rotation)
    mesh.meta.update(family=family.__name__, collection="procedural")
    return mesh
