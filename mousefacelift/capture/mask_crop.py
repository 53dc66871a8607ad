"""The part of a mask that matters: what lies around the animal, in its place in the whole picture.

The animal covers a tenth of a picture or less; thresholds, specks and growth are looked for in that part alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from mousefacelift.capture.sources import open_source
from mousefacelift.capture.sources.picture import Picture

FAINT = 20  # luma up to which a pixel far from the animal is nothing: below what any reader of masks looks at
REACH = 8  # px around the animal, beyond those by which its mask is grown, that are kept: its soft edge is narrower


@dataclass(frozen=True)
class MaskCrop:
    """The part of a mask picture that holds all that is not black, and its place in the whole.

    Attributes:
        luma: uint8 [h, w]; what lies beyond it is black.
        left, top: of its first pixel. width, height: of the whole picture.
        full_range: true for 0..255 luma.
    """

    luma: np.ndarray
    left: int
    top: int
    width: int
    height: int
    full_range: bool

    def part(self, left: int, top: int, right: int, bottom: int) -> np.ndarray:
        """uint8 [bottom - top, right - left] luma of that part of the whole picture; black is 0."""
        out = np.zeros((bottom - top, right - left), np.uint8)
        h, w = self.luma.shape
        x0, y0, x1, y1 = (
            max(left, self.left),
            max(top, self.top),
            min(right, self.left + w),
            min(bottom, self.top + h),
        )
        if x1 > x0 and y1 > y0:
            inner = self.luma[y0 - self.top : y1 - self.top, x0 - self.left : x1 - self.left]
            out[y0 - top : y1 - top, x0 - left : x1 - left] = inner
        return out

    def picture(self) -> Picture:
        """The part as a picture without colour."""
        none = np.zeros((0, 0), np.uint8)
        return Picture(self.luma, none, none, self.full_range)


def crop_mask(picture: Picture, growth: float = 0.0) -> MaskCrop:
    """The part of a mask picture that is kept: around all that is brighter than FAINT, for a mask that will be grown or
    shrunk by `growth` px."""
    reach = REACH + math.ceil(abs(growth))
    height, width = picture.y.shape
    x, y, w, h = cv2.boundingRect(cv2.threshold(picture.y, FAINT, 1, cv2.THRESH_BINARY)[1])
    if w == 0:
        return MaskCrop(np.zeros((1, 1), np.uint8), 0, 0, width, height, picture.full_range)
    left, top = max(0, x - reach), max(0, y - reach)
    luma = np.ascontiguousarray(picture.y[top : y + h + reach, left : x + w + reach])
    return MaskCrop(luma, left, top, width, height, picture.full_range)


class CropReader:
    """Crops of one view's masks from their own file, by file frame."""

    def __init__(self, path: str, growth: float) -> None:
        self._source, self._growth = open_source(path), growth

    def read(self, index: int) -> MaskCrop:
        """The mask of file frame `index`."""
        return crop_mask(self._source.read(index), self._growth)

    def close(self) -> None:
        """Give the file back."""
        self._source.close()
