"""Where fits start, and what a fit is refused for."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mousefacelift.core.cameras import project
from mousefacelift.core.hull import hull_depth
from mousefacelift.core.records import SampleFacts
from mousefacelift.core.render import Render
from mousefacelift.core.samples import Sample, View
from mousefacelift.errors import DataError
from mousefacelift.splats.config import HullConfig, OptimiseConfig
from mousefacelift.splats.frames import FrameViews, crop_together, frame_views
from mousefacelift.splats.heldout import HeldOut
from mousefacelift.splats.score import compare_views, score_views
from mousefacelift.splats.start import carve_body, carve_frame, doubt_masks, hull_start, hull_surface
from mousefacelift.splats.targets import fit_loss, make_targets
from mousefacelift.splats.warm import warm_start
from tests.splats.conftest import toy_cameras, toy_frame


def sample_of(frame):
    return Sample(tuple(View(image, camera) for image, camera in zip(frame.rgba, frame.cameras)), SampleFacts("real"))


def bitten(frame, view=1):
    """The frame with the upper half of one mask lost, as a threshold loses lit fur, and bool [H, W] of what is lost."""
    rgba, mask = frame.rgba.copy(), frame.masks[view]
    rows = np.flatnonzero(mask.any(1))
    lost = mask & (np.arange(len(mask))[:, None] < rows[0] + len(rows) // 2)
    rgba[view, lost, 3] = 0.0
    return replace(frame, rgba=rgba), lost


def test_the_body_covers_what_one_broken_mask_denies_and_that_mask_is_not_believed_there(frame):
    config = HullConfig(grid=96)
    broken, lost = bitten(frame)

    def bare(body):
        return [
            (mask & ~np.isfinite(hull_depth(body, camera))).sum() / mask.sum()
            for mask, camera in zip(broken.masks, frame.cameras)
        ]

    body = carve_body(broken, config)
    assert max(bare(carve_frame(broken, config))) > 0.2 and max(bare(body)) < 0.05
    doubted = doubt_masks(broken, body)
    assert (lost & ~doubted.sure[1]).sum() > 0.15 * lost.sum()  # the rim, three pixels here, is believed
    assert (~lost & ~doubted.sure[1]).sum() < 0.2 * (~doubted.sure[1]).sum()
    assert doubted.sure[[0, 2, 3, 4, 5]].mean() > 0.995 and doubted.without([0]).sure.shape == (5, *lost.shape)


def test_masks_that_agree_are_believed_everywhere(frame):
    body = carve_body(frame, HullConfig(grid=96))
    assert doubt_masks(frame, body).sure.mean() > 0.998


def test_nothing_is_asked_of_a_fit_where_a_mask_is_not_believed(frame):
    sure = np.ones(frame.masks.shape, bool)
    sure[2] = False
    rng = np.random.default_rng(0)
    known, doubted = (make_targets(crop_together([f]), 0.02, rng) for f in (frame, replace(frame, sure=sure)))
    rgb = torch.zeros_like(doubted.rgb).requires_grad_()
    picture = Render(rgb, torch.zeros_like(doubted.alpha), None)
    gaussians = hull_start(frame, carve_body(frame, HullConfig(grid=24)), 20, rng).map(lambda t: t[None])
    background = torch.zeros(1, 6, 3)
    for targets, asked in ((known, True), (doubted, False)):
        gradient = torch.autograd.grad(
            fit_loss(picture, background, targets, gaussians, OptimiseConfig(), False).sum(), rgb
        )[0]
        assert bool(gradient[0, 2].any()) is asked and bool(gradient[0, 3].any())
    assert not HeldOut(doubted).pixels[0, 2].any()


def test_the_start_lies_on_the_hull_in_the_colours_of_the_views(frame):
    hull = carve_frame(frame, HullConfig(grid=48))
    start = hull_start(frame, hull, 500, np.random.default_rng(0))
    assert start.count == 500
    assert np.abs(start.means.numpy()).max() < 1.3
    scores = score_views(hull_surface(frame, hull), frame)
    assert scores["iou"].min() > 0.6 and scores["psnr"].mean() > 20


def test_a_tail_cut_by_the_frame_stays(frame):
    cut = list(frame.cameras)
    images = frame.rgba.copy()
    shifted = replace(cut[0], fxfycxcy=cut[0].fxfycxcy + [0, 0, 24, 0])
    from tests.splats.conftest import toy_rgba

    cut[0], images[0] = shifted, toy_rgba(shifted)
    whole = carve_frame(frame, HullConfig(grid=48))
    some = carve_frame(FrameViews("cut", images, tuple(cut)), HullConfig(grid=48))
    assert some.volume() > 0.9 * whole.volume()


def test_cutting_to_the_animal_keeps_every_pixel_where_it_projects(frame):
    cropped = crop_together([frame])[0]
    assert cropped.rgba.shape[1] < frame.rgba.shape[1]
    point = np.array([0.4, 0.1, 0.1])
    for old, new, big, small in zip(frame.cameras, cropped.cameras, frame.rgba, cropped.rgba):
        (u, v), (x, y) = project(old, point)[0], project(new, point)[0]
        assert np.array_equal(big[int(v), int(u)], small[int(y), int(x)])
        assert small[..., 3].sum() == big[..., 3].sum()


def test_a_warm_start_moves_what_the_new_silhouettes_exclude(frame):
    turned = toy_frame(turn=40.0)
    old = hull_start(frame, carve_frame(frame, HullConfig(grid=48)), 800, np.random.default_rng(0))
    hull = carve_frame(turned, HullConfig(grid=48))
    warm = warm_start(old, turned, hull, np.random.default_rng(1))
    assert warm.count == old.count
    assert hull.contains(warm.means.numpy()).mean() > hull.contains(old.means.numpy()).mean() + 0.1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rgba: rgba * np.array([1, 1, 1, 0], np.float32), "no foreground"),
        (lambda rgba: np.where(rgba > 0, np.nan, rgba), "NaN"),
    ],
)
def test_broken_images_are_named(frame, change, words):
    images = frame.rgba.copy()
    images[3] = change(images[3])
    with pytest.raises(DataError, match=words) as caught:
        frame_views("000012", sample_of(FrameViews("x", images, frame.cameras)))
    assert "000012" in str(caught.value) and "view 3" in str(caught.value)


def test_one_view_is_not_enough(frame):
    with pytest.raises(DataError, match="two views"):
        frame_views("000012", sample_of(frame), views=[2])


def test_cameras_that_see_no_common_volume_are_named(frame, monkeypatch):
    monkeypatch.setattr(HullConfig, "margin", 0.0)
    swapped = FrameViews("mixed", frame.rgba, tuple(toy_cameras(64)[(k + 3) % 6] for k in range(6)))
    rgba = frame.rgba.copy()
    for view, axis in enumerate((1, 2, 1, 2, 1, 2)):
        rgba[view] = np.roll(rgba[view], 26 * (-1) ** view, axis=axis - 1)
    with pytest.raises(DataError, match="no common volume"):
        carve_frame(FrameViews("mixed", rgba, swapped.cameras), HullConfig(grid=32))


def test_scores_are_best_for_the_truth_and_punish_a_floater(frame):
    perfect = compare_views(frame.rgba, frame.rgba)
    assert perfect["iou"].min() == 1 and perfect["psnr"].min() >= 90 and perfect["outside"].max() == 0
    floater = frame.rgba.copy()
    floater[:, :6, :6] = 1
    assert compare_views(floater, frame.rgba)["outside"].min() > 0.01
    nothing = compare_views(np.zeros_like(frame.rgba), frame.rgba)
    assert nothing["iou"].max() == 0 and nothing["psnr"].max() < 10
