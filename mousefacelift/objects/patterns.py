"""Solid patterns: linear colours as functions of a point, for the procedural collection.

Part of the objects stage. A pattern is made once from a seeded generator and can then be asked at any points; asked
twice it answers the same.
"""

from collections.abc import Callable

import numpy as np
from scipy.spatial import cKDTree

Pattern = Callable[[np.ndarray], np.ndarray]  # points [..., 3] -> linear RGB [..., 3]


def hsv_to_linear(hue: float, saturation: float, value: float) -> np.ndarray:
    """[3] linear RGB of an sRGB colour given as hue, saturation, value in [0, 1]."""
    ramp = np.abs((hue * 6.0 + np.array([0.0, 4.0, 2.0])) % 6.0 - 3.0) - 1.0
    return (value * (1 - saturation + saturation * np.clip(ramp, 0, 1))) ** 2.2


def make_palette(random: np.random.Generator, count: int = 4) -> np.ndarray:
    """[count, 3] linear colours around a few hues, from dark to light in random order."""
    hue = random.uniform()
    offsets = random.choice([0.0, 0.08, 0.33, 0.5, 0.58], size=count)
    colors = [
        hsv_to_linear((hue + offset) % 1.0, random.uniform(0.05, 0.85), value)
        for offset, value in zip(offsets, random.permutation(np.linspace(0.2, 0.95, count)))
    ]
    return np.array(colors)


def make_noise(random: np.random.Generator, frequency: float, octaves: int = 3) -> Callable[[np.ndarray], np.ndarray]:
    """Smooth scalar noise of about unit spread: waves of random direction, half as strong at twice the frequency."""
    waves = [random.normal(size=(10, 3)) * frequency * 2**k for k in range(octaves)]
    phases = [random.uniform(0, 2 * np.pi, 10) for _ in range(octaves)]

    def noise(points: np.ndarray) -> np.ndarray:
        points = points + 0.0
        total = np.zeros(points.shape[:-1])
        for k in range(octaves):
            total += np.cos(points @ waves[k].T + phases[k]).mean(axis=-1) * 0.5**k
        return total * 3.0

    return noise


def blend(colors: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Colours [..., 3] at positions [0, 1] along the palette."""
    place = np.clip(where, 0, 1) * (len(colors) - 1)
    low = np.minimum(place.astype(int), len(colors) - 2)
    part = (place - low)[..., None]
    return colors[low] * (1 - part) + colors[low + 1] * part


def stripes(random: np.random.Generator, colors: np.ndarray) -> Pattern:
    """Bands across a random direction, bent by noise."""
    direction = random.normal(size=3)
    direction *= random.uniform(8, 24) / np.linalg.norm(direction)
    noise, bend, edge = make_noise(random, 2.0), random.uniform(0, 2.0), random.uniform(3, 20)
    return lambda p: blend(colors[:2], 0.5 + np.tanh(edge * np.sin(p @ direction + bend * noise(p))) / 2)


def spots(random: np.random.Generator, colors: np.ndarray) -> Pattern:
    """Round spots of another colour."""
    centers = random.uniform(-1, 1, size=(int(random.integers(40, 200)), 3))
    tree, radius = cKDTree(centers), random.uniform(0.08, 0.2)
    return lambda p: blend(
        colors[:2], 0.5 + np.tanh(60 * (radius - tree.query(p.reshape(-1, 3))[0])).reshape(p.shape[:-1]) / 2
    )


def checker(random: np.random.Generator, colors: np.ndarray) -> Pattern:
    """Cubes of two colours."""
    size, offset = random.uniform(0.12, 0.4), random.uniform(0, 1, 3)
    return lambda p: colors[(np.floor(p / size + offset).astype(int).sum(axis=-1) % 2)]


def cells(random: np.random.Generator, colors: np.ndarray) -> Pattern:
    """Voronoi cells, each of one colour of the palette."""
    tree = cKDTree(random.uniform(-1, 1, size=(int(random.integers(30, 150)), 3)))
    owner = random.integers(0, len(colors), size=tree.n)
    return lambda p: colors[owner[tree.query(p.reshape(-1, 3))[1]]].reshape(p.shape)


def marble(random: np.random.Generator, colors: np.ndarray) -> Pattern:
    """Veins: the palette along folded noise."""
    noise = make_noise(random, random.uniform(1.5, 4.0), 4)
    return lambda p: blend(colors, np.abs(noise(p)) * 0.9)


def wood(random: np.random.Generator, colors: np.ndarray) -> Pattern:
    """Rings around a tilted axis."""
    axis = random.normal(size=3) * [0.2, 0.2, 1.0]
    axis /= np.linalg.norm(axis)
    noise, rings = make_noise(random, 1.5), random.uniform(6, 16)

    def pattern(points: np.ndarray) -> np.ndarray:
        radius = np.linalg.norm(points - (points @ axis)[..., None] * axis, axis=-1)
        return blend(colors[:3], (rings * radius + 0.6 * noise(points)) % 1.0)

    return pattern


def patches(random: np.random.Generator, colors: np.ndarray) -> Pattern:
    """Large irregular patches, as on a piebald coat."""
    noise = make_noise(random, random.uniform(1.5, 4.0), 3)
    return lambda p: blend(colors[:3], 0.5 + np.tanh(8 * noise(p)) / 2)


def gradient(random: np.random.Generator, colors: np.ndarray) -> Pattern:
    """The palette along a random direction, with fine noise."""
    direction = random.normal(size=3)
    direction /= np.linalg.norm(direction) * 2
    noise = make_noise(random, 12.0, 2)
    return lambda p: blend(colors, 0.5 + p @ direction + 0.08 * noise(p))


PATTERNS = (stripes, spots, checker, cells, marble, wood, patches, gradient)


def make_pattern(random: np.random.Generator) -> Pattern:
    """A random pattern with a random palette."""
    return PATTERNS[int(random.integers(len(PATTERNS)))](random, make_palette(random))
