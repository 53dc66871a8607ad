"""MoReMouse's own protocol: four views a quarter turn apart, full frame on white, PSNR, SSIM and LPIPS.

Its numbers flatter: most of a frame is white. So white itself and the mean image stand beside every method, always. On
a real rig the four cameras are those whose azimuths come nearest to a quarter turn; how far they are off is reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch

from mousefacelift.check.gather import stack
from mousefacelift.core.cameras import Camera, azimuth_elevation, circular_difference
from mousefacelift.core.psnr import psnr_of_error
from mousefacelift.core.ssim import ssim

FOUR = 4


def orthogonal_views(cameras: Sequence[Camera]) -> tuple[tuple[int, ...], float]:
    """Places of the four cameras that lie nearest to a quarter turn apart, and the largest step's error in degrees.

    Fewer than four cameras are all taken.
    """
    azimuths = np.array([azimuth_elevation(camera)[0] for camera in cameras])
    count = min(FOUR, len(cameras))

    def error(chosen: tuple[int, ...]) -> float:
        turned = np.sort(azimuths[list(chosen)])
        steps = np.diff(np.append(turned, turned[0] + 360))
        return float(np.abs(circular_difference(steps, 360 / count)).max()) if count > 1 else 0.0

    best = min(combinations(range(len(cameras)), count), key=error)
    return best, error(best)


def full_frame(shown: Sequence[np.ndarray], truth: Sequence[np.ndarray], perceptual=None) -> dict[str, float]:
    """Means of full-frame PSNR, SSIM and, with its network, LPIPS of rgba images [H, W, 4], both over white."""
    left, right = stack(list(shown), 1.0), stack(list(truth), 1.0)
    values = {
        "psnr": float(psnr_of_error((left - right).square().mean((-3, -2, -1))).mean()),
        "ssim": float(ssim(left.double(), right.double()).mean()),
    }
    if perceptual is not None:
        values["lpips"] = float(torch.stack([perceptual(a[None], b[None]) for a, b in zip(left, right)]).mean())
    return values
