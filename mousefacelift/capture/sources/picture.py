"""One picture of a camera as it comes from a file: YUV 4:2:0 planes, and how grey pictures become masks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mousefacelift.errors import DataError

BT601, BT709, BT2020 = (0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593)  # shares of red and blue in luma


@dataclass(frozen=True)
class Picture:
    """One decoded frame: uint8 planes y [H, W], u and v [ceil(H/2), ceil(W/2)]; `full_range` is true for 0..255
    luma; `shares` are those of red and blue in luma (Kr, Kb of ITU-T H.273)."""

    y: np.ndarray
    u: np.ndarray
    v: np.ndarray
    full_range: bool
    shares: tuple[float, float] = BT601

    @property
    def to_rgb(self) -> np.ndarray:
        """float64 [7]: luma of black, gain of luma, gain of chroma, then what Cr adds to red, Cb and Cr take from
        green, Cb adds to blue."""
        red, blue = self.shares
        green = 1 - red - blue
        levels = (0.0, 1.0, 1.0) if self.full_range else (16.0, 255 / 219, 255 / 224)
        from_green = (2 * blue * (1 - blue) / green, 2 * red * (1 - red) / green)
        return np.array([*levels, 2 * (1 - red), *from_green, 2 * (1 - blue)])

    def luma(self, rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        """Grey picture or a part of it, uint8 [h, w], 0..255."""
        part = self.y[rows, columns]
        return part if self.full_range else cv2.LUT(np.ascontiguousarray(part), _LIMITED_TO_FULL)

    def rgb(self) -> np.ndarray:
        """uint8 [H, W, 3], chroma repeated."""
        h, w = self.y.shape
        black, gain, chroma, red_v, green_u, green_v, blue_u = self.to_rgb.astype(np.float32)
        u, v = (
            chroma * (np.repeat(np.repeat(c, 2, 0), 2, 1)[:h, :w].astype(np.float32) - 128) for c in (self.u, self.v)
        )
        y = (self.y.astype(np.float32) - black) * gain
        rgb = np.stack([y + red_v * v, y - green_u * u - green_v * v, y + blue_u * u], -1)
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


def picture_of_photo(photo: np.ndarray, where: str) -> Picture:
    """Picture of a photo, grey [H, W] or colours [H, W, C] with or without alpha, which plays no part.

    Raises:
        DataError: not 8 bits: such files do not say which value is white.
    """
    if photo.dtype != np.uint8:
        raise DataError(
            f"picture {where} does not say which value is white",
            got=f"{photo.dtype} with values from {photo.min():g} to {photo.max():g}",
            expected="8 bits",
            likely="a camera of 10 to 16 bits",
            hint="write the pictures of all frames with 8 bits, by one scale (for 12 bits: value / 16)",
        )
    if photo.ndim == 3 and photo.shape[2] < 3:
        photo = photo[..., 0]
    return picture_of_grey(photo) if photo.ndim == 2 else picture_of_rgb(photo[..., :3])


def picture_of_grey(grey: np.ndarray) -> Picture:
    """Full-range picture without colour of uint8 [H, W]."""
    h, w = grey.shape
    chroma = np.full(((h + 1) // 2, (w + 1) // 2), 128, np.uint8)
    return Picture(np.ascontiguousarray(grey), chroma, chroma, True)
