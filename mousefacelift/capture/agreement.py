"""How far silhouettes agree, without voxels: every pixel of a mask asks the other views whether its ray meets the body.

The share of a mask's pixels whose ray passes, at some depth, through the masks of all other views is at once the
ray agreement and the IoU of the mask with the hull of all views seen from there (that hull never leaves
the mask). Sampling rays instead of a grid removes the grid's bias.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from mousefacelift.core.cameras import Camera
from mousefacelift.core.compiled import compiled

DEPTHS = 128
NEAR, FAR = 1, 2  # a pixel outside a mask: forgiven by `ray_agreement`, because it is within 1.5 px of it, or not


def silhouette_agreement(
    masks: np.ndarray,
    cameras: Sequence[Camera],
    center: np.ndarray,
    reach: float,
    stride: int = 1,
    depths: int = DEPTHS,
) -> tuple[np.ndarray, np.ndarray]:
    """Hull IoU [V] (strict) and ray agreement [V] (misses of up to 1.5 px forgiven) of one frame's masks [V, H, W].

    Args:
        center, reach: the body lies within `reach` of `center`, camera units.
        stride: every stride-th pixel of each mask is asked. depths: places along its ray that are tried.
    Returns:
        Two arrays in [0, 1]; a view without mask has NaN and is not asked by the others.
    """
    have = masks.any((1, 2))
    misses = np.stack([_misses(mask) for mask in masks.astype(np.uint8)])
    w2c = np.stack([camera.w2c[:3] for camera in cameras])
    fxfycxcy = np.stack([camera.fxfycxcy for camera in cameras])
    strict, tolerant = np.full(len(cameras), np.nan), np.full(len(cameras), np.nan)
    for view in np.flatnonzero(have):
        strict[view], tolerant[view] = _ask(
            misses, have, w2c, fxfycxcy, view, np.asarray(center, np.float64), float(reach), stride, depths
        )
    return strict, tolerant


def _misses(mask: np.ndarray) -> np.ndarray:
    """uint8 [H, W] of a mask 0/1: 0 inside, NEAR beside it (its pixel's eight neighbours), FAR elsewhere."""
    return FAR - (FAR - NEAR) * cv2.dilate(mask, np.ones((3, 3), np.uint8)) - NEAR * mask


@compiled()
def _ask(misses, have, w2c, fxfycxcy, view, center, reach, stride, depths):
    views, height, width = misses.shape
    R, t = w2c[view, :, :3], w2c[view, :, 3]
    fx, fy, cx, cy = fxfycxcy[view]
    middle = R[2, 0] * center[0] + R[2, 1] * center[1] + R[2, 2] * center[2] + t[2]
    near = max(middle - reach, 0.02 * middle)
    step = (middle + reach - near) / depths
    # per other view: pixel of the ray's point at depth z is (A z + b) / (C z + d)
    relative = np.zeros((views, 3, 3))
    offset = np.zeros((views, 3))
    for o in range(views):
        for r in range(3):
            for c in range(3):
                relative[o, r, c] = w2c[o, r, 0] * R[c, 0] + w2c[o, r, 1] * R[c, 1] + w2c[o, r, 2] * R[c, 2]
            offset[o, r] = w2c[o, r, 3] - (
                relative[o, r, 0] * t[0] + relative[o, r, 1] * t[1] + relative[o, r, 2] * t[2]
            )
    asked, strict, tolerant = 0, 0, 0
    direction = np.zeros((views, 3))
    for y in range(0, height, stride):
        for x in range(0, width, stride):
            if misses[view, y, x] > 0:
                continue
            asked += 1
            a, b = (x + 0.5 - cx) / fx, (y + 0.5 - cy) / fy
            for o in range(views):
                for r in range(3):
                    direction[o, r] = relative[o, r, 0] * a + relative[o, r, 1] * b + relative[o, r, 2]
            best = FAR + 1
            for k in range(
                depths
            ):  # from the middle outwards: the body is there, and the first place that fits ends the search
                place = depths // 2 + (k + 1) // 2 * (-1 if k % 2 else 1)
                z = near + (place + 0.5) * step
                worst = 0
                for o in range(views):
                    if o == view or not have[o]:
                        continue
                    depth = direction[o, 2] * z + offset[o, 2]
                    if depth <= 0:
                        worst = FAR + 1
                        break
                    u = int(np.floor((direction[o, 0] * z + offset[o, 0]) / depth * fxfycxcy[o, 0] + fxfycxcy[o, 2]))
                    v = int(np.floor((direction[o, 1] * z + offset[o, 1]) / depth * fxfycxcy[o, 1] + fxfycxcy[o, 3]))
                    if u < 0 or v < 0 or u >= width or v >= height:
                        continue  # outside that frame: unknown, not empty
                    worst = max(worst, np.int64(misses[o, v, u]))
                    if worst >= best:
                        break
                if worst < best:
                    best = worst
                    if best == 0:
                        break
            strict += best == 0
            tolerant += best <= NEAR
    if asked == 0:
        return np.nan, np.nan
    return strict / asked, tolerant / asked
