"""Augmentations that move images and cameras together, so that a sample stays one body seen by true cameras.

Pure numpy functions on w2c [V, 4, 4], fxfycxcy [V, 4] and images [V, H, W, 4].
"""

from __future__ import annotations

import cv2
import numpy as np

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601


def yaw_world(w2c: np.ndarray, degrees: float) -> np.ndarray:
    """Cameras [V, 4, 4] after the world, scene and cameras together, turned by `degrees` about +z: no pixel changes."""
    angle = np.radians(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin, 0, 0], [sin, cos, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    return w2c @ turn.T  # x_old = turn^T x_new


def mirror_cameras(w2c: np.ndarray, fxfycxcy: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Cameras of the mirrored world (y -> -y), whose images are the old ones flipped left to right; det R stays +1."""
    flip_camera, flip_world = np.diag([-1.0, 1, 1, 1]), np.diag([1.0, -1, 1, 1])
    mirrored = fxfycxcy.copy()
    mirrored[:, 2] = width - fxfycxcy[:, 2]
    return flip_camera @ w2c @ flip_world, mirrored


def jitter_colours(rgb: np.ndarray, brightness: float, contrast: float, saturation: float) -> np.ndarray:
    """rgb [..., 3] float in [0, 1] with one relative change of each for all views; factors of 1 change nothing."""
    out = rgb * np.float32(brightness)
    out = 0.5 + (out - 0.5) * np.float32(contrast)
    grey = (out @ LUMA)[..., None]
    return np.clip(grey + (out - grey) * np.float32(saturation), 0, 1)


def distort_grid(rgba: np.ndarray, strength: float, rng: np.random.Generator, cells: int = 4) -> np.ndarray:
    """rgba [H, W, 4] float moved by a smooth random field of at most `strength` of the image (LGM's grid distortion).

    The camera is *not* changed: the network learns to bear inputs that disagree. Only for input views, never for
    targets.
    """
    height, width = rgba.shape[:2]
    knots = rng.uniform(-strength, strength, (cells, cells, 2)).astype(np.float32) * [width, height]
    field = cv2.resize(knots.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    premultiplied = np.concatenate([rgba[..., :3] * rgba[..., 3:], rgba[..., 3:]], -1)
    moved = cv2.remap(premultiplied, columns + field[..., 0], rows + field[..., 1], cv2.INTER_LINEAR)
    alpha = moved[..., 3:]
    return np.concatenate([np.where(alpha > 1e-4, moved[..., :3] / np.maximum(alpha, 1e-4), 0), alpha], -1).clip(0, 1)


def jitter_camera(w2c: np.ndarray, degrees: float, units: float, rng: np.random.Generator) -> np.ndarray:
    """One camera [4, 4] turned about its centre by up to `degrees` and moved by up to `units` (camera axes)."""
    axis = rng.normal(size=3)
    turn = np.eye(4)
    turn[:3, :3] = cv2.Rodrigues(axis / np.linalg.norm(axis) * np.radians(rng.uniform(0, degrees)))[0]
    turn[:3, 3] = rng.uniform(-units, units, 3)
    return turn @ w2c
