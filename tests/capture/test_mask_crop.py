"""What the crop of a mask leaves out says nothing."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mousefacelift.capture.growth import grow_mask, mask_level
from mousefacelift.capture.mask_crop import FAINT, crop_mask
from mousefacelift.capture.sources.picture import Picture
from mousefacelift.capture.warp import SOFT


@pytest.mark.parametrize("full_range", [True, False])
@pytest.mark.parametrize("growth", [-2.3, 0.0, 3.1, 11.0])
def test_growing_a_crop_is_growing_the_mask(full_range, growth):
    rng = np.random.default_rng(4)
    soft = cv2.GaussianBlur(cv2.circle(np.zeros((150, 220), np.uint8), (70, 60), 28, 255, -1), (0, 0), 1.2)
    low, high = (0, 255) if full_range else (16, 235)
    grey = np.maximum(low + soft.astype(float) * (high - low) / 255, rng.integers(0, FAINT + 1, soft.shape))
    picture = Picture(np.rint(grey).astype(np.uint8), None, None, full_range)
    crop = crop_mask(picture, growth)
    assert crop.luma.shape[0] < 115 and crop.luma.shape[1] < 115
    whole, part = grow_mask(picture, growth).y, replace(crop, luma=grow_mask(crop.picture(), growth).y)
    threshold = mask_level(picture) + 0.5 - SOFT
    seen = np.where(whole > threshold, whole, 0)
    there = part.part(0, 0, 220, 150)
    np.testing.assert_array_equal(np.where(there > threshold, there, 0), seen)
    assert seen.any() and FAINT <= threshold


def test_a_mask_without_animal_has_an_empty_crop():
    crop = crop_mask(Picture(np.full((40, 60), FAINT, np.uint8), None, None, False))
    assert not crop.part(0, 0, 60, 40).any() and (crop.width, crop.height) == (60, 40)
