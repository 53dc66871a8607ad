"""Image files as people have them -> upright colours and masks: deep greys, turned phone photos, palettes, stacks.

Nothing is guessed from how bright a picture looks: where a file does not say which value is white, the reading is
refused and the message says how to state it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mousefacelift.errors import DataError

PHONE_FORMATS = (".heic", ".heif", ".avif")
STACKS = ("TIFF", "GIF")  # files of several frames whose first one is not the picture that is meant
USED_SHARE = 0.25  # of a 16-bit range; a largest value below it says that fewer bits are used
WHITE_HINT = "say which value is white, for instance --white 4095 for 12 bits, or save the picture with 8 bits"


def open_picture(path: Path) -> Image.Image:
    """The image of a file, turned as its EXIF orientation says.

    Raises:
        DataError: not there, not an image, cut short, or a stack of several frames.
    """
    if not Path(path).is_file():
        raise DataError(f"picture {path} does not exist" if not Path(path).exists() else f"picture {path} is a folder")
    try:
        image = Image.open(path)
        image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        phone = Path(path).suffix.lower() in PHONE_FORMATS
        raise DataError(
            f"picture {path} cannot be read",
            got=str(error),
            likely="a phone's format that is not supported" if phone else "no image, cut short, or 16-bit colour",
            hint="save it as PNG or JPEG with 8 bits a channel",
        ) from error
    if image.format in STACKS and getattr(image, "n_frames", 1) > 1:
        raise DataError(
            f"picture {path} is a stack of frames", got=f"{image.n_frames} frames", hint="save the one that is meant"
        )
    return ImageOps.exif_transpose(image)


def read_colours(image: Image.Image, path: Path, white: float | None = None) -> np.ndarray:
    """rgb float32 [H, W, 3] in [0, 1] of an image of any mode.

    Args:
        white: the value of white in files of more than 8 bits; None takes 65535 of 16 bits and 1.0 of floats.
    Raises:
        DataError: the file does not say which value is white.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.float64)
        white = _white_of(image, grey, path) if white is None else white
        level = grey / white
        if not np.isfinite(level).all() or level.min() < 0 or level.max() > 1 + 1e-6:
            raise DataError(
                f"picture {path} has values outside of black and white",
                got=f"{np.nanmin(grey):g} to {np.nanmax(grey):g}",
                expected=f"0 to {white:g}",
                hint=WHITE_HINT,
            )
        return np.repeat(level[..., None], 3, -1).astype(np.float32)
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return np.asarray(image.convert("RGB"), np.float32) / 255


def _white_of(image: Image.Image, grey: np.ndarray, path: Path) -> float:
    """The value of white that a grey file's type implies; DataError where it implies none."""
    if image.mode == "F":
        return 1.0
    is_sixteen_bit = image.mode.startswith("I;16") or image.format == "PNG"  # Pillow reads 16-bit PNGs as I or I;16
    if is_sixteen_bit and grey.max() >= USED_SHARE * 65535:
        return 65535.0
    raise DataError(
        f"picture {path} does not say which value is white",
        got=f"{'16' if is_sixteen_bit else '32'}-bit grey with values up to {grey.max():g}",
        likely="a camera of 10, 12 or 14 bits" if is_sixteen_bit else "whole numbers of another range",
        hint=WHITE_HINT,
    )


def own_alpha(image: Image.Image) -> np.ndarray | None:
    """The alpha [H, W] that the file itself carries, from a channel or a palette; None without one, or where it is
    opaque everywhere."""
    if image.mode not in ("RGBA", "LA", "PA", "RGBa", "La") and "transparency" not in image.info:
        return None
    alpha = np.asarray(image.convert("RGBA").getchannel("A"), np.float32) / 255
    return None if alpha.min() > 0.5 else alpha


def read_mask(path: Path) -> np.ndarray:
    """Soft mask [H, W] in [0, 1] of a file: its alpha, if it has one, else its grey. Of two values the larger is 1,
    whatever it is (0 and 1 of a label image, a palette's colours, deep greys)."""
    image = open_picture(path)
    alpha = own_alpha(image)
    if alpha is not None:
        return alpha
    is_deep = image.mode == "F" or image.mode.startswith("I")
    grey = np.asarray(image if is_deep else image.convert("L")).astype(np.float32)
    levels = np.unique(grey)
    if len(levels) == 2:
        return (grey == levels[1]).astype(np.float32)
    if is_deep:
        grey = grey / max(float(levels[-1]), 1e-9)
        return np.clip(grey, 0, 1)
    return grey / 255
