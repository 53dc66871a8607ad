"""Growing and shrinking masks by fractions of a pixel, so that the silhouettes of all views agree.

Segmentation leaves the masks of one camera fat and those of another thin by a pixel or three; a visual hull then loses
what the thin ones lack. The audit measures by how much (`refine`), `rig.json` keeps it per camera, and every later
reader of masks applies it here.
"""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np

from mousefacelift.capture.sources.picture import Picture
from mousefacelift.core.compiled import compiled

EDGE_GREY = 0.08  # of the range: a fainter pixel beside the mask is not part of its edge


def mask_level(picture: Picture) -> float:
    """Luma of the 127 threshold of a mask video in its own range."""
    return 127.0 if picture.full_range else 16 + 127 * 219 / 255


def grow_mask(picture: Picture, pixels: float) -> Picture:
    """The mask picture with its edge moved outward by `pixels` (negative: inward), one pixel soft.

    Grey-scale morphology with a cone: the grey of an edge pixel says where in it the edge lies, and the edge of the
    result is the envelope of discs about the old one (Sternberg 1986), so that fractions of a pixel and slanted edges
    come out right.
    """
    if pixels == 0:
        return picture
    low, high = (0, 255) if picture.full_range else (16, 235)
    x, y, w, h = cv2.boundingRect(cv2.threshold(picture.y, mask_level(picture), 1, cv2.THRESH_BINARY)[1])
    reach = math.ceil(abs(pixels)) + 2
    rows = slice(max(0, y - reach), y + h + reach)
    columns = slice(max(0, x - reach), x + w + reach)
    out = np.full_like(picture.y, low)
    if w:
        luma = np.ascontiguousarray(picture.y[rows, columns])
        if pixels > 0:
            out[rows, columns] = _grown(luma, pixels, low, high)
        else:
            out[rows, columns] = (
                low + high - _grown(np.uint8(low + high) - np.clip(luma, low, high), -pixels, low, high)
            )
    return replace(picture, y=out)


def _grown(luma: np.ndarray, pixels: float, low: int, high: int) -> np.ndarray:
    reach = math.ceil(pixels) + 1
    inside = (luma > 0.5 * (low + high)).astype(np.uint8)
    # grey tells where the edge lies only in a pixel that the edge crosses; elsewhere it is codec noise
    source = (luma > low + EDGE_GREY * (high - low)) & (cv2.dilate(inside, np.ones((3, 3), np.uint8)) > 0)
    near = cv2.dilate(inside, np.ones((2 * reach + 3, 2 * reach + 3), np.uint8))
    return _envelope(luma, source, near, reach, pixels, low, high)


@compiled()
def _envelope(luma, source, near, reach, pixels, low, high):
    """Largest luma[q] + slope * (pixels - |p - q|) over the pixels q of `source`, for every p with `near`."""
    height, width = luma.shape
    slope = float(high - low)  # of a coverage edge, per pixel
    out = np.full((height, width), low, np.uint8)
    for r in range(height):
        for c in range(width):
            if near[r, c] == 0:
                continue
            if luma[r, c] >= high:
                out[r, c] = high
                continue
            best = float(low)
            for i in range(max(0, r - reach), min(height, r + reach + 1)):
                for j in range(max(0, c - reach), min(width, c + reach + 1)):
                    if source[i, j]:
                        best = max(best, luma[i, j] + slope * (pixels - math.sqrt((i - r) ** 2 + (j - c) ** 2)))
            out[r, c] = np.uint8(min(best, float(high)) + 0.5)
    return out
