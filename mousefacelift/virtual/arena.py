"""The room around the animal, by a ray per pixel: white disc with a rim, grey table, dark room, edges of the acrylic
cylinder."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mousefacelift.virtual.light import SHADOW_STEP, Lighting
from mousefacelift.virtual.rig import ARENA_CENTER, ARENA_RADIUS, Lens, rays

TABLE_EDGE = 700.0  # mm from the arena's centre to where the table ends
CYLINDER_RADIUS = 104.0  # mm
_DISC, _RIM, _EDGE_LINE, _TABLE = (
    np.array(c) for c in ((0.935, 0.935, 0.945), (0.90, 0.90, 0.82), (0.44, 0.45, 0.42), (0.66, 0.66, 0.675))
)


@dataclass(frozen=True)
class Backdrop:
    """The empty arena in one lens.

    Args:
        image: [H, W, 3] float32 display rgb. floor: [H, W, 2] float32 mm where the pixel's ray meets the floor (far
            away if not).
        shine: [H, W] how strongly the floor takes shadows there.
    """

    image: np.ndarray
    floor: np.ndarray
    shine: np.ndarray


def make_backdrop(lens: Lens) -> Backdrop:
    """Draw the empty arena; about a second at full size, once per camera."""
    directions, center = rays(lens), lens.center
    down = directions[..., 2] < -1e-6
    reach = np.where(down, -center[2] / np.where(down, directions[..., 2], -1.0), 0.0)
    floor = np.where(down[..., None], center[:2] + reach[..., None] * directions[..., :2], 1e6)
    radius = np.linalg.norm(floor - ARENA_CENTER, axis=-1)
    footprint = np.maximum(np.abs(np.gradient(np.minimum(radius, 2000.0), axis=0)), 0.05)
    image = _room(directions)
    lit = 0.62 + 0.38 * np.exp(-((radius / 420.0) ** 2))
    table = _TABLE * (lit * (0.94 + 0.06 * np.cos(radius / 160.0)))[..., None]
    image = _mix(image, table, _edge(TABLE_EDGE - radius, footprint) * down)
    image = _mix(image, np.broadcast_to(_EDGE_LINE, image.shape), _edge(ARENA_RADIUS + 2.6 - radius, footprint))
    image = _mix(image, np.broadcast_to(_RIM, image.shape), _edge(ARENA_RADIUS + 1.2 - radius, footprint))
    disc = _DISC * (1 - 0.05 * (radius / ARENA_RADIUS) ** 2)[..., None]
    image = _mix(image, disc, _edge(ARENA_RADIUS - 1.2 - radius, footprint))
    image = _cylinder(image, directions, center)
    shine = np.where(radius < ARENA_RADIUS + 3, 1.0, 0.85) * down
    return Backdrop(image.astype(np.float32), floor.astype(np.float32), shine.astype(np.float32))


def cast_shadow(backdrop: Backdrop, lighting: Lighting) -> np.ndarray:
    """The backdrop's display rgb [H, W, 3] float32 with the animal's shadow on the floor."""
    at = (backdrop.floor - lighting.shadow_origin.astype(np.float32)) / np.float32(SHADOW_STEP) - np.float32(0.5)
    height, width = lighting.shadow.shape
    near = (at[..., 0] > 0) & (at[..., 1] > 0) & (at[..., 0] < width - 1) & (at[..., 1] < height - 1)
    rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
    image = backdrop.image.copy()
    if len(rows) == 0:
        return image
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    left = cv2.remap(
        lighting.shadow, at[window], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=1.0
    )
    left = 1 - backdrop.shine[window] * (1 - left)
    image[window] *= (np.maximum(left, 0.0) ** (1 / 2.2))[..., None]
    return image


def _mix(under: np.ndarray, over: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return under + (over - under) * alpha[..., None]


def _edge(inside_mm: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    """Cover in [0, 1] of a shape whose border is `inside_mm` away, blurred over a pixel's footprint."""
    return np.clip(0.5 + inside_mm / footprint, 0, 1)


def _room(directions: np.ndarray) -> np.ndarray:
    """A dark room with faint broad patches of light."""
    unit = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    glow = 0.5 + 0.5 * np.sin(3.1 * unit[..., 0] + 1.7 * unit[..., 2] + 0.6) * np.cos(
        2.3 * unit[..., 1] - 2.9 * unit[..., 2]
    )
    return (0.035 + 0.075 * glow)[..., None] * np.array([1.0, 1.0, 0.93])


def _cylinder(image: np.ndarray, directions: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Brighten pixels whose ray grazes the acrylic wall: it is seen edge-on there."""
    flat = directions[..., :2]
    length = np.linalg.norm(flat, axis=-1)
    offset = ARENA_CENTER - center[:2]
    miss = np.abs(flat[..., 0] * offset[1] - flat[..., 1] * offset[0]) / np.maximum(length, 1e-9)
    inside = (CYLINDER_RADIUS - miss) / 4.0
    glint = np.where(inside >= 0, np.exp(-inside * 3.0), np.exp(-((inside * 6.0) ** 2))) * (np.abs(inside) < 4)
    return image + (0.13 * glint)[..., None] * np.array([1.0, 1.0, 1.02])
