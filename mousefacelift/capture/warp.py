"""The one resampling: from the decoder's planes and a mask to the canonical RGBA image, lens and re-aiming at once.

Every output pixel sends K x K rays through the new camera, turns them into the old camera, through its lens, and
samples luma, chroma and mask there. Colours are averaged with the mask as weight (premultiplied), so that no
background bleeds into the edge; outside the mask the image is transparent black.
"""

from __future__ import annotations

import numba
import numpy as np

from mousefacelift.capture.lens import distort_point
from mousefacelift.capture.rig import RigCamera
from mousefacelift.capture.sources.picture import Picture
from mousefacelift.core.cameras import Camera

# half width, in luma steps of a 0..255 mask, of the soft edge around the threshold; what is fainter is codec noise
SOFT = 96.0


def warp_view(
    picture: Picture,
    mask: np.ndarray,
    threshold: float,
    old: RigCamera,
    new: Camera,
    rotation: np.ndarray,
    box: tuple[int, int, int, int],
) -> np.ndarray:
    """uint8 rgba [H, W, 4] (straight alpha) of the view `new`, a rotation of `old` about the optical centre.

    Args:
        picture: full-resolution frame of `old`.
        mask: uint8 [h, w] of that frame; `threshold` is the edge, soft over +-SOFT levels.
        old: lens camera. new: pinhole camera.
        rotation: [3, 3] from the axes of `new` to those of `old`.
        box: (x0, y0, x1, y1) of the output that can be covered; the rest stays transparent.
    """
    out = np.zeros((new.height, new.width, 4), np.uint8)
    scale = new.fxfycxcy[0] / (0.5 * (old.lens.K[0, 0] + old.lens.K[1, 1]))
    samples = int(np.clip(np.ceil(1.2 / scale), 1, 6))
    _warp(
        picture.y,
        picture.u,
        picture.v,
        picture.full_range,
        mask,
        threshold,
        SOFT,
        np.ascontiguousarray(rotation),
        new.fxfycxcy,
        old.lens.parameters,
        old.lens.valid_radius(old.width, old.height) ** 2,
        samples,
        *box,
        out,
    )
    return out


def covered_box(
    place: tuple[int, int, int, int], old: RigCamera, new: Camera, rotation: np.ndarray
) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1) of `new` that the bounding box (x, y, w, h) of a mask of `old` can reach, clipped to the
    image."""
    x, y, w, h = place
    side = np.linspace(0, 1, 9)
    u, v = x - 2 + (w + 4) * side, y - 2 + (h + 4) * side
    border = np.concatenate(
        [
            np.stack([u, np.full(9, v[0])], 1),
            np.stack([u, np.full(9, v[-1])], 1),
            np.stack([np.full(9, u[0]), v], 1),
            np.stack([np.full(9, u[-1]), v], 1),
        ]
    )
    plane = old.lens.undistort(border)
    plane = plane[np.isfinite(plane).all(1)]
    rays = np.concatenate([plane, np.ones((len(plane), 1))], 1) @ rotation
    if w == 0 or len(rays) < 8 or (rays[:, 2] <= 1e-6).any():
        return 0, 0, new.width if w else 0, new.height if w else 0
    fx, fy, cx, cy = new.fxfycxcy
    pixels = rays[:, :2] / rays[:, 2:] * [fx, fy] + [cx, cy]
    low, high = np.floor(pixels.min(0) - 1), np.ceil(pixels.max(0) + 1)
    x0, y0 = np.clip(low, 0, [new.width, new.height]).astype(int)
    x1, y1 = np.clip(high, 0, [new.width, new.height]).astype(int)
    return int(x0), int(y0), int(x1), int(y1)


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _warp(Y, U, V, full_range, mask, threshold, soft, rotation, fxfycxcy, lens, radius2, samples, x0, y0, x1, y1, out):
    """Fill out[y0:y1, x0:x1]. The lens is evaluated at pixel corners; inside a pixel the map is linear to 1e-4 px."""
    height, width = Y.shape
    ch, cw = U.shape
    columns = x1 - x0 + 1
    upper, lower = np.empty((columns, 2)), np.empty((columns, 2))
    _corner_row(x0, y0, columns, rotation, fxfycxcy, lens, radius2, upper)
    step = 1.0 / samples
    y_low, y_gain, c_gain = (0.0, 1.0, 1.0) if full_range else (16.0, 255.0 / 219.0, 255.0 / 224.0)
    low, gain = threshold - soft, 1.0 / (2.0 * soft)
    for j in range(y0, y1):
        _corner_row(x0, j + 1, columns, rotation, fxfycxcy, lens, radius2, lower)
        for i in range(x1 - x0):
            u00, v00, u10, v10 = upper[i, 0], upper[i, 1], upper[i + 1, 0], upper[i + 1, 1]
            u01, v01, u11, v11 = lower[i, 0], lower[i, 1], lower[i + 1, 0], lower[i + 1, 1]
            if not (min(u00, u10, u01, u11) > -1e8):
                continue
            weight, sy, su, sv = 0.0, 0.0, 0.0, 0.0
            for b in range(samples):
                q = (b + 0.5) * step
                ua, va, ub, vb = (
                    u00 + q * (u01 - u00),
                    v00 + q * (v01 - v00),
                    u10 + q * (u11 - u10),
                    v10 + q * (v11 - v10),
                )
                for a in range(samples):
                    p = (a + 0.5) * step
                    u, v = ua + p * (ub - ua) - 0.5, va + p * (vb - va) - 0.5
                    if u <= -0.5 or v <= -0.5 or u >= width - 0.5 or v >= height - 0.5:
                        continue
                    m = (_bilinear(mask, u, v, width, height) - low) * gain
                    if m <= 0.0:
                        continue
                    m = min(m, 1.0)
                    weight += m
                    sy += m * _bilinear(Y, u, v, width, height)
                    su += m * _bilinear(U, 0.5 * u - 0.25, 0.5 * v - 0.25, cw, ch)
                    sv += m * _bilinear(V, 0.5 * u - 0.25, 0.5 * v - 0.25, cw, ch)
            alpha = 255.0 * weight * step * step
            if alpha < 0.5:
                continue
            luma = (sy / weight - y_low) * y_gain
            cb, cr = (su / weight - 128.0) * c_gain, (sv / weight - 128.0) * c_gain
            pixel = out[j, x0 + i]
            pixel[0] = np.uint8(min(max(luma + 1.402 * cr, 0.0), 255.0) + 0.5)
            pixel[1] = np.uint8(min(max(luma - 0.344136 * cb - 0.714136 * cr, 0.0), 255.0) + 0.5)
            pixel[2] = np.uint8(min(max(luma + 1.772 * cb, 0.0), 255.0) + 0.5)
            pixel[3] = np.uint8(min(alpha, 255.0) + 0.5)
        upper, lower = lower, upper


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _corner_row(x0, y, columns, rotation, fxfycxcy, lens, radius2, row):
    """Old pixels [columns, 2] of the new pixel corners (x0.., y); -1e9 where the old lens does not see."""
    yn = (y - fxfycxcy[3]) / fxfycxcy[1]
    for k in range(columns):
        xn = (x0 + k - fxfycxcy[2]) / fxfycxcy[0]
        z = rotation[2, 0] * xn + rotation[2, 1] * yn + rotation[2, 2]
        row[k, 0], row[k, 1] = -1e9, -1e9
        if z > 1e-9:
            x = (rotation[0, 0] * xn + rotation[0, 1] * yn + rotation[0, 2]) / z
            y_old = (rotation[1, 0] * xn + rotation[1, 1] * yn + rotation[1, 2]) / z
            if x * x + y_old * y_old <= radius2:
                row[k, 0], row[k, 1] = distort_point(x, y_old, lens)


@numba.njit(cache=True, nogil=True, fastmath=True, inline="always")
def _bilinear(image, x, y, width, height):
    x = min(max(x, 0.0), width - 1.001)
    y = min(max(y, 0.0), height - 1.001)
    c, r = np.uintp(x), np.uintp(y)
    fx, fy = x - c, y - r
    one = np.uintp(1)
    top = image[r, c] * (1.0 - fx) + image[r, c + one] * fx
    bottom = image[r + one, c] * (1.0 - fx) + image[r + one, c + one] * fx
    return top * (1.0 - fy) + bottom * fy
