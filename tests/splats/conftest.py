"""A toy animal: coloured ellipsoids, rendered exactly by ray casting into six cameras of a two-tier ring."""

import numpy as np
import pytest

from mousefacelift.core.cameras import canonical_fxfycxcy, orbit, rays
from mousefacelift.core.images import resize_rgba
from mousefacelift.splats.config import FitConfig, HullConfig, OptimiseConfig
from mousefacelift.splats.frames import FrameViews

BODIES = (  # centre, semi-axes, colour
    ((0.0, 0.0, 0.0), (0.55, 0.27, 0.25), (0.25, 0.2, 0.18)),
    ((0.58, 0.03, 0.06), (0.24, 0.17, 0.17), (0.35, 0.27, 0.22)),
    ((0.56, 0.16, 0.24), (0.05, 0.1, 0.1), (0.8, 0.5, 0.5)),
    ((0.56, -0.12, 0.24), (0.05, 0.1, 0.1), (0.8, 0.5, 0.5)),
    ((-0.75, 0.02, -0.12), (0.3, 0.045, 0.045), (0.75, 0.5, 0.45)),
)


def toy_rgba(camera, turn=0.0, oversample=3):
    """Straight-alpha image of the toy, turned by `turn` degrees about z, with a striped coat; edges are soft."""
    fine = hard_rgba(camera.scaled_to(oversample * camera.width, oversample * camera.height), turn)
    return resize_rgba(fine, camera.width, camera.height)


def hard_rgba(camera, turn):
    origin, directions = rays(camera)
    a = np.radians(-turn)
    rotation = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    origin, directions = rotation @ origin, directions @ rotation.T
    nearest = np.full(directions.shape[:2], np.inf)
    rgba = np.zeros((*directions.shape[:2], 4), np.float32)
    for center, axes, color in BODIES:
        o, d = (origin - center) / axes, directions / axes
        a2, b, c = (d * d).sum(-1), (d * o).sum(-1), (o * o).sum() - 1
        inside = b * b - a2 * c
        t = (-b - np.sqrt(np.maximum(inside, 0))) / a2
        hit = (inside > 0) & (t > 0) & (t < nearest)
        nearest = np.where(hit, t, nearest)
        point = origin + directions * t[..., None]
        coat = 1 + 0.35 * np.sin(14 * point[..., 0]) * np.cos(11 * point[..., 2] + 3)
        rgba[hit] = np.concatenate([np.clip(np.outer(coat[hit], color), 0, 1), np.ones((hit.sum(), 1))], 1)
    return rgba


def toy_cameras(size, count=6):
    return [
        orbit(360 * k / count + 7, (8.0, 22.0)[k % 2], 2.7, canonical_fxfycxcy(size), size, size) for k in range(count)
    ]


def toy_frame(size=64, count=6, turn=0.0, name="toy"):
    cameras = toy_cameras(size, count)
    return FrameViews(name, np.stack([toy_rgba(c, turn) for c in cameras]), tuple(cameras))


@pytest.fixture(scope="session")
def frame():
    return toy_frame()


@pytest.fixture
def quick():
    """A configuration that fits the toy at 64 px in a second or two."""
    return FitConfig(size=64, count=800, batch=2, hull=HullConfig(grid=48), optimise=OptimiseConfig(steps=80))
