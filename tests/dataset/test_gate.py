"""The gate accepts a true sample and refuses every fault that ruined earlier data sets."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mousefacelift.core.cameras import Camera, canonical_fxfycxcy, orbit
from mousefacelift.core.samples import Sample
from mousefacelift.core.similarity import Similarity
from mousefacelift.dataset.gate import check_sample
from mousefacelift.errors import CameraError
from tests.dataset.conftest import RIG_AZIMUTHS, RIG_ELEVATIONS, rig_cameras, toy_sample

SIZE = 96


@pytest.fixture(scope="module")
def true_sample():
    return toy_sample(rig_cameras(SIZE), 30)


def changed(sample: Sample, **views) -> Sample:
    """`sample` with some views replaced: view=View keyed v0, v1, ..."""
    return Sample(tuple(views.get(f"v{i}", view) for i, view in enumerate(sample.views)), sample.facts)


@pytest.mark.parametrize("heading", [0, 45, 110, 200, 290])
def test_true_samples_pass(heading):
    result = check_sample(toy_sample(rig_cameras(SIZE), heading))
    assert result.accepted, result.reasons
    assert result.scores["containment_worst"] > 0.96


def test_a_similarity_of_the_world_changes_no_verdict(true_sample):
    turned = Similarity(1.05, np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]]))
    moved = Sample(
        tuple(replace(v, camera=turned.apply_camera(v.camera)) for v in true_sample.views), true_sample.facts
    )
    assert check_sample(moved).accepted


@pytest.mark.parametrize("a, b", [(0, 1), (0, 5), (2, 4), (3, 5), (2, 3)])
def test_swapped_views_are_refused(true_sample, a, b):
    first, second = true_sample.views[a], true_sample.views[b]
    swapped = changed(
        true_sample, **{f"v{a}": replace(first, rgba=second.rgba), f"v{b}": replace(second, rgba=first.rgba)}
    )
    assert any("not of one body" in reason for reason in check_sample(swapped).reasons)


def test_distances_rescaled_per_camera_are_refused():
    cameras = [
        orbit(a, e, d, canonical_fxfycxcy(SIZE), SIZE, SIZE)
        for a, e, d in zip(RIG_AZIMUTHS, RIG_ELEVATIONS, (2.0, 3.4, 3.0, 2.8, 2.6, 2.5))
    ]
    sample = toy_sample(cameras, 30)
    assert check_sample(sample).accepted
    forced = Sample(tuple(replace(v, camera=c) for v, c in zip(sample.views, rig_cameras(SIZE))), sample.facts)
    assert not check_sample(forced).accepted


def test_opengl_axes_are_refused(true_sample):
    def flipped(camera: Camera) -> np.ndarray:
        return np.diag([1.0, -1, -1, 1]) @ camera.w2c

    views = [replace(v, camera=replace(v.camera, w2c=flipped(v.camera))) for v in true_sample.views]
    assert any("OpenGL" in reason for reason in check_sample(Sample(tuple(views), true_sample.facts)).reasons)
    with pytest.raises(CameraError, match="det R"):
        replace(true_sample.views[0].camera, w2c=np.diag([1.0, 1, -1, 1]) @ true_sample.views[0].camera.w2c)


def test_millimetres_are_refused(true_sample):
    millimetres = Similarity(1 / 0.00844)
    views = [replace(v, camera=millimetres.apply_camera(v.camera)) for v in true_sample.views]
    assert any("millimetres" in reason for reason in check_sample(Sample(tuple(views), true_sample.facts)).reasons)


@pytest.mark.parametrize("view", range(6))
def test_a_crop_without_its_intrinsics_is_refused(true_sample, view):
    rgba = cv2.resize(true_sample.views[view].rgba[12:-12, 12:-12], (SIZE, SIZE))
    assert not check_sample(changed(true_sample, **{f"v{view}": replace(true_sample.views[view], rgba=rgba)})).accepted


@pytest.mark.parametrize("view", [0, 3, 4, 5])
def test_a_mirrored_image_is_refused(true_sample, view):
    """A view along the body's plane of symmetry (here 1 and 2) has a mirror image that is as good: no silhouette can
    tell."""
    mirrored = replace(true_sample.views[view], rgba=true_sample.views[view].rgba[:, ::-1])
    assert not check_sample(changed(true_sample, **{f"v{view}": mirrored})).accepted


def test_all_images_mirrored_are_refused(true_sample):
    views = [replace(v, rgba=v.rgba[:, ::-1]) for v in true_sample.views]
    assert not check_sample(Sample(tuple(views), true_sample.facts)).accepted


def test_clipping_at_the_border_is_refused(true_sample):
    camera = true_sample.views[0].camera
    shifted = np.roll(true_sample.views[0].rgba, SIZE // 2, 1)
    near = replace(camera, fxfycxcy=camera.fxfycxcy + [0, 0, SIZE // 2, 0])
    reasons = check_sample(changed(true_sample, v0=replace(true_sample.views[0], rgba=shifted, camera=near))).reasons
    assert any("cut by the image border" in reason for reason in reasons)


@pytest.mark.parametrize("cameras", [(0, 1, 3, 4), (0, 2, 4), (0, 1, 2, 3, 4, 5)])
def test_a_mask_that_holds_half_the_floor_is_refused_however_few_cameras_there_are(true_sample, cameras):
    few = Sample(tuple(true_sample.views[i] for i in cameras), true_sample.facts)
    assert check_sample(few).accepted
    rgba = few.views[1].rgba.copy()
    rgba[SIZE // 2 : -4, 4:-4, 3] = 1.0
    result = check_sample(changed(few, v1=replace(few.views[1], rgba=rgba)))
    assert not result.accepted and "view 1" in result.reasons[0]


def test_pixels_that_are_not_square_are_refused(true_sample):
    camera = true_sample.views[2].camera
    squeezed = replace(camera, fxfycxcy=camera.fxfycxcy * [1.0, 1.125, 1, 1])
    reasons = check_sample(changed(true_sample, v2=replace(true_sample.views[2], camera=squeezed))).reasons
    assert any("fx / fy" in reason for reason in reasons)


def test_an_empty_view_is_refused_and_require_raises(true_sample):
    empty = changed(true_sample, v1=replace(true_sample.views[1], rgba=np.zeros((SIZE, SIZE, 4), np.float32)))
    assert any("no foreground in views" in reason for reason in check_sample(empty).reasons)


def test_distilled_views_are_judged_with_the_photos_of_their_frame(true_sample):
    camera = orbit(60, 15, 2.7, canonical_fxfycxcy(SIZE), SIZE, SIZE)
    right = toy_sample([camera], 30, source="distilled")
    wrong = toy_sample([camera], 120, source="distilled")
    assert check_sample(right, context=true_sample).accepted
    assert not check_sample(wrong, context=true_sample).accepted
    assert not check_sample(right).accepted  # one view alone proves nothing
