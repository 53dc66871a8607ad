"""Light on the animal and its shadow on the floor: many distant lights, one small depth map each, shared by all
cameras."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mousefacelift.core.compiled import compiled
from mousefacelift.virtual.loft import vertex_normals
from mousefacelift.virtual.raster import fill_depth

MAP_SIZE = 144  # pixels of a light's depth map
SHADOW_STEP = 1.0  # mm per texel of the floor's shadow map
SHADOW_MARGIN = 60.0  # mm around the animal that the shadow map covers
_FAR = 1e9


@dataclass(frozen=True)
class Lights:
    """L distant lights: unit directions toward them [L, 3], weights [L] that sum to 1 on the floor, and whether each is
    a lamp."""

    directions: np.ndarray
    weights: np.ndarray
    is_lamp: np.ndarray


def studio_lights(dome: int = 18) -> Lights:
    """A soft dome over the table and two lamps of some size, as in the room of the public recording."""
    i = np.arange(dome) + 0.5
    elevation = np.arcsin(np.sqrt(0.06 + 0.94 * i / dome))
    azimuth = i * np.pi * (3 - np.sqrt(5))
    directions = [_direction(azimuth, elevation)]
    irradiance = [np.full(dome, 0.52 / dome)]
    for lamp_azimuth, lamp_elevation, power in ((2.2, 1.02, 0.30), (-1.0, 0.92, 0.18)):
        offset = np.array([(-1, -1), (1, -1), (-1, 1), (1, 1), (0, 0)]) * 0.085
        directions.append(_direction(lamp_azimuth + 1.4 * offset[:, 0], lamp_elevation + offset[:, 1]))
        irradiance.append(np.full(5, power / 5))
    directions = np.concatenate(directions)
    floor = np.concatenate(irradiance)
    return Lights(directions, floor, np.arange(len(floor)) >= dome)


def _direction(azimuth, elevation) -> np.ndarray:
    azimuth, elevation = np.broadcast_arrays(np.asarray(azimuth), np.asarray(elevation))
    return np.stack([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], -1)


@dataclass(frozen=True)
class Lighting:
    """Light of one frame.

    Args:
        normals: [N, 3]. diffuse: [N] irradiance relative to the open floor. lamp: [N] share of the lamps that is
            visible.
        shadow: [h, w] light left on the floor in [0, 1]; shadow_origin: [2] mm of its corner; texels of SHADOW_STEP mm.
        lamp_direction: [3] mean direction toward the lamps.
    """

    normals: np.ndarray
    diffuse: np.ndarray
    lamp: np.ndarray
    shadow: np.ndarray
    shadow_origin: np.ndarray
    lamp_direction: np.ndarray


def light_animal(vertices: np.ndarray, faces: np.ndarray, lights: Lights) -> Lighting:
    """Ambient occlusion, self-shadow and floor shadow of one frame's mesh [N, 3] mm, by a depth map per light."""
    normals = vertex_normals(vertices, faces)
    low, high = vertices[:, :2].min(0) - SHADOW_MARGIN, vertices[:, :2].max(0) + SHADOW_MARGIN
    size = np.ceil((high - low) / SHADOW_STEP).astype(int)
    blocked = np.zeros((size[1], size[0]), np.float32)
    diffuse, lamp = np.zeros(len(vertices)), np.zeros(len(vertices))
    lifted = vertices + 0.5 * normals
    for direction, weight, is_lamp in zip(lights.directions, lights.weights, lights.is_lamp):
        frame = _light_frame(direction)
        local = vertices @ frame.T
        rows = np.ascontiguousarray(local[:, :2].T)  # numpy finds extremes along rows many times faster
        corner = rows.min(1) - 0.5
        span = (rows.max(1) - rows.min(1)).max() + 1.0
        scale = MAP_SIZE / span
        mapped = np.concatenate([(local[:, :2] - corner) * scale, local[:, 2:]], 1)
        depth = np.full((MAP_SIZE, MAP_SIZE), _FAR, np.float32)
        fill_depth(mapped, faces, depth)
        visible = _visible(depth, (lifted @ frame.T), corner, scale)
        facing = np.maximum(normals @ direction, 0.0)
        diffuse += weight / direction[2] * facing * visible
        if is_lamp:
            lamp += weight * visible
        _cast_shadow(depth, frame, corner, scale, low, weight, blocked)
    lamp_weights = (lights.weights * lights.is_lamp)[:, None]
    toward = (lights.directions * lamp_weights).sum(0)
    bounce = 0.34 * np.clip(0.5 - 0.5 * normals[:, 2], 0, 1) * np.clip(0.15 + vertices[:, 2] / 22.0, 0, 1)
    return Lighting(
        normals, diffuse + bounce, lamp / lamp_weights.sum(), 1.0 - blocked, low, toward / np.linalg.norm(toward)
    )


def _light_frame(direction: np.ndarray) -> np.ndarray:
    """[3, 3] rows: two axes across the light and the axis away from it (depth grows away from the light)."""
    helper = np.array([1.0, 0, 0]) if abs(direction[0]) < 0.8 else np.array([0, 1.0, 0])
    across = np.cross(direction, helper)
    across /= np.linalg.norm(across)
    return np.stack([across, np.cross(direction, across), -direction])


@compiled()
def _visible(depth, local, corner, scale):
    """[N] share of the four depth texels around each point that do not hide it (1.2 mm tolerance)."""
    size = depth.shape[0]
    result = np.zeros(local.shape[0])
    for i in range(local.shape[0]):
        x, y = (local[i, 0] - corner[0]) * scale - 0.5, (local[i, 1] - corner[1]) * scale - 0.5
        u, v = int(np.floor(x)), int(np.floor(y))
        a, b = x - u, y - v
        for dv in range(2):
            for du in range(2):
                uu, vv = u + du, v + dv
                inside = 0 <= uu < size and 0 <= vv < size
                if not inside or depth[vv, uu] > local[i, 2] - 1.2:
                    result[i] += (a if du else 1.0 - a) * (b if dv else 1.0 - b)
    return result


@compiled()
def _cast_shadow(depth, frame, corner, scale, low, weight, blocked):
    """Add `weight` to the floor texels that the mesh hides from this light (bilinear over the depth map's cover)."""
    size = depth.shape[0]
    for row in range(blocked.shape[0]):
        for column in range(blocked.shape[1]):
            x, y = low[0] + (column + 0.5) * SHADOW_STEP, low[1] + (row + 0.5) * SHADOW_STEP
            u = (frame[0, 0] * x + frame[0, 1] * y - corner[0]) * scale - 0.5
            v = (frame[1, 0] * x + frame[1, 1] * y - corner[1]) * scale - 0.5
            iu, iv = int(np.floor(u)), int(np.floor(v))
            if iu < -1 or iv < -1 or iu >= size or iv >= size:
                continue
            a, b = u - iu, v - iv
            cover = 0.0
            for dv in range(2):
                for du in range(2):
                    uu, vv = iu + du, iv + dv
                    if 0 <= uu < size and 0 <= vv < size and depth[vv, uu] < 1e8:
                        cover += (a if du else 1.0 - a) * (b if dv else 1.0 - b)
            blocked[row, column] += weight * cover
