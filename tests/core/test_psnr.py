"""PSNR over the foreground: the background does not count, and nothing is no value."""

import pytest
import torch

from mousefacelift.core.psnr import CEILING, foreground_psnr, psnr_of_error


def test_foreground_psnr_ignores_the_background():
    target, mask = torch.full((2, 3, 16, 16), 0.4), torch.zeros(2, 16, 16)
    mask[:, 4:9, 5:11] = 1.0
    noisy = torch.where(mask[:, None] > 0.5, target, target + 0.3)
    assert foreground_psnr(noisy, target, mask).tolist() == [CEILING] * 2
    assert foreground_psnr(target + 0.1 * mask[:, None], target, mask).tolist() == pytest.approx([20.0] * 2, abs=1e-3)


def test_without_foreground_there_is_no_value():
    image = torch.zeros(1, 3, 8, 8)
    assert foreground_psnr(image, image, torch.zeros(1, 8, 8)).isnan().all() and psnr_of_error(torch.nan).isnan()
