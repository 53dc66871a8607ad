"""Augmentations that move images and cameras together, so that a sample stays one body seen by true cameras.

Pure numpy functions on w2c [V, 4, 4], fxfycxcy [V, 4] and images [V, H, W, 4].
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

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


def distort_grid(images: np.ndarray, draws: np.ndarray, strength: float) -> np.ndarray:
    """images [V, H, W, C] float under LGM's grid distortion; cameras are *not* changed: the network learns to bear
    inputs that disagree. For input views only, never for the first one or for targets.

    Args:
        images: anything linear in its channels, so colour must be premultiplied; what comes from outside is 0.
        draws: [V, 2, n] uniform in [0, 1): of x and of y. The published n is uniform in 8..16, the same for all views.
        strength: published 0.5. Strength 0 is no identity: the ends of the grid lie half a pixel outside the picture.
    """
    views, height, width, _ = images.shape
    grid = np.empty((views, height, width, 2), np.float32)
    for view in range(views):
        grid[view, :, :, 0] = _ramps(draws[view, 0], width, strength)[None, :]
        grid[view, :, :, 1] = _ramps(draws[view, 1], height, strength)[:, None]
    source = torch.from_numpy(np.ascontiguousarray(images, np.float32)).permute(0, 3, 1, 2)
    moved = F.grid_sample(source, torch.from_numpy(grid), align_corners=False)  # bilinear, zeros outside
    return moved.permute(0, 2, 3, 1).numpy()


def _ramps(draws: np.ndarray, length: int, strength: float) -> np.ndarray:
    """Where each of `length` pixels looks, in [-1, 1]: linear ramps between n evenly spaced values, whose ends lie at
    knots that were moved by up to half a gap times `strength`."""
    n = len(draws)
    share = (np.arange(n, dtype=np.float32) + np.float32(strength) * (np.asarray(draws, np.float32) - 0.5)) / (n - 1)
    knots = np.floor(np.clip(share, 0, 1) * length).astype(int)
    knots[0], knots[-1] = 0, length
    values, out = np.linspace(-1, 1, n, dtype=np.float32), np.zeros(length, np.float32)
    for i in range(n - 1):
        out[knots[i] : knots[i + 1]] = np.linspace(values[i], values[i + 1], knots[i + 1] - knots[i], dtype=np.float32)
    return out


def jitter_cameras(w2c: np.ndarray, draws: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """Cameras [V, 4, 4] (OpenCV axes) swung about the world's origin as LGM does with its inputs' rays: by up to 18
    degrees round their own up axis and 9 round their own right axis.

    Args:
        draws: [V, 2] uniform in [0, 1): round the up axis and round the right axis; 0.5 is no turn.
        strength: factor on both angles; published 1.
    """
    from scipy.spatial.transform import Rotation  # of training alone, and dear to import

    out = []
    for camera, (up, right) in zip(w2c, draws, strict=True):
        axes = camera[:3, :3]  # rows: right, down, forward, in the world
        turn = Rotation.from_rotvec(-axes[1] * strength * 0.1 * np.pi * (2 * up - 1)).as_matrix()
        turn = turn @ Rotation.from_rotvec(axes[0] * strength * 0.05 * np.pi * (2 * right - 1)).as_matrix()
        swung = np.array(camera, np.float64)
        swung[:3, :3] = axes @ turn.T  # the centre turns along, so t stays
        out.append(swung)
    return np.stack(out)
