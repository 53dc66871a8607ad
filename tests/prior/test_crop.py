import numpy as np
import pytest

from mousefacelift.core.cameras import canonical_fxfycxcy, orbit, project
from mousefacelift.errors import DataError
from mousefacelift.prior.crop import cut_out, relative_heading


def picture_of(camera, points, radius=1.5):
    """An RGBA picture with a soft dot at every point."""
    pixels, _ = project(camera, points)
    y, x = np.mgrid[: camera.height, : camera.width] + 0.5
    distance = np.hypot(x[..., None] - pixels[:, 0], y[..., None] - pixels[:, 1]).min(-1)
    alpha = np.clip(radius + 0.5 - distance, 0, 1)
    return np.dstack([np.full((*alpha.shape, 3), 0.4), alpha]).astype(np.float32)


def test_points_lie_where_the_crop_camera_says_they_do():
    camera = orbit(40, 25, 2.7, canonical_fxfycxcy(160) * [1, 1, 1.1, 0.9], 160, 160)
    points = np.array([[0.3, 0.0, 0.1], [-0.2, 0.25, 0.0], [0.0, -0.3, 0.2]])
    crop = cut_out(picture_of(camera, points), camera, 64)
    pixels, _ = project(crop.camera, points)
    for x, y in pixels:
        around = crop.rgba[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4, 3]
        rows, columns = np.mgrid[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4] + 0.5
        assert (around * columns).sum() / around.sum() == pytest.approx(x, abs=0.35)
        assert (around * rows).sum() / around.sum() == pytest.approx(y, abs=0.35)


def test_the_anchor_is_as_deep_as_the_origin_and_in_the_middle_of_the_crop():
    camera = orbit(200, -5, 3.1, canonical_fxfycxcy(96), 96, 96)
    crop = cut_out(picture_of(camera, np.array([[0.2, 0.1, 0.3], [0.4, 0.1, 0.1]]), 4), camera, 32)
    assert (camera.R @ crop.anchor + camera.t)[2] == pytest.approx(3.1)
    pixel, depth = project(crop.camera, crop.anchor)
    np.testing.assert_allclose(pixel, [16, 16], atol=1e-6)
    assert crop.unit == pytest.approx(depth * 16 / crop.camera.fxfycxcy[0])


def test_the_scale_of_the_world_changes_neither_crop_nor_facts():
    points = np.array([[0.3, 0.0, 0.1], [-0.2, 0.25, 0.0]])
    crops = []
    for scale in (1.0, 40.0):
        camera = orbit(10, 30, 2.7 * scale, canonical_fxfycxcy(96), 96, 96)
        crops.append(cut_out(picture_of(camera, points * scale), camera, 32))
    np.testing.assert_allclose(crops[0].facts, crops[1].facts, rtol=1e-5)
    np.testing.assert_allclose(crops[0].rgba, crops[1].rgba, atol=1e-5)
    assert crops[1].unit == pytest.approx(40 * crops[0].unit)


def test_heading_is_relative_to_where_the_camera_looks():
    camera = orbit(180, 20, 2.7, canonical_fxfycxcy(32), 32, 32)  # looks along +x
    assert relative_heading(0.3, camera) == pytest.approx(0.3)
    assert relative_heading(0.3 + 2 * np.pi, camera) == pytest.approx(0.3)


def test_an_empty_picture_and_a_camera_that_looks_away_are_refused():
    camera = orbit(0, 0, 2.7, canonical_fxfycxcy(32), 32, 32)
    with pytest.raises(DataError, match="no animal"):
        cut_out(np.zeros((32, 32, 4), np.float32), camera, 16)
    away = orbit(0, 0, 2.7, canonical_fxfycxcy(32), 32, 32, target=(-5.0, 0.0, 0.0))
    with pytest.raises(DataError, match="does not look"):
        cut_out(np.ones((32, 32, 4), np.float32), away, 16)
