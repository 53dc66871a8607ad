"""One picture of a camera as it comes from a file: YUV 4:2:0 planes, and how grey pictures become masks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Picture:
    """One decoded frame: uint8 planes y [H, W], u and v [ceil(H/2), ceil(W/2)]; `full_range` is true for 0..255
    luma."""

    y: np.ndarray
    u: np.ndarray
    v: np.ndarray
    full_range: bool

    def luma(self, rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        """Grey picture or a part of it, uint8 [h, w], 0..255."""
        part = self.y[rows, columns]
        return part if self.full_range else cv2.LUT(np.ascontiguousarray(part), _LIMITED_TO_FULL)

    def rgb(self) -> np.ndarray:
        """uint8 [H, W, 3] by BT.601, chroma repeated."""
        h, w = self.y.shape
        u, v = (np.repeat(np.repeat(c, 2, 0), 2, 1)[:h, :w].astype(np.float32) - 128 for c in (self.u, self.v))
        y = self.y.astype(np.float32)
        scale = 1.0 if self.full_range else 255 / 224
        y = y if self.full_range else (y - 16) * (255 / 219)
        rgb = np.stack([y + 1.402 * scale * v, y - scale * (0.344136 * u + 0.714136 * v), y + 1.772 * scale * u], -1)
        return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


_LIMITED_TO_FULL = np.clip(np.rint((np.arange(256) - 16.0) * 255 / 219), 0, 255).astype(np.uint8)


def picture_of_rgb(rgb: np.ndarray) -> Picture:
    """Full-range planes of uint8 rgb [H, W, 3]; chroma is the mean of 2x2 pixels."""
    ycc = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2YCrCb)
    h, w = rgb.shape[:2]
    padded = cv2.copyMakeBorder(ycc, 0, h % 2, 0, w % 2, cv2.BORDER_REPLICATE)
    small = cv2.resize(padded, ((w + 1) // 2, (h + 1) // 2), interpolation=cv2.INTER_AREA)
    plane = np.ascontiguousarray
    return Picture(plane(ycc[..., 0]), plane(small[..., 2]), plane(small[..., 1]), True)


def picture_of_grey(grey: np.ndarray) -> Picture:
    """Full-range picture without colour of uint8 [H, W]."""
    h, w = grey.shape
    chroma = np.full(((h + 1) // 2, (w + 1) // 2), 128, np.uint8)
    return Picture(np.ascontiguousarray(grey), chroma, chroma, True)
