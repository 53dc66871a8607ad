"""The compiled agreement against its definition: distances to the masks along every ray."""

import cv2
import numpy as np
import pytest

from mousefacelift.capture.agreement import silhouette_agreement
from mousefacelift.core.cameras import canonical_fxfycxcy, orbit, project, unproject

SIZE, DEPTHS = 40, 24


def slow_agreement(masks, cameras, center, reach):
    """Shares of each mask's pixels whose ray comes, at some depth, into all other masks, and within 1.5 px of them."""
    outside = [cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) for mask in masks]
    strict, tolerant = [], []
    for view, camera in enumerate(cameras):
        middle = float(project(camera, center)[1])
        near = max(middle - reach, 0.02 * middle)
        depths = near + (np.arange(DEPTHS) + 0.5) * (middle + reach - near) / DEPTHS
        rows, columns = np.nonzero(masks[view])
        pixels = np.stack([columns + 0.5, rows + 0.5], -1)
        misses = np.zeros((len(pixels), DEPTHS))
        for other in set(range(len(cameras))) - {view}:
            for k, depth in enumerate(depths):
                found = np.floor(project(cameras[other], unproject(camera, pixels, np.full(len(pixels), depth)))[0])
                u, v = found.astype(int).T
                inside = (u >= 0) & (v >= 0) & (u < SIZE) & (v < SIZE)
                far = np.where(inside, outside[other][np.clip(v, 0, SIZE - 1), np.clip(u, 0, SIZE - 1)], 0)
                misses[:, k] = np.maximum(misses[:, k], far)
        best = misses.min(1)
        strict.append((best == 0).mean())
        tolerant.append((best <= 1.5).mean())
    return np.array(strict), np.array(tolerant)


@pytest.mark.parametrize("seed", range(4))
def test_agreement_is_its_slow_twin(seed):
    rng = np.random.default_rng(seed)
    cameras = [orbit(70.0 * v, 25.0, 2.7, canonical_fxfycxcy(SIZE), SIZE, SIZE) for v in range(4)]
    masks = np.zeros((4, SIZE, SIZE), np.uint8)
    for mask in masks:  # discs that agree in part
        x, y = rng.integers(15, 25, 2).tolist()
        cv2.circle(mask, (x, y), int(rng.integers(6, 11)), 1, -1)
    strict, tolerant = silhouette_agreement(masks > 0, cameras, np.zeros(3), 0.8, depths=DEPTHS)
    expected = slow_agreement(masks > 0, cameras, np.zeros(3), 0.8)
    assert 0.2 < expected[0].min() < expected[1].max() and (expected[0] < expected[1]).any()
    np.testing.assert_allclose([strict, tolerant], expected, atol=0.011)  # a pixel that lies on an edge after rounding


def test_a_view_without_mask_is_not_asked():
    cameras = [orbit(70.0 * v, 25.0, 2.7, canonical_fxfycxcy(SIZE), SIZE, SIZE) for v in range(4)]
    masks = np.zeros((4, SIZE, SIZE), bool)
    masks[:3, 12:28, 12:28] = True
    strict, _ = silhouette_agreement(masks, cameras, np.zeros(3), 0.8)
    assert np.isnan(strict[3]) and (strict[:3] > 0.5).all()
