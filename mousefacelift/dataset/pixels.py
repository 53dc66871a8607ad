"""Pixels of the loader in 8-bit arithmetic, bit for bit as the published loader has them through Pillow."""

from __future__ import annotations

import numpy as np
from PIL import Image


def resize_lanczos(rgba: np.ndarray, size: int) -> np.ndarray:
    """uint8 [size, size, 4] of straight-alpha RGBA uint8 [H, W, 4]: Pillow's Lanczos on premultiplied colours."""
    return np.asarray(Image.fromarray(rgba, "RGBA").resize((size, size), Image.Resampling.LANCZOS))


def blend(rgba: np.ndarray, background: np.ndarray, keep_alpha: bool) -> np.ndarray:
    """uint8 [..., 4] (or [..., 3]) of RGBA uint8 over a colour [3] in [0, 1], rounded as Pillow's paste rounds."""
    alpha = rgba[..., 3:].astype(np.uint16)
    under = (
        (np.asarray(background) * 255 + 1e-6).astype(np.int64).clip(0, 255).astype(np.uint16)
    )  # int(), as published: gray is 127
    mixed = rgba[..., :3] * alpha + under * (255 - alpha) + np.uint16(128)  # at most 255 * 255 + 128: fits 16 bits
    rgb = (((mixed >> 8) + mixed) >> 8).astype(np.uint8)
    return np.concatenate([rgb, rgba[..., 3:]], -1) if keep_alpha else rgb
