"""Families of procedural objects that are sheets and tubes: pillows, vessels, knots, chains, springs, bands, leaves,
glass."""

from collections.abc import Callable

import numpy as np

from mousefacelift.objects.mesh import BLEND, MASK
from mousefacelift.objects.patterns import make_pattern
from mousefacelift.objects.surfaces import sheet, tube

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

    return [
        tube(path, lambda t: thick * np.minimum(1, np.minimum(t, 1 - t) * 60 + 1e-3), make_pattern(random), 300, 16)
    ]


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
    stem = tube(
        lambda t: np.stack([0.05 * np.sin(6 * t), 0 * t, 1.8 * t - 0.95], -1), 0.03, make_pattern(random), 40, 10
    )
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
