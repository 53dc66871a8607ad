"""Cameras whose colours differ are brought together before a fit."""

from dataclasses import replace

import numpy as np

from mousefacelift.splats.fit import fit_frame
from mousefacelift.splats.score import compare_views, render_views
from mousefacelift.splats.start import find_body
from tests.splats.conftest import toy_frame

OFFSETS = np.array([[6, 5, 4], [-8, -6, -7], [3, 0, 0], [0, 2, 5], [-3, -4, 1], [2, 3, -3]], np.float32) / 255


def tinted(frame):
    rgba = frame.rgba.copy()
    rgba[..., :3] = np.clip(rgba[..., :3] + OFFSETS[:, None, None], 0, 1)
    return replace(frame, rgba=rgba)


def test_the_offsets_of_cameras_are_found(quick):
    frame = toy_frame(96)
    plain, found = (find_body(f, quick.hull).frame.offsets for f in (frame, tinted(frame)))
    assert np.abs(plain).max() < 2.5 / 255  # the coat has more contrast than that between two points a voxel apart
    assert np.abs(found - plain - (OFFSETS - OFFSETS.mean(0))).max() < 1.5 / 255
    np.testing.assert_allclose(found.sum(0), 0, atol=1e-6)


def test_offsets_go_with_their_cameras_and_leave_the_photos_as_they_are(quick):
    ready = find_body(tinted(toy_frame(96)), quick.hull).frame
    some = ready.without([1, 4])
    np.testing.assert_array_equal(some.offsets, ready.offsets[[0, 2, 3, 5]])
    np.testing.assert_array_equal(some.rgba, ready.rgba[[0, 2, 3, 5]])
    inside = ready.rgba[0, ..., 3] > 0.9
    taken = (ready.rgba[0] - ready.even_rgba[0])[inside]
    np.testing.assert_allclose(taken, np.append(ready.offsets[0], 0) * np.ones_like(taken), atol=1e-6)


def test_a_fit_of_cameras_that_differ_is_nearer_to_the_true_colours(quick, monkeypatch):
    frame = toy_frame()

    def psnr():
        scene = fit_frame(tinted(frame), quick, 0).scene
        return compare_views(render_views(scene, frame.cameras)[0], frame.rgba)["psnr_black"].mean()

    even = psnr()
    monkeypatch.setattr("mousefacelift.splats.start.camera_offsets", lambda frame, *_: np.zeros((6, 3), np.float32))
    assert even > psnr() + 0.3
