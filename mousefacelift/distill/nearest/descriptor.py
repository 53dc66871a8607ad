"""What a picture of an animal looks like, as numbers that do not depend on where, how large or how bright it is."""

from __future__ import annotations

import cv2
import numpy as np

from mousefacelift.core.images import premultiply
from mousefacelift.errors import DataError

SHAPE, SHADE = 24, 12  # edges in pixels of the alpha and of the brightness that are compared
REACH = 2.6  # half edge of the crop, in root mean square radii of the silhouette; the tail of a mouse ends at about 2.4
SHADE_WEIGHT = 0.35  # of the brightness beside the alpha; tells head from tail where the outline does not
LENGTH = SHAPE**2 + SHADE**2


def describe_picture(rgba: np.ndarray) -> np.ndarray:
    """Descriptor float32 [LENGTH] of straight-alpha rgba [H, W, 4]: alpha and relative brightness of a crop about the
    silhouette's centre of mass, as large as its spread.

    Raises:
        DataError: no foreground.
    """
    alpha = rgba[..., 3]
    total = float(alpha.sum())
    if total < 1e-6:
        raise DataError("a picture without foreground cannot be described", likely="an empty mask")
    ys, xs = np.mgrid[0 : alpha.shape[0], 0 : alpha.shape[1]] + 0.5
    middle = np.array([(alpha * xs).sum(), (alpha * ys).sum()]) / total
    spread = np.sqrt((alpha * ((xs - middle[0]) ** 2 + (ys - middle[1]) ** 2)).sum() / total)
    half = REACH * max(float(spread), 1.0)
    shape = _crop(alpha, middle, half, SHAPE)
    light = premultiply(rgba)[..., :3].mean(-1)
    shade = _crop(light, middle, half, SHADE) / max(float(light.sum()) / total, 1e-3)
    return np.concatenate([shape.ravel(), SHADE_WEIGHT * shade.ravel()]).astype(np.float32)


def _crop(image: np.ndarray, middle: np.ndarray, half: float, size: int) -> np.ndarray:
    """[size, size] of a square of half edge `half` about `middle` (pixel corners at integers), averaged over pixels."""
    fine = 4 * size
    scale = fine / (2 * half)
    shift = fine / 2 - scale * middle + 0.5 * scale - 0.5  # OpenCV counts from pixel centres
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    warped = cv2.warpAffine(image.astype(np.float32), matrix, (fine, fine), flags=cv2.INTER_LINEAR)
    return cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA)
