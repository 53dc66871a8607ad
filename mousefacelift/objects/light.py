"""The light that objects stand in: lamps fixed in the world and an ambient sphere, so that all views agree.

Part of the objects stage. Lamps are directional. The ambient sphere is kept as nine spherical-harmonic irradiance
coefficients (Ramamoorthi and Hanrahan 2001, equations 12-13): exact enough for matt surfaces, and free to evaluate.
No cast shadows and no highlights: a surface point has the same colour from everywhere, which is what a
reconstructor with view-independent colour can learn from.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mousefacelift.errors import ConfigError, DataError


@dataclass(frozen=True)
class Light:
    """Directional lamps and ambient irradiance.

    Attributes:
        directions: [L, 3] float32 unit vectors toward the lamps, world.
        lamps: [L, 3] float32 linear RGB that a white surface facing the lamp returns.
        ambient: [9, 3] float32 irradiance coefficients over pi, see `irradiance_basis`.
    """

    directions: np.ndarray
    lamps: np.ndarray
    ambient: np.ndarray

    def table(self) -> np.ndarray:
        """[9 + 2 L, 3] float64: the ambient coefficients, then direction and colour of each lamp in turn."""
        lamps = np.stack([self.directions, self.lamps], axis=1).reshape(-1, 3)
        return np.concatenate([self.ambient, lamps]).astype(np.float64)


def flat_light() -> Light:
    """Every surface shows its own base colour: no shading at all."""
    ambient = np.zeros((9, 3), np.float32)
    ambient[0] = 1.0
    return Light(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), ambient)


def three_point_light(seed: int | None = None) -> Light:
    """Key, fill and rim lamp with a sky brighter than the floor; `seed` turns and varies it, None is the fixed
    studio."""
    turn, warmth, key = 0.0, 0.0, 0.62
    if seed is not None:
        random = np.random.default_rng(seed)
        turn, warmth, key = random.uniform(0, 360), random.uniform(-0.06, 0.06), random.uniform(0.45, 0.75)
    angles = np.radians([[-60.0 + turn, 50.0], [40.0 + turn, 20.0], [160.0 + turn, 35.0]])
    directions = np.stack(
        [
            np.cos(angles[:, 1]) * np.cos(angles[:, 0]),
            np.cos(angles[:, 1]) * np.sin(angles[:, 0]),
            np.sin(angles[:, 1]),
        ],
        -1,
    )
    tint = np.array([[1 + warmth, 1.0, 1 - warmth], [1 - warmth, 1.0, 1 + warmth], [1.0, 1.0, 1.0]])
    lamps = np.array([[key], [0.22], [0.25]]) * tint
    ambient = np.zeros((9, 3), np.float32)
    ambient[0] = 0.36
    ambient[2] = 0.10
    return Light(directions.astype(np.float32), lamps.astype(np.float32), ambient)


def irradiance_basis(normals: np.ndarray) -> np.ndarray:
    """[..., 9] real harmonics up to degree 2, unnormalised: 1, y, z, x, xy, yz, 3z^2-1, xz, x^2-y^2."""
    x, y, z = normals[..., 0], normals[..., 1], normals[..., 2]
    return np.stack([np.ones_like(x), y, z, x, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y], -1)


def environment_light(panorama: np.ndarray, strength: float = 1.0) -> Light:
    """Irradiance of an equirectangular picture around the object.

    Args:
        panorama: [h, 2h, 3] linear radiance; row 0 is +z, the middle column is azimuth 0 (+x), azimuth grows leftward.
        strength: factor.
    """
    height, width = panorama.shape[:2]
    polar = (np.arange(height) + 0.5) / height * np.pi
    azimuth = np.pi - (np.arange(width) + 0.5) / width * 2 * np.pi
    polar, azimuth = np.meshgrid(polar, azimuth, indexing="ij")
    directions = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], -1)
    solid_angle = np.sin(polar) * (np.pi / height) * (2 * np.pi / width)
    basis = irradiance_basis(directions)
    norms = np.array([1, 3, 3, 3, 15, 15, 1.25, 15, 3.75]) / (4 * np.pi)  # 1 / integral of each basis function squared
    cosine = np.array([1, 2 / 3, 2 / 3, 2 / 3, 1 / 4, 1 / 4, 1 / 4, 1 / 4, 1 / 4])  # A_l / pi
    moments = np.einsum("hwk,hwc,hw->kc", basis, panorama, solid_angle)
    ambient = strength * moments * (norms * cosine)[:, None]
    return Light(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), ambient.astype(np.float32))


def read_panorama(path: Path) -> np.ndarray:
    """[h, w, 3] linear radiance of a .hdr file or of an .npy array."""
    import cv2

    path = Path(path)
    if not path.exists():
        raise DataError("the environment picture is not there", where=str(path), hint="mend objects.light.environment")
    if path.suffix == ".npy":
        return np.load(path).astype(np.float64)
    picture = cv2.imread(str(path), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR)
    if picture is None or picture.dtype != np.float32:
        raise DataError(
            "not a high-dynamic-range picture", where=str(path), expected=".hdr or .npy with linear radiance"
        )
    return picture[..., ::-1].astype(np.float64)


def make_light(kind: str, environment: str | None = None, strength: float = 1.0, seed: int | None = None) -> Light:
    """The light a configuration asks for: three_point, environment or flat."""
    if kind == "three_point":
        return three_point_light(seed)
    if kind == "flat":
        return flat_light()
    if kind == "environment":
        if environment is None:
            raise ConfigError(
                "light kind 'environment' needs a picture", hint="set objects.light.environment to a .hdr file"
            )
        return environment_light(read_panorama(Path(environment)), strength)
    raise ConfigError("unknown light", got=kind, expected="three_point, environment or flat")
