"""What a recording's cameras may be told wrongly: the levels of the factor `cameras`.

Pixels are those of a 512 px picture, in which the errors of the fork's converters were counted (50 px mean for faked
intrinsics, 106 px for stale ones). An error is constant over the frames of an animal, as a calibration's is.
"""

from __future__ import annotations

import cv2
import numpy as np

from mousefacelift.core.cameras import CANONICAL_DISTANCE

REFERENCE_PX = 512.0
AUDITED = (1.0, 0.1)  # what a good audit leaves: principal point px of 512, and degrees of each camera's turn


def tell_cameras(
    level: str, w2c: np.ndarray, fxfycxcy: np.ndarray, size: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cameras w2c [F, V, 4, 4] and fxfycxcy [F, V, 4] of F frames as a recording with this error states them.

    `pxN`: every camera's principal point is off by N px of 512 in a direction of its own. `audited`: 1 px, and 0.1
    degrees of turn. `rescaled`: every camera is moved along its axis to the distance 2.7, intrinsics left alone.
    `mirrored`: the third axis of the camera points backward (an OpenGL axis among OpenCV ones, det R = -1), so that the
    animal lies behind every camera.
    """
    views = w2c.shape[1]
    rng = np.random.default_rng([seed, 77])
    direction, axis = rng.uniform(0, 2 * np.pi, views), rng.normal(size=(views, 3))
    told, lens = w2c.copy(), fxfycxcy.copy()
    if level == "rescaled":
        distance = np.linalg.norm(told[..., :3, 3], axis=-1, keepdims=True)
        told[..., :3, 3] *= CANONICAL_DISTANCE / distance
    elif level == "mirrored":
        told[..., 2, :] *= -1
    elif level != "exact":
        pixels, degrees = AUDITED if level == "audited" else (float(level.removeprefix("px")), 0.0)
        lens[..., 2] += pixels * size / REFERENCE_PX * np.cos(direction)
        lens[..., 3] += pixels * size / REFERENCE_PX * np.sin(direction)
        if degrees:
            unit = axis / np.linalg.norm(axis, axis=1, keepdims=True)
            turns = np.stack([cv2.Rodrigues(row * np.radians(degrees))[0] for row in unit])
            told[..., :3, :] = turns @ told[..., :3, :]  # about the camera's own centre
    return told, lens
