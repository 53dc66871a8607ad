"""The one axis flip that the formats need: OpenGL and Blender cameras look along -z with y up, OpenCV along +z with y
down."""

from __future__ import annotations

import numpy as np

FLIP = np.diag([1.0, -1.0, -1.0, 1.0])


def opengl_c2w(w2c: np.ndarray) -> np.ndarray:
    """Camera to world [4, 4] with OpenGL axes, of an OpenCV world-to-camera matrix."""
    return np.linalg.inv(w2c) @ FLIP


def w2c_of_opengl(c2w: np.ndarray) -> np.ndarray:
    """OpenCV world-to-camera [4, 4] of an OpenGL camera-to-world matrix [4, 4] or [3, 4]; the rotation is made
    exact."""
    c2w = np.vstack([np.asarray(c2w, np.float64)[:3], [0, 0, 0, 1]])
    return orthonormal(np.linalg.inv(c2w @ FLIP))


def orthonormal(w2c: np.ndarray) -> np.ndarray:
    """w2c [4, 4] whose rotation is the nearest exact one (files hold rounded numbers); centre and handedness are
    kept."""
    u, _, vt = np.linalg.svd(w2c[:3, :3])
    rotation = u @ vt
    out = np.eye(4)
    out[:3, :3] = rotation
    out[:3, 3] = rotation @ np.linalg.inv(w2c[:3, :3]) @ w2c[:3, 3]
    return out
