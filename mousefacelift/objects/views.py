"""Cameras around an object: the published ring, and random orbits with any intrinsics.

Part of the objects stage.
"""

import numpy as np

from mousefacelift.core.cameras import Camera, canonical_fxfycxcy, orbit
from mousefacelift.objects.config import ViewsConfig


def object_cameras(config: ViewsConfig, size: int, seed: list[int]) -> list[Camera]:
    """`config.ring` cameras at equal azimuth steps from azimuth 0, then `config.random` drawn from `seed`."""
    intrinsics = canonical_fxfycxcy(size)
    cameras = [
        orbit(k * 360.0 / config.ring, config.elevation, config.distance, intrinsics, size, size)
        for k in range(config.ring)
    ]
    random = np.random.default_rng(seed)
    for _ in range(config.random):
        azimuth = random.uniform(0, 360)
        elevation = random.uniform(*config.random_elevation)
        distance = random.uniform(*config.random_distance)
        shift = random.uniform(-1, 1, 2) * config.random_offset * size
        zoom = random.uniform(*config.random_zoom)
        fxfycxcy = intrinsics * [zoom, zoom, 1, 1] + [0, 0, *shift]
        cameras.append(orbit(azimuth, elevation, distance, fxfycxcy, size, size))
    return cameras
