"""Pixels of the loader in 8-bit arithmetic, bit for bit as the published loader has them through Pillow."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mousefacelift.errors import DataError


def decode_png(data: bytes, path: Path | str) -> np.ndarray:
    """uint8 [H, W, 4] RGBA of PNG bytes; 16-bit files give their high bytes, as Pillow does.

    Raises:
        DataError: not decodable, cut short, or without alpha.
    """
    pixels = None if data[-8:-4] != b"IEND" else cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise DataError(
            f"image {path} cannot be decoded",
            got=f"{len(data)} bytes",
            likely="a truncated or overwritten file",
            hint="mousefacelift dataset verify; then rerun the stage that made it",
        )
    if pixels.ndim != 3 or pixels.shape[2] != 4:
        raise DataError(
            f"image {path} has no alpha channel",
            got=f"shape {pixels.shape}",
            expected="RGBA",
            likely="exported on a white background; alpha is never guessed from colours",
        )
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA)


def resize_lanczos(rgba: np.ndarray, size: int) -> np.ndarray:
    """uint8 [size, size, 4] of straight-alpha RGBA uint8 [H, W, 4]: Pillow's Lanczos on premultiplied colours."""
    return np.asarray(Image.fromarray(rgba, "RGBA").resize((size, size), Image.LANCZOS))


def blend(rgba: np.ndarray, background: np.ndarray, keep_alpha: bool) -> np.ndarray:
    """uint8 [..., 4] (or [..., 3]) of RGBA uint8 over a colour [3] in [0, 1], rounded as Pillow's paste rounds."""
    alpha = rgba[..., 3:].astype(np.uint16)
    under = (
        (np.asarray(background) * 255 + 1e-6).astype(np.int64).clip(0, 255).astype(np.uint16)
    )  # int(), as published: gray is 127
    mixed = rgba[..., :3] * alpha + under * (255 - alpha) + np.uint16(128)  # at most 255 * 255 + 128: fits 16 bits
    rgb = (((mixed >> 8) + mixed) >> 8).astype(np.uint8)
    return np.concatenate([rgb, rgba[..., 3:]], -1) if keep_alpha else rgb
