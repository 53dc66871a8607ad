"""The rotation that stands a recording's world upright, and what is up for its cameras. Used by audit, drawing and
track."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mousefacelift.capture.rig import RigCamera

LEAST_UP = 0.3  # cosine: a ring of cameras that look down steeply still hangs the right way up


def upright(normal: np.ndarray) -> np.ndarray:
    """The smallest rotation [3, 3] that turns `normal` to +z."""
    normal = np.asarray(normal, np.float64) / np.linalg.norm(normal)
    axis, cosine = np.cross(normal, [0.0, 0.0, 1.0]), normal[2]
    if cosine < -1 + 1e-12:
        return np.diag([1.0, -1.0, -1.0])
    x, y, z = axis
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + skew + skew @ skew / (1 + cosine)


def cameras_up(cameras: Sequence[RigCamera]) -> np.ndarray:
    """Unit mean [3] of the directions that are up in the pictures of the cameras."""
    mean = -np.mean([camera.R[1] for camera in cameras], axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-9)


def fits_cameras(up: np.ndarray, camera_up: np.ndarray) -> bool:
    """Whether most cameras hang upright under a floor normal `up`; both are unit vectors [3]."""
    return bool(up @ camera_up >= LEAST_UP)
