"""Every fidelity metric has a case that must be best, one that must be worst, and a failure it must ignore."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mousefacelift.check.fidelity import (
    coverage,
    fg_l1,
    fg_psnr,
    fg_ssim,
    full_psnr,
    mask_box,
    mask_iou,
    per_image,
    soft_iou,
)
from mousefacelift.core.psnr import CEILING
from mousefacelift.errors import DataError


@pytest.fixture
def scene():
    """Two 48 px images of a dark textured blob on white, and its mask."""
    rng = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    mask = torch.stack([((x - 22) / 12) ** 2 + ((y - 26) / 8) ** 2 < 1, ((x - 28) / 9) ** 2 + ((y - 20) / 9) ** 2 < 1])
    fur = 0.15 + 0.1 * torch.rand((2, 3, 48, 48), generator=rng)
    return torch.where(mask[:, None], fur, torch.ones(())), mask


def mean_of(values):
    return {name: float(value.nanmean()) for name, value in values.items()}


def test_the_truth_is_best_everywhere(scene):
    target, mask = scene
    values = mean_of(per_image(target, target, mask, mask))
    assert values["fg_psnr"] == values["full_psnr"] == CEILING
    assert values["fg_ssim"] == pytest.approx(1, abs=1e-6) and values["fg_l1"] == 0
    assert values["iou"] == values["soft_iou"] == values["coverage"] == 1


def test_white_is_worst_and_full_psnr_flatters_it_by_the_foreground_share(scene):
    target, mask = scene
    white = torch.ones_like(target)
    gain = full_psnr(white, target) - fg_psnr(white, target, mask)
    torch.testing.assert_close(gain, -10 * torch.log10(mask.float().mean((-2, -1))), atol=1e-4, rtol=0)
    assert mean_of(per_image(white, target, mask, torch.zeros_like(mask)))["iou"] == 0


def test_foreground_psnr_ignores_the_background_and_full_psnr_does_not(scene):
    target, mask = scene
    dirty = torch.where(mask[:, None], target, target - 0.3)
    assert (fg_psnr(dirty, target, mask) == CEILING).all() and (full_psnr(dirty, target) < 15).all()


def test_shared_mask_separates_colour_from_shape(scene):
    target, mask = scene
    eaten = mask.clone()
    eaten[:, 24:] = False
    half = torch.where(eaten[:, None], target, torch.ones(()))
    values = per_image(half, target, mask, eaten)
    assert (values["fg_psnr_shared"] == CEILING).all() and (values["fg_psnr"] < 10).all()


def test_ssim_ignores_distance_from_the_animal_and_sees_lost_texture(scene):
    target, mask = scene
    far = target.clone()
    far[:, :, :2] = 0.0
    torch.testing.assert_close(fg_ssim(far, target, mask)[1:], torch.ones(1), atol=1e-5, rtol=0)
    smooth = torch.where(mask[:, None], torch.full_like(target, 0.2), target)
    assert (fg_ssim(smooth, target, mask) < 0.97).all() and (fg_ssim(smooth, target, mask) > 0).all()


def test_shape_metrics_ignore_colour(scene):
    target, mask = scene
    values = mean_of(per_image(1 - target, target, mask, mask))
    assert values["iou"] == values["coverage"] == 1 and values["fg_psnr"] < 6


def test_coverage_counts_area_only(scene):
    _, mask = scene
    assert torch.equal(coverage(torch.roll(mask, 20, -1), mask), torch.ones(2))
    torch.testing.assert_close(coverage(torch.ones_like(mask), mask), 1 / mask.float().mean((-2, -1)))
    assert (mask_iou(torch.roll(mask, 20, -1), mask) < 0.3).all()


def test_soft_iou_equals_hard_iou_on_hard_masks(scene):
    _, mask = scene
    other = torch.roll(mask, 5, -1)
    torch.testing.assert_close(soft_iou(other.float(), mask.float()), mask_iou(other, mask))


def test_l1_is_per_foreground_pixel(scene):
    target, mask = scene
    assert fg_l1(target - 0.1, target, mask)[0] == pytest.approx(0.1 * 48 * 48 / mask[0].sum().item(), rel=1e-5)


def test_an_image_without_foreground_has_no_foreground_value(scene):
    target, mask = scene
    none = torch.zeros_like(mask)
    assert fg_psnr(target, target, none).isnan().all() and fg_ssim(target, target, none).isnan().all()


def test_numpy_arrays_and_leading_axes_are_accepted(scene):
    target, mask = scene
    stacked = np.stack([target.numpy()] * 3)
    assert full_psnr(stacked, stacked).shape == (3, 2)
    assert fg_ssim(stacked, stacked, np.stack([mask.numpy()] * 3)).shape == (3, 2)


def test_boxes_stay_inside_and_hold_an_ssim_window():
    mask = torch.zeros(20, 30, dtype=torch.bool)
    mask[0, 29] = True
    top, bottom, left, right = mask_box(mask, 2)
    assert bottom - top >= 11 and right - left >= 11 and bottom <= 20 and right <= 30


def test_images_of_other_sizes_are_refused(scene):
    target, mask = scene
    with pytest.raises(DataError, match="do not fit"):
        full_psnr(target[..., ::2, ::2], target)
    with pytest.raises(DataError, match="do not fit"):
        fg_psnr(target, target, mask[..., ::2])
