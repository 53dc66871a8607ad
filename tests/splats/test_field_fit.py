"""Fits of a radiance field to the toy animal: what they beat, what spoils them, and what they are turned into."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mousefacelift.config import load
from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.field import Field, pixel_rays
from mousefacelift.core.field.smooth import _dense, smoothness
from mousefacelift.errors import ConfigError, DataError
from mousefacelift.splats.bake import bake_field, field_start
from mousefacelift.splats.config import FieldConfig, FitConfig, HullConfig, OptimiseConfig, SplatsConfig
from mousefacelift.splats.field_fit import _Run, fit_fields
from mousefacelift.splats.field_start import start_field
from mousefacelift.splats.frames import FrameViews, crop_together
from mousefacelift.splats.methods import METHODS, fit_gaussians
from mousefacelift.splats.result import score_fit
from mousefacelift.splats.scene import read_scene, render_scene, save_scene
from mousefacelift.splats.score import compare_views, render_views, score_views
from mousefacelift.splats.start import carve_body, carve_frame, hull_surface
from tests.core.test_field import cube
from tests.splats.conftest import toy_cameras, toy_frame, toy_rgba


@pytest.fixture
def short():
    """A configuration that fits a field to the toy at 64 px in half a second."""
    return FitConfig(size=64, count=600, hull=HullConfig(grid=40), field=FieldConfig(steps=24))


@pytest.fixture(scope="module")
def fitted():
    """All six views of the toy, fitted."""
    config = FitConfig(size=64, count=600, hull=HullConfig(grid=40), field=FieldConfig(steps=24))
    return fit_fields([toy_frame()], config, seed=0)[0]


def test_a_fit_beats_the_hull_on_a_camera_it_never_saw(frame, short):
    rest, unseen = frame.without([2]), frame.only([2])
    (fit,) = fit_fields([rest], short, seed=0)
    hull = hull_surface(rest, carve_frame(rest, short.hull))
    ours, theirs = score_views(fit.scene, unseen), score_views(hull, unseen)
    assert isinstance(fit.scene, Field) and fit.diverged is None and fit.steps == 24
    assert ours["psnr"] > theirs["psnr"] and ours["iou"] > theirs["iou"] + 0.05
    assert fit.scores["iou"] > 0.9 and fit.curve[-1] < fit.curve[0]


def test_before_the_first_step_it_scores_as_the_hull_that_it_starts_from(frame, short, fitted):
    body = carve_body(frame, short.hull)
    between = toy_cameras(64, 12)[1::2]
    truth = np.stack([toy_rgba(camera) for camera in between])
    start = compare_views(render_views(start_field(frame, body, short.field), between)[0], truth)
    hull = compare_views(render_views(hull_surface(frame, body), between)[0], truth)
    assert start["iou"].mean() == pytest.approx(hull["iou"].mean(), abs=0.06)
    assert start["error"].mean() == pytest.approx(hull["error"].mean(), abs=0.03)
    after = compare_views(render_views(fitted.scene, between)[0], truth)
    assert after["error"].mean() < 0.7 * start["error"].mean()


def test_swapped_cameras_collapse(frame, short, fitted):
    mixed = FrameViews("mixed", frame.rgba, tuple(frame.cameras[v] for v in (1, 0, 3, 2, 5, 4)))
    try:
        (wrong,) = fit_fields([mixed], short, seed=0)
    except DataError as error:
        assert "no common volume" in str(error)
        return
    assert wrong.diverged or wrong.scores["error"] > 3 * fitted.scores["error"]


def test_the_same_seed_gives_the_same_bits_whatever_the_threads(frame, short):
    few = replace(short, field=FieldConfig(steps=6))
    fields, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            fields.append(fit_fields([frame], few, seed=3)[0].scene)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(fields[0].values, fields[1].values)
    assert not torch.equal(fields[0].values, fit_fields([frame], few, seed=4)[0].scene.values)


def test_frames_of_a_batch_do_not_touch_each_other(frame, short):
    few = replace(short, field=FieldConfig(steps=4))
    both = fit_fields([frame, toy_frame(turn=25.0)], few, seed=0)
    assert torch.equal(both[0].scene.values, fit_fields([frame], few, seed=0)[0].scene.values)


def test_voxels_outside_the_reach_stay_empty_and_colours_in_range(frame, short):
    (fit,) = fit_fields([frame], replace(short, field=FieldConfig(steps=6)), seed=0)
    values = fit.scene.values.numpy()
    assert (values[~fit.scene.active] == [-12.0, 0, 0, 0]).all() and fit.scene.active.mean() < 0.9
    assert values[..., 1:].min() >= 0 and values[..., 1:].max() <= 1


def test_a_fit_that_diverges_says_so(frame, short, monkeypatch):
    monkeypatch.setattr(FieldConfig, "lr_density", float("nan"))
    (fit,) = fit_fields([frame], short, seed=0)
    assert "NaN" in fit.diverged and not fit.scores


def test_pictures_of_something_else_are_no_fit(frame):
    away = cube(edge=0.1)
    moved = replace(away, origin=away.origin + np.array([0, 0, 0.9]))
    assert "IoU" in score_fit(frame, moved, 5, None, ()).diverged


def test_a_baked_field_looks_like_the_field(fitted):
    between = toy_cameras(128, 12)[1::2]
    field, _ = render_views(fitted.scene, between)
    splat, _ = render_views(fitted.gaussians, between)
    scores = compare_views(splat, field)
    assert scores["iou"].mean() > 0.82 and scores["psnr_black"].mean() > 20


def test_a_baked_cube_has_its_disks_on_its_faces():
    baked, edge = bake_field(cube()), 0.8
    outward = np.abs(baked.means.numpy()).max(1)
    np.testing.assert_allclose(outward, edge / 2, atol=0.6 * edge / 24)
    np.testing.assert_allclose(baked.sh[:, 0].numpy() * 0.2820948 + 0.5, baked.means.numpy() / edge + 0.5, atol=0.06)


def test_gaussians_start_from_a_field_when_asked_to(frame, short):
    few = replace(short, field=FieldConfig(steps=12), optimise=OptimiseConfig(steps=2))
    from_field = fit_gaussians([frame], replace(few, start="field"), 0)[0]
    from_hull = fit_gaussians([frame], few, 0)[0]
    assert from_field.gaussians.count == few.count and from_field.scores["error"] < from_hull.scores["error"]
    start = field_start(fit_fields([frame], few, 0)[0].scene, 300, np.random.default_rng(0))
    assert start.count == 300 and start.opacities.unique().tolist() == [0.5]


def test_pixels_that_are_not_believed_are_asked_of_no_step(frame, short):
    rest = [np.ones((64, 64), bool)] * 6
    rest[0] = np.zeros((64, 64), bool)
    start = start_field(frame, carve_body(frame, short.hull), short.field)
    runs = []
    for sure in (None, np.stack(rest)):
        cut = crop_together([replace(frame, sure=sure)])[0]
        runs.append(_Run(start, cut, short, np.random.default_rng(0), 0, "cpu"))
    every, some = (len(run.seen) + len(run.unseen) for run in runs)
    lost = pixel_rays(start, CameraTensors.from_cameras(crop_together([frame])[0].cameras[:1])).count > 0
    assert every - some == int(lost.sum()) > 0


def test_an_empty_field_cannot_be_baked():
    field = cube()
    with pytest.raises(DataError, match="nothing solid"):
        bake_field(field.with_values(field.values - 30))


def test_smoothness_is_the_same_in_plain_torch():
    field, weights = cube(), torch.tensor([0.5, 1.0, 2.0, 3.0])
    torch.testing.assert_close(smoothness(field, weights), _dense(field, weights))


@pytest.mark.parametrize("method", ["field", "blend"])
@pytest.mark.parametrize("fit", [{"start": "warm", "batch": 1}, {"start": "field"}, {"cameras": {"refine": True}}])
def test_a_field_takes_no_settings_that_only_gaussians_have(fit, method):
    load(SplatsConfig, {"method": "gaussians", "fit": fit}, "splats")
    with pytest.raises(ConfigError, match="starts on the hull"):
        load(SplatsConfig, {"method": method, "fit": fit}, "splats")


def test_a_blend_shows_the_mean_of_both_and_survives_its_files(frame, short, tmp_path):
    few = replace(short, field=FieldConfig(steps=3), optimise=OptimiseConfig(steps=3))
    (fit,) = METHODS["blend"]([frame], few, 0, "cpu")
    cameras = CameraTensors.from_cameras(frame.cameras[:2])
    parts = [render_scene(part, cameras) for part in (fit.scene.gaussians, fit.scene.field)]
    both = render_scene(fit.scene, cameras)
    for name in ("rgb", "alpha", "depth"):
        torch.testing.assert_close(getattr(both, name), sum(getattr(part, name) for part in parts) / 2)
    assert float((parts[0].alpha - parts[1].alpha).abs().max()) > 0.05
    hashes = [save_scene(scene, tmp_path) for scene in (fit.scene, fit.scene.gaussians, fit.scene.field, fit.scene)]
    assert len(set(hashes)) == 3 and hashes[0] == hashes[-1]
    again = render_scene(read_scene(tmp_path, "blend"), cameras)
    assert torch.equal(again.rgb, both.rgb) and fit.gaussians.count == few.count
