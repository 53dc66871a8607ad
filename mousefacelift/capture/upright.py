"""The rotation that stands a recording's world upright. Pure; used by audit, drawing and track."""

from __future__ import annotations

import numpy as np


def upright(normal: np.ndarray) -> np.ndarray:
    """The smallest rotation [3, 3] that turns `normal` to +z."""
    normal = np.asarray(normal, np.float64) / np.linalg.norm(normal)
    axis, cosine = np.cross(normal, [0.0, 0.0, 1.0]), normal[2]
    if cosine < -1 + 1e-12:
        return np.diag([1.0, -1.0, -1.0])
    x, y, z = axis
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + skew + skew @ skew / (1 + cosine)
