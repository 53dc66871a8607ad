"""Encoded pictures of assets as [h, w, 4] uint8: palettes, greys, 16 bits, any alpha; broken ones are refused.

Part of the objects stage.
"""

import io
import warnings

import numpy as np

from mousefacelift.errors import DataError
from mousefacelift.objects.config import Limits

KTX2 = b"\xabKTX 20\xbb\r\n\x1a\n"


def open_picture(data, where: str):
    """A PIL picture of encoded bytes, header read only.

    Raises:
        DataError: not a picture that can be read; says what it is.
    """
    from PIL import Image, UnidentifiedImageError

    if bytes(data[:12]) == KTX2:
        raise DataError(
            "a texture in KTX2 form is not read", where=where, hint="store a PNG or JPEG fallback beside it"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(data))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError) as error:
        raise DataError("a texture cannot be read", where=where, got=f"{type(error).__name__}: {error}") from error


def check_picture(data, where: str, limits: Limits) -> None:
    """Refuse a picture that is too large (by its header, before decoding) or is not a picture."""
    with open_picture(data, where) as picture:
        width, height = picture.size
    if width * height > limits.texture_px:
        raise DataError(
            "a texture is too large",
            where=where,
            got=f"{width} x {height}",
            expected=f"at most {limits.texture_px:,} pixels",
        )


def decode_picture(data, where: str) -> np.ndarray:
    """[h, w, 4] uint8, straight alpha, row 0 at the top.

    Raises:
        DataError: it cannot be decoded.
    """
    with open_picture(data, where) as picture:
        try:
            if picture.mode.startswith("I") or picture.mode == "F":  # 16-bit grey: PIL would clip it at 255
                grey = np.asarray(picture).astype(np.float64)
                grey = np.rint(grey / (257.0 if picture.mode != "F" else 1 / 255)).clip(0, 255).astype(np.uint8)
                return np.stack([grey, grey, grey, np.full_like(grey, 255)], -1)
            return np.ascontiguousarray(np.asarray(picture.convert("RGBA")))
        except (OSError, ValueError, SyntaxError) as error:
            raise DataError("a texture cannot be read", where=where, got=f"{type(error).__name__}: {error}") from error
