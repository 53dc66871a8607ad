"""A user's picture as an input view: its foreground, cut out and framed like the pictures the networks know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mousefacelift.core.cameras import CANONICAL_DISTANCE, Camera, canonical_fxfycxcy, orbit
from mousefacelift.core.images import mask_bbox, zoom_rgba
from mousefacelift.core.records import ViewFacts
from mousefacelift.core.samples import View
from mousefacelift.errors import DataError
from mousefacelift.reconstruct.pixels import open_picture, own_alpha, read_colours, read_mask

Matting = Callable[[np.ndarray], np.ndarray]  # rgb uint8 [H, W, 3] -> soft mask float [H, W]
CUT = 0.1  # border share above which more than a tail is cut
LARGEST = 0.96  # longest side of the animal's box, share of the image


def read_picture(
    path: Path, mask: Path | None = None, matting: Matting | None = None, white: float | None = None
) -> np.ndarray:
    """Straight-alpha rgba [H, W, 4] of a picture, upright: cut out by `mask`, else by its own alpha, else by automatic
    `matting`.

    Args:
        white: the value of white in pictures of more than 8 bits (see `pixels.read_colours`).
    Raises:
        DataError: not an image, no way to tell the foreground, a mask of another size, or no foreground.
    """
    image = open_picture(path)
    rgb = read_colours(image, path, white)
    alpha = own_alpha(image)
    if mask is not None:
        alpha = read_mask(mask)
        if alpha.shape != rgb.shape[:2]:
            raise DataError(
                f"mask {mask} does not fit its picture",
                got=f"{alpha.shape[1]}x{alpha.shape[0]}",
                expected=f"{rgb.shape[1]}x{rgb.shape[0]}",
                likely="a mask of the file before it was turned upright (EXIF orientation), or of another size",
            )
    elif alpha is None and matting is not None:
        alpha = matting(np.rint(rgb * 255).astype(np.uint8))
    elif alpha is None:
        has_channel = "A" in image.getbands() or "transparency" in image.info
        raise DataError(
            f"picture {path} has {'an alpha channel that is opaque everywhere' if has_channel else 'no alpha channel'}",
            got=image.mode,
            expected="RGBA with a transparent background, or a mask beside it",
            hint="--mask MASK.png, or --matting auto",
        )
    area = float((alpha > 0.5).mean())
    if not 0.001 < area < 0.98:
        raise DataError(
            f"picture {path} shows no animal to cut out",
            got=f"foreground {area:.1%} of the image",
            expected="between 0.1% and 98%",
            likely="an empty or inverted mask",
            hint="give a mask that is white on the animal: --mask MASK.png",
        )
    return np.dstack([rgb, alpha]).astype(np.float32)


def border_share(rgba: np.ndarray) -> float:
    """How much of the animal's width is cut by the picture's border: foreground pixels on it over the square root of
    the foreground's area."""
    mask = rgba[..., 3] > 0.5
    on_border = mask[0].sum() + mask[-1].sum() + mask[:, 0].sum() + mask[:, -1].sum()
    return float(on_border / np.sqrt(mask.sum()))


def frame_picture(rgba: np.ndarray, size: int, elevation: float, name: str, area: float) -> View:
    """The picture as a square view of `size` pixels, the animal's centre of mass in the middle, covering `area` of the
    image.

    Nobody knows the true camera of a picture, nor the animal's size: it is placed at azimuth 0, the given elevation and
    distance 2.7, as large as the networks' own photos show an animal, and everything that follows is relative to it. An
    outspread animal is made smaller until it fits.
    """
    alpha = rgba[..., 3]
    middle = np.array(
        [
            (alpha.sum(0) * (np.arange(alpha.shape[1]) + 0.5)).sum(),
            (alpha.sum(1) * (np.arange(alpha.shape[0]) + 0.5)).sum(),
        ]
    )
    middle /= alpha.sum()
    x0, y0, x1, y1 = mask_bbox(alpha > 0.5)
    reach = 2 * max(middle[0] - x0, x1 - middle[0], middle[1] - y0, y1 - middle[1])
    scale = min(size * float(np.sqrt(area / alpha.sum())), LARGEST * size / reach)
    camera = orbit(0.0, elevation, CANONICAL_DISTANCE, canonical_fxfycxcy(size), size, size)
    picture = zoom_rgba(rgba, np.full(2, scale), middle, np.full(2, size / 2), (size, size))
    return View(picture, camera, ViewFacts(details={"picture": name, "scale": scale}))


def reframe(view: View, size: int) -> View:
    """The view through canonical intrinsics at `size` pixels: same place and direction, an affine map of the pixels."""
    wanted = canonical_fxfycxcy(size)
    own = view.camera.fxfycxcy
    picture = zoom_rgba(view.rgba, wanted[:2] / own[:2], own[2:], np.full(2, size / 2), (size, size))
    return View(picture, Camera(view.camera.w2c, wanted, size, size), view.facts)
