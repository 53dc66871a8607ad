"""The gradients by hand are those of autograd; every view has its turn."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from mousefacelift.splats.config import CameraConfig, OptimiseConfig
from mousefacelift.splats.fit import _Run, fit_frame
from mousefacelift.splats.frames import FrameViews, crop_together
from mousefacelift.splats.parameters import stack_parameters
from mousefacelift.splats.start import find_body, hull_start
from mousefacelift.splats.targets import make_targets
from tests.splats.conftest import toy_frame


def make_run(quick, frames, **settings):
    bodies = [find_body(frame, quick.hull) for frame in frames]
    rng = np.random.default_rng(0)
    starts = [hull_start(body.frame, body.hull, 301, rng) for body in bodies]
    targets = make_targets(crop_together([body.frame for body in bodies]), 0.1, rng)
    config = replace(quick.optimise, steps=12, dropout=0.4, **settings)
    return _Run(stack_parameters(starts), targets, config, CameraConfig(), 12, 0)


@pytest.mark.parametrize("step", (0, 4, 11))
def test_the_gradients_by_hand_are_those_of_autograd(quick, step):
    """Step 0 has colour and alpha alone, step 4 a view between the cameras, step 11 structural similarity."""
    run = make_run(quick, [toy_frame(), toy_frame(turn=25.0, name="turned")])
    with torch.no_grad():
        run.parameters["log_scales"][:, :9] = 1.0  # beyond the range that scales are held in
    twin = copy.deepcopy(run)
    request = run._request(step, step / 11)
    assert (request.between is not None, request.with_ssim) == (step == 4, step == 11)
    loss, expected = run.planes.descend(run.parameters, request, run.config), twin._descend_by_autograd(request)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    for name, value in run.parameters.items():
        wanted = twin.parameters[name].grad
        off = (value.grad - wanted).norm() / wanted.norm()
        assert wanted.norm() > 0 and off < 1e-4, name  # float32, sums in another order


def test_a_view_is_asked_as_often_as_another(quick):
    run = make_run(quick, [toy_frame().without([0])], views=2)
    asked = [view for step in range(10) for view in run._request(step, 0.0).views]
    assert np.bincount(asked).tolist() == [4] * 5
    assert make_run(quick, [toy_frame()], views=0)._request(0, 0.0).views == list(range(6))


def test_pictures_that_are_no_whole_tiles_are_fitted_alike(quick):
    """The animal fills a picture of 70 px; what lies beyond its rim is not asked for."""
    frame = toy_frame(70)
    cut = crop_together([FrameViews("tight", frame.rgba, frame.cameras)], margin=3.0)[0]
    assert cut.rgba.shape[1:3] == (80, 80) and not cut.sure[:, 70:].any() and not cut.sure[:, :, 70:].any()
    assert cut.sure[:, :70, :70].all() and cut.cameras[0].width == 80
    np.testing.assert_array_equal(cut.rgba[:, :70, :70], frame.rgba)
    np.testing.assert_array_equal(cut.cameras[0].fxfycxcy, frame.cameras[0].fxfycxcy)
    fit = fit_frame(frame, replace(quick, optimise=OptimiseConfig(steps=60)), 0)
    assert fit.scores["iou"] > 0.8
