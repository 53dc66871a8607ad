"""Where a format puts the first pixel's centre: 0 (OpenCV), 1 (MATLAB) or 0.5 (here, COLMAP, nerfstudio)."""

from __future__ import annotations

import numpy as np


def from_zero_based(K: np.ndarray) -> np.ndarray:
    """K with +0.5 pixel centres from K whose first pixel centre is 0 (also when K is stored transposed)."""
    return _move_center(K, 0.5)


def to_zero_based(K: np.ndarray) -> np.ndarray:
    """Inverse of `from_zero_based`."""
    return _move_center(K, -0.5)


def from_one_based(K: np.ndarray) -> np.ndarray:
    """K with +0.5 pixel centres from a MATLAB K whose first pixel centre is 1."""
    return _move_center(K, -0.5)


def to_one_based(K: np.ndarray) -> np.ndarray:
    """Inverse of `from_one_based`."""
    return _move_center(K, 0.5)


def _move_center(K: np.ndarray, by: float) -> np.ndarray:
    K = np.array(K, np.float64)
    transposed = abs(K[2, 0]) > 1 and abs(K[0, 2]) < 1e-9
    if transposed:
        K[2, :2] += by
    else:
        K[:2, 2] += by
    return K
