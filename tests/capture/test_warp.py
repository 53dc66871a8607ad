"""The compiled warp and the measures against slow twins that follow their definitions."""

import cv2
import numpy as np
import pytest

from mousefacelift.capture.mask_crop import MaskCrop
from mousefacelift.capture.quality import measure_view
from mousefacelift.capture.silhouettes import MIN_COMPONENT, drop_specks
from mousefacelift.capture.sources.picture import BT601, BT709, Picture
from mousefacelift.capture.warp import SOFT, covered_box, warp_view
from mousefacelift.core.cameras import aim_at
from tests.capture.scenes import animal, animal_center, draw_coverage, random_rig

SIZE = 48
CHROMA = {
    BT601: (1.402, 0.344136, 0.714136, 1.772),
    BT709: (1.5748, 0.187324, 0.468124, 1.8556),
}  # ITU-R BT.601, BT.709


@pytest.fixture(scope="module", params=[0, 3])
def view(request):
    """(picture, mask uint8, old camera, new camera, rotation) of the toy animal in noise."""
    rng = np.random.default_rng(request.param)
    old = random_rig(request.param, 4, 160)[1]
    mask = draw_coverage(old, animal(0.4))
    h, w = mask.shape
    half = ((h + 1) // 2, (w + 1) // 2)
    noise = [rng.integers(16, 236, shape).astype(np.uint8) for shape in ((h, w), half, half)]
    new, _ = aim_at(old.pinhole(), animal_center(0.4), np.array([90.0, 90.0, SIZE / 2, SIZE / 2]), SIZE, SIZE)
    return Picture(*noise, False, BT709 if request.param else BT601), mask, old, new, old.R @ new.R.T


def whole(mask):
    return MaskCrop(mask, 0, 0, mask.shape[1], mask.shape[0], True)


def bilinear(image, x, y):
    h, w = image.shape
    x, y = min(max(x, 0.0), w - 1.001), min(max(y, 0.0), h - 1.001)
    c, r = int(x), int(y)
    (a, b), (d, e) = image[r : r + 2, c : c + 2].astype(float)
    return (a * (1 - x + c) + b * (x - c)) * (1 - y + r) + (d * (1 - x + c) + e * (x - c)) * (y - r)


def warp_pixel(picture, mask, old, new, rotation, i, j, samples):
    """Straight rgba [4] in levels of one output pixel: every ray through rotation and lens, colours weighted by the
    mask."""
    total, sums = 0.0, np.zeros(3)
    for b in range(samples):
        for a in range(samples):
            pixel = np.array([i + (a + 0.5) / samples, j + (b + 0.5) / samples])
            ray = rotation @ np.append((pixel - new.fxfycxcy[2:]) / new.fxfycxcy[:2], 1.0)
            u, v = old.lens.distort(ray[:2] / ray[2]) - 0.5
            if not (-0.5 < u < mask.shape[1] - 0.5 and -0.5 < v < mask.shape[0] - 0.5):
                continue
            m = np.clip((bilinear(mask, u, v) - 127.5 + SOFT) / (2 * SOFT), 0, 1)
            half = (0.5 * u - 0.25, 0.5 * v - 0.25)
            total += m
            sums += m * np.array([bilinear(picture.y, u, v), bilinear(picture.u, *half), bilinear(picture.v, *half)])
    alpha = 255 * total / samples**2
    if alpha < 0.5:
        return np.zeros(4)
    y, cb, cr = (sums / total - [16, 128, 128]) * [255 / 219, 255 / 224, 255 / 224]
    red, green_b, green_r, blue = CHROMA[picture.shares]
    return np.append(np.clip([y + red * cr, y - green_b * cb - green_r * cr, y + blue * cb], 0, 255), alpha)


def test_the_warp_is_its_slow_twin(view):
    picture, mask, old, new, rotation = view
    box = covered_box(cv2.boundingRect((mask > 127).astype(np.uint8)), old, new, rotation)
    rgba = warp_view(picture, whole(mask), 127.5, old, new, rotation, box)
    samples = int(np.clip(np.ceil(1.2 / (90.0 / (0.5 * (old.lens.K[0, 0] + old.lens.K[1, 1])))), 1, 6))
    slow = np.array(
        [[warp_pixel(picture, mask, old, new, rotation, i, j, samples) for i in range(SIZE)] for j in range(SIZE)]
    )
    assert (slow[..., 3] > 127).sum() > 50
    assert np.abs(rgba - slow)[..., 3].max() < 1.0  # levels: rounding, and the lens taken as linear inside a pixel
    solid = slow[..., 3] > 25  # a colour is a quotient by alpha
    assert np.abs(rgba - slow)[solid].max() < 2.0
    assert not rgba[slow[..., 3] == 0].any()  # nothing of the twin lies outside the box either


def test_measures_are_their_definitions(view):
    picture, mask, old, new, rotation = view
    clean = (mask > 127).astype(np.uint8)
    place = cv2.boundingRect(clean)
    reached = covered_box(place, old, new, rotation)
    rgba = warp_view(picture, whole(mask), 127.5, old, new, rotation, reached)
    x, y, w, h = place
    box = slice(y, y + h), slice(x, x + w)
    row = measure_view(rgba, reached, clean[box], place, picture)
    rows, columns = np.nonzero(rgba[..., 3] > 127)
    assert row["area_share"] == pytest.approx(len(rows) / SIZE**2)
    offset = np.hypot(columns.mean() + 0.5 - SIZE / 2, rows.mean() + 0.5 - SIZE / 2)
    assert row["center_offset"] == pytest.approx(offset, abs=1e-9)
    reach = max(
        np.abs(
            [columns.min() - SIZE / 2, columns.max() + 1 - SIZE / 2, rows.min() - SIZE / 2, rows.max() + 1 - SIZE / 2]
        )
    )
    assert row["extent_share"] == pytest.approx(reach / (SIZE / 2)) and row["border_share"] == 0
    luma = picture.luma()[clean > 0]
    assert row["exposure"] == pytest.approx(luma.mean() / 255) and row["saturated"] == pytest.approx(
        np.isin(luma, (0, 255)).mean()
    )
    core = cv2.erode(clean[box], np.ones((5, 5), np.uint8)) > 0
    assert row["blur"] == pytest.approx(cv2.Laplacian(picture.luma(), cv2.CV_64F)[box][core].var(), rel=0.02)


def test_an_empty_view_has_no_measures():
    picture = Picture(
        np.full((32, 40), 16, np.uint8), np.full((16, 20), 128, np.uint8), np.full((16, 20), 128, np.uint8), False
    )
    row = measure_view(
        np.zeros((SIZE, SIZE, 4), np.uint8), (0, 0, 0, 0), np.zeros((0, 0), np.uint8), (0, 0, 0, 0), picture
    )
    assert row["area_share"] == 0 and row["center_offset"] is None and row["blur"] is None


def test_specks_go_and_islands_in_holes_are_specks_too():
    mask = np.zeros((80, 100), np.uint8)
    cv2.circle(mask, (45, 40), 30, 1, -1)
    assert drop_specks(mask) is mask
    ring = mask.copy()
    cv2.circle(ring, (45, 40), 12, 0, -1)
    assert drop_specks(ring) is ring  # a hole is no component
    spoiled = ring.copy()
    spoiled[40:43, 44:47] = 1
    spoiled[2:5, 90:93] = 1
    assert 9 < MIN_COMPONENT * ring.sum()
    np.testing.assert_array_equal(drop_specks(spoiled), ring)
    assert not drop_specks(np.zeros((8, 8), np.uint8)).any()
