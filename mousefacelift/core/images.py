"""Images: float [0, 1] HWC in memory, 8-bit RGBA PNG with straight alpha on disk."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from mousefacelift.core.files import read, write_bytes
from mousefacelift.core.png import png_bytes
from mousefacelift.errors import DataError


def encode_png(rgba: np.ndarray, compression: int = 1) -> bytes:
    """8-bit PNG bytes of rgba [H, W, 4] (or [H, W, 3] / [H, W]): float in [0, 1], or uint8; equal input gives equal
    bytes."""
    if rgba.dtype == np.uint8:
        return png_bytes(rgba, compression)
    if not np.isfinite(rgba).all():
        raise DataError("image holds numbers that are not finite and cannot be written", got=f"shape {rgba.shape}")
    return png_bytes(np.rint(np.clip(rgba, 0.0, 1.0) * 255.0).astype(np.uint8), compression)


def decode_rgba8(data: bytes, where: str) -> np.ndarray:
    """uint8 [H, W, 4] RGBA of PNG bytes; 16-bit files give their high bytes. `where` names the file in errors.

    RGBA files go through OpenCV, three times as fast as Pillow and bit for bit the same; grey and palette images with
    transparency through Pillow.

    Raises:
        DataError: not a PNG, cut short, or without an alpha channel.
    """
    is_png = data[:8] == b"\x89PNG\r\n\x1a\n" and data[-8:-4] == b"IEND"
    if is_png and data[25] == 6:  # colour type of the header: RGBA
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if pixels is not None:
            wide = pixels.dtype == np.uint16
            return cv2.cvtColor(np.right_shift(pixels, 8).astype(np.uint8) if wide else pixels, cv2.COLOR_BGRA2RGBA)
    elif is_png:
        try:
            image = Image.open(io.BytesIO(data))
            image.load()
        except Exception as error:  # decoders of broken images raise anything; too many pixels are refused by Pillow
            raise _undecodable(data, where) from error
        if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
            raise DataError(
                f"image {where} has no alpha channel",
                got=image.mode,
                expected="RGBA",
                likely="exported on a white background; alpha is never guessed from colours",
            )
        return np.asarray(image.convert("RGBA"))
    raise _undecodable(data, where)


def _undecodable(data: bytes, where: str) -> DataError:
    return DataError(
        f"image {where} cannot be decoded",
        got=f"{len(data)} bytes",
        expected="a whole PNG file",
        likely="a truncated or overwritten file",
        hint="delete the sample folder and rerun the stage that made it",
    )


def decode_rgba(data: bytes, where: str) -> np.ndarray:
    """float32 [H, W, 4] in [0, 1] of PNG bytes, see `decode_rgba8`."""
    return decode_rgba8(data, where).astype(np.float32) / np.float32(255.0)


def read_rgba(path: str | Path) -> np.ndarray:
    """float32 [H, W, 4] in [0, 1] of an RGBA image file (16-bit PNGs are read as 8-bit, as the published loader
    does)."""
    return read(path, lambda data: decode_rgba(data, str(path)), "image")


def write_png(path: str | Path, image: np.ndarray) -> None:
    """8-bit PNG of a float image [H, W, C] or [H, W], written whole or not at all; makes the folder."""
    write_bytes(path, encode_png(image))


def composite(rgba: np.ndarray, background=(1.0, 1.0, 1.0)) -> np.ndarray:
    """rgb [..., H, W, 3] of straight-alpha rgba [..., H, W, 4] over a background colour [3]."""
    alpha = rgba[..., 3]
    rest, rgb = 1 - alpha, np.empty((*rgba.shape[:-1], 3), rgba.dtype)
    for channel, level in enumerate(np.asarray(background, rgba.dtype)):  # numpy's loops over three are slow
        np.multiply(rgba[..., channel], alpha, out=rgb[..., channel])
        rgb[..., channel] += level * rest
    return rgb


def premultiply(rgba: np.ndarray) -> np.ndarray:
    """rgba with colours multiplied by alpha: the form that may be filtered, resized and warped."""
    multiplied = rgba.copy()
    for channel in range(3):
        multiplied[..., channel] *= rgba[..., 3]
    return multiplied


def unpremultiply(rgba: np.ndarray, floor: float = 1e-4) -> np.ndarray:
    """Inverse of `premultiply`; fully transparent pixels become black."""
    alpha = rgba[..., 3]
    is_seen, divisor, straight = alpha > floor, np.maximum(alpha, floor), np.empty(rgba.shape, rgba.dtype)
    for channel in range(3):
        straight[..., channel] = np.clip(np.where(is_seen, rgba[..., channel] / divisor, 0.0), 0, 1)
    straight[..., 3] = np.clip(alpha, 0, 1)
    return straight


def resize_rgba(rgba: np.ndarray, width: int, height: int) -> np.ndarray:
    """Straight-alpha rgba [H, W, 4] resized through premultiplied colours (area filter down, linear up)."""
    if rgba.shape[:2] == (height, width):
        return rgba
    shrinking = width < rgba.shape[1]
    resized = cv2.resize(
        premultiply(rgba).astype(np.float32),
        (width, height),
        interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR,
    )
    return unpremultiply(resized)


def zoom_rgba(
    rgba: np.ndarray, scale: np.ndarray, middle: np.ndarray, new_middle: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Straight-alpha rgba [height, width, 4] whose pixels are scaled so that the point `middle` comes to `new_middle`.

    Shrinking averages over the pixel.

    Args:
        scale: along x and y. middle, new_middle: [2] pixels, corners at whole numbers.
        size: width and height of the result.
    """
    times = max(1, int(np.ceil(1.0 / np.min(scale))))
    zoom = np.asarray(scale) * times
    shift = np.asarray(new_middle) * times - 0.5 - zoom * (np.asarray(middle) - 0.5)  # OpenCV: centres at integers
    matrix = np.array([[zoom[0], 0, shift[0]], [0, zoom[1], shift[1]]])
    fine = (size[0] * times, size[1] * times)
    warped = cv2.warpAffine(premultiply(rgba).astype(np.float32), matrix, fine, flags=cv2.INTER_LINEAR)
    return unpremultiply(cv2.resize(warped, size, interpolation=cv2.INTER_AREA) if times > 1 else warped)


def mask_bbox(mask: np.ndarray) -> tuple[int, int, int, int] | None:
    """(x0, y0, x1, y1) of a bool mask [H, W], ends excluded; None when it is empty."""
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    if len(columns) == 0:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two bool masks; two empty masks agree (1.0)."""
    union = np.logical_or(a, b).sum()
    return float(np.logical_and(a, b).sum() / union) if union else 1.0


def shared_crop(images: list[np.ndarray], background: float = 1.0, margin: float = 0.06) -> list[np.ndarray]:
    """Equal-sized square rgb images [h, h, 3] cropped alike, to the smallest centred square that keeps what any of them
    shows.

    One crop for all, so that sizes and places can still be compared; without anything to show, nothing is cropped.
    """
    size = images[0].shape[0]
    shows = np.any([np.abs(image - background).max(-1) > 0.02 for image in images], axis=0)
    box = mask_bbox(shows)
    if box is None:
        return images
    reach = max(size / 2 - min(box[0], box[1]), max(box[2], box[3]) - size / 2) + margin * size
    low = max(0, int(size / 2 - reach))
    return [image[low : size - low, low : size - low] for image in images]


def contact_sheet(
    images: list[np.ndarray], columns: int, gap: int = 4, background: float = 1.0, labels: tuple[str, ...] = ()
) -> np.ndarray:
    """One rgb image [H, W, 3] with equal-sized rgb images [h, w, 3] in rows of `columns`, and a word above each
    column."""
    height, width = images[0].shape[:2]
    rows, top = -(-len(images) // columns), 16 if labels else 0
    sheet = np.full((top + rows * (height + gap) - gap, columns * (width + gap) - gap, 3), background, np.float32)
    for index, image in enumerate(images):
        y, x = top + (index // columns) * (height + gap), (index % columns) * (width + gap)
        sheet[y : y + height, x : x + width] = image
    if labels:
        strip = Image.fromarray(np.full((top, sheet.shape[1]), round(background * 255), np.uint8))
        for column, label in enumerate(labels):
            ImageDraw.Draw(strip).text((column * (width + gap) + 2, 2), label, fill=90)
        sheet[:top] = np.asarray(strip, np.float32)[..., None] / 255
    return sheet
