"""PSNR, over a whole image or its foreground: the one definition that losses, fits, generators and judges share."""

from __future__ import annotations

import torch

CEILING = 100.0  # dB given to an exact match, so that means stay finite


def psnr_of_error(mean_squared_error) -> torch.Tensor:
    """PSNR [...] in dB of mean squared errors [...] of images in [0, 1], at most `CEILING`; NaN stays NaN."""
    floor = 10.0 ** (-CEILING / 10.0)
    return -10.0 * torch.log10(torch.as_tensor(mean_squared_error).clamp_min(floor))


def foreground_psnr(image: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """PSNR [...] in dB of images [..., 3, H, W] over the foreground of the target; NaN where it has none.

    Args:
        image, target: in [0, 1], over the same background.
        mask: [..., H, W] of the target, bool or soft (foreground above 0.5).
    """
    inside = mask if mask.dtype == torch.bool else mask > 0.5
    count = inside.sum((-2, -1))
    error = ((image - target).square().mean(-3) * inside).sum((-2, -1)) / count.clamp_min(1)
    return psnr_of_error(torch.where(count > 0, error, torch.nan))
