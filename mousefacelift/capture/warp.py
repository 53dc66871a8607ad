"""The one resampling: from the decoder's planes and a mask to the canonical RGBA image, lens and re-aiming at once.

Every output pixel sends K x K rays through the new camera, turns them into the old camera, through its lens, and
samples luma, chroma and mask there. Colours are averaged with the mask as weight (premultiplied), so that no
background bleeds into the edge; outside the mask the image is transparent black.
"""

from __future__ import annotations

import numpy as np

from mousefacelift.capture.mask_crop import MaskCrop
from mousefacelift.capture.rig import RigCamera
from mousefacelift.capture.sources.picture import Picture
from mousefacelift.capture.warp_kernels import UNSEEN, find_blocks, find_corners, pack_pairs, reach, warp_rows
from mousefacelift.core.cameras import Camera

# half width, in luma steps of a 0..255 mask, of the soft edge around the threshold; what is fainter is codec noise
SOFT = 96.0


def warp_view(
    picture: Picture,
    mask: MaskCrop,
    threshold: float,
    old: RigCamera,
    new: Camera,
    rotation: np.ndarray,
    box: tuple[int, int, int, int],
) -> np.ndarray:
    """uint8 rgba [H, W, 4] (straight alpha) of the view `new`, a rotation of `old` about the optical centre.

    Args:
        picture: full-resolution frame of `old`.
        mask: of that frame, black beyond the crop; `threshold` is the edge, soft over +-SOFT levels.
        old: lens camera. new: pinhole camera.
        rotation: [3, 3] from the axes of `new` to those of `old`.
        box: (x0, y0, x1, y1) of the output that can be covered; the rest stays transparent.
    """
    out = np.zeros((new.height, new.width, 4), np.uint8)
    x0, y0, x1, y1 = box
    if x1 <= x0 or y1 <= y0:
        return out
    us, vs = (np.empty((y1 - y0 + 1, x1 - x0 + 1), np.float32) for _ in range(2))
    radius2 = old.lens.valid_radius(old.width, old.height) ** 2
    find_corners(x0, y0, np.ascontiguousarray(rotation), new.fxfycxcy, old.lens.parameters, radius2, us, vs)
    height, width = picture.y.shape
    part = _visible_part(us, vs, height, width)
    if part is None:
        return out
    left, top, right, bottom = part
    low, gain = np.float32(threshold - SOFT), np.float32(1.0 / (2.0 * SOFT))
    grey = mask.part(left, top, right, bottom)
    luma_mask = pack_pairs(picture.y[top:bottom, left:right], grey)
    half = np.s_[top // 2 : (bottom + 1) // 2, left // 2 : (right + 1) // 2]
    chroma = pack_pairs(picture.u[half], picture.v[half])
    blocks = find_blocks(grey, low)
    us -= np.float32(left + 0.5)  # pixel centres of the part at whole numbers
    vs -= np.float32(top + 0.5)
    bounds = np.array([-0.5 - left, -0.5 - top, width - 0.5 - left, height - 0.5 - top], np.float32)
    scale = new.fxfycxcy[0] / (0.5 * (old.lens.K[0, 0] + old.lens.K[1, 1]))
    samples = int(np.clip(np.ceil(1.2 / scale), 1, 6))
    warp_rows(us, vs, luma_mask, chroma, blocks, bounds, low, gain, picture.to_rgb, samples, x0, y0, out)
    return out


def _visible_part(us: np.ndarray, vs: np.ndarray, height: int, width: int) -> tuple[int, int, int, int] | None:
    """(left, top, right, bottom) of the source that pixels with corners (us, vs) sample, even at left and top; None
    when they see nothing of it."""
    seen = us > UNSEEN
    if not seen.any():
        return None
    ends = []
    for values, size in ((us, width), (vs, height)):
        low, high = float(values[seen].min()), float(values.max())
        ends.append((max(0, int(np.floor(low)) - 3) // 2 * 2, min(size, int(np.ceil(high)) + 4)))
    (left, right), (top, bottom) = ends
    return (left, top, right, bottom) if right - left > 3 and bottom - top > 3 else None


def covered_box(
    place: tuple[int, int, int, int], old: RigCamera, new: Camera, rotation: np.ndarray
) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1) of `new` that the bounding box (x, y, w, h) of a mask of `old` can reach, clipped to the
    image."""
    if place[2] == 0:
        return 0, 0, 0, 0
    low, high = reach(np.array(place, np.float64), old.lens.parameters, np.ascontiguousarray(rotation), new.fxfycxcy)
    if not np.isfinite(low).all():
        return 0, 0, new.width, new.height
    x0, y0 = np.clip(np.floor(low - 1), 0, [new.width, new.height]).astype(int)
    x1, y1 = np.clip(np.ceil(high + 1), 0, [new.width, new.height]).astype(int)
    return int(x0), int(y0), int(x1), int(y1)
