"""Masks grow and shrink by fractions of a pixel, and fat and thin masks are brought together."""

import numpy as np
import pytest

from mousefacelift.capture.align import align
from mousefacelift.capture.body_facts import describe_volume
from mousefacelift.capture.config import AuditConfig
from mousefacelift.capture.growth import grow_mask
from mousefacelift.capture.refine import apply_correction
from mousefacelift.capture.silhouettes import SilhouetteMaker, clean_mask, stack_silhouettes
from mousefacelift.capture.sources.picture import Picture
from mousefacelift.capture.tangency import Poses
from mousefacelift.core.images import mask_iou
from mousefacelift.virtual.degrade import change_mask
from tests.capture.scenes import animal, draw_coverage, draw_mask, random_rig

WIDTH = 384


def disc(radius, low, high, size=160, fine=8):
    grid = (np.arange(size * fine) + 0.5) / fine - size / 2 - 0.3
    inside = (grid[:, None] ** 2 + grid[None] ** 2 < radius**2).astype(np.float32)
    coverage = inside.reshape(size, fine, size, fine).mean((1, 3))
    return Picture(np.round(low + coverage * (high - low)).astype(np.uint8), None, None, high == 255)


@pytest.mark.parametrize("pixels", [-3.0, -1.3, -0.4, 0.3, 0.8, 2.6])
@pytest.mark.parametrize("low, high", [(0, 255), (16, 235)])
def test_a_disc_grows_by_what_is_asked(pixels, low, high):
    grown = grow_mask(disc(45, low, high), pixels)
    area = (grown.y.astype(float) - low).sum() / (high - low)
    assert np.sqrt(area / np.pi) - 45 == pytest.approx(pixels, abs=0.08)
    assert grown.y.min() == low and grown.y.max() == high


def test_no_growth_changes_nothing_and_an_empty_mask_stays_empty():
    picture = disc(20, 16, 235)
    assert grow_mask(picture, 0.0) is picture
    empty = Picture(np.full((40, 60), 17, np.uint8), None, None, False)
    assert not clean_mask(empty, 3.0).any()


def reader_of(cameras, changes, times):
    """Function growth -> silhouettes of masks that a segmentation made fat or thin by `changes` px."""
    makers = [SilhouetteMaker(c.lens, c.width, c.height) for c in cameras]
    pictures = [
        [
            Picture((change_mask(draw_coverage(c, animal(t)) / 255, change) * 255).astype(np.uint8), None, None, True)
            for c, change in zip(cameras, changes)
        ]
        for t in times
    ]

    def read(growth):
        return stack_silhouettes(
            np.arange(len(times)),
            [[m.make(clean_mask(p, g)) for m, p, g in zip(makers, row, growth)] for row in pictures],
        )

    return read, pictures


def test_fat_and_thin_masks_are_brought_together_whatever_the_calibration():
    cameras, times, rng = random_rig(9, 6, WIDTH), np.linspace(0, 6, 24), np.random.default_rng(9)
    changes = np.array([1.0, -0.9, 0.8, -1.0, 0.7, -0.8])
    read, pictures = reader_of(cameras, changes, times)
    poses = Poses.of([c.w2c for c in cameras], [c.lens.fxfycxcy[:2].mean() for c in cameras])
    spoiled = apply_correction(poses, rng.normal(0, 2.0, (6, 2)), np.zeros((6, 3)))
    found = align(read, spoiled, AuditConfig(), WIDTH)
    assert found.correction.kind != "off"
    # silhouettes tell masks apart, not what all have in common
    left = found.growth + changes
    assert np.ptp(left) < 0.35 * np.ptp(changes)
    before, after = (describe_volume(cameras, s)["hull_iou"].mean() for s in (read(np.zeros(6)), found.silhouettes))
    assert after > 0.97 and after > before + 0.01
    truth = [draw_mask(c, animal(times[3])) > 0 for c in cameras]
    old, new = (
        np.mean([mask_iou(clean_mask(p, g) > 0, t) for p, g, t in zip(pictures[3], growth, truth)])
        for growth in (np.zeros(6), found.growth)
    )
    assert new > old + 0.03


def test_masks_of_a_true_rig_that_agree_are_left_alone():
    cameras = random_rig(10, 5, WIDTH)
    read, _ = reader_of(cameras, np.zeros(5), np.linspace(0, 6, 24))
    poses = Poses.of([c.w2c for c in cameras], [c.lens.fxfycxcy[:2].mean() for c in cameras])
    found = align(read, poses, AuditConfig(), WIDTH)
    assert found.correction.kind == "off" and not found.growth.any()


def test_masks_alone_are_corrected_when_the_calibration_is_true():
    cameras = random_rig(11, 6, WIDTH)
    read, _ = reader_of(cameras, [1.2, -1.0, 0.0, 0.9, -1.1, 0.0], np.linspace(0, 6, 24))
    poses = Poses.of([c.w2c for c in cameras], [c.lens.fxfycxcy[:2].mean() for c in cameras])
    found = align(read, poses, AuditConfig(), WIDTH)
    assert found.growth[0] < -0.5 < 0.5 < found.growth[1]
    assert np.abs(found.correction.shift).max() < 0.3  # px: the cameras were true
