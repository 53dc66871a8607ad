import numpy as np
import pytest
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import canonical_fxfycxcy, orbit
from mousefacelift.core.render import render
from mousefacelift.core.samples import View
from mousefacelift.prior.fit import FitConfig, Task, fit_mice, fit_mouse, pixel_size, to_gaussians
from mousefacelift.prior.model import Guess
from mousefacelift.prior.multiview import fit_moment
from mousefacelift.prior.reconstruct import reconstruct, reconstruct_many


def mouse(network, heading=0.4):
    """World points and colours of the network's mean mouse, about as large as a recording shows it."""
    with torch.no_grad():
        one = torch.zeros(1, network.config.code)
        points = network.place(one, torch.tensor([heading]), torch.full((1, 1), 0.25), torch.zeros(1, 3))[0]
    return points, network.colour_mean.unflatten(0, (-1, 3)).clamp(0, 1)


def photo(network, points, colours, camera):
    with torch.no_grad():
        cameras = CameraTensors.from_cameras([camera])
        shown = render(to_gaussians(network, points, colours, pixel_size(cameras)), cameras)
    alpha = shown.alpha[0].numpy()[..., None]
    return np.concatenate([np.clip(shown.rgb[0].numpy() / np.maximum(alpha, 1e-3), 0, 1), alpha], -1).astype(np.float32)


@pytest.fixture
def guessed(monkeypatch, network):
    """The network's guess is the mean mouse at four headings, wrongly sized and placed: fits have work to do."""

    def guess_mouse(net, crop, hypotheses=4, known=True):
        forward = crop.camera.R[2]
        facing = float(np.arctan2(forward[1], forward[0]))
        headings = torch.tensor([0.4 + turn - facing for turn in (np.pi, np.pi / 2, 0.15, -np.pi / 2)][-hypotheses:])
        count = len(headings)
        offset = torch.tensor([[0.0, 0.05, 0.04]]).expand(count, -1)
        return Guess(
            torch.zeros(count, net.config.code),
            headings,
            torch.full((count, 1), 0.23 / crop.unit),
            offset,
            torch.full((count, net.config.points, 3), 0.5),
            torch.full((count,), 0.25),
        )

    def guess_mice(net, crops, hypotheses, known):
        return [guess_mouse(net, crop, hypotheses) for crop in crops]

    monkeypatch.setattr("mousefacelift.prior.reconstruct.guess_mice", guess_mice)
    monkeypatch.setattr("mousefacelift.prior.multiview.guess_mouse", guess_mouse)


def test_render_and_compare_picks_the_true_heading_and_mends_size_and_place(network, guessed):
    points, colours = mouse(network)
    camera = orbit(75, 25, 2.7, canonical_fxfycxcy(64) * [1.6, 1.6, 1, 1], 64, 64)
    found = reconstruct(photo(network, points, colours, camera), camera, network, FitConfig(40, 10, 48))
    assert abs((found.heading - np.degrees(0.4) + 180) % 360 - 180) < 12
    assert (found.points - points).norm(dim=1).mean() < 0.06  # the animal is about a unit long
    tried = [entry["residual"] for entry in found.hypotheses]
    assert len(tried) == 4 and tried.index(min(tried)) == 2 and found.residual < min(tried)


def test_pictures_of_one_moment_fix_the_depth_that_one_picture_leaves_open(network, guessed):
    points, colours = mouse(network)
    cameras = [orbit(a, 20, 2.7, canonical_fxfycxcy(64) * [1.6, 1.6, 1, 1], 64, 64) for a in (0, 80, 200)]
    moment = fit_moment(network, [View(photo(network, points, colours, c), c) for c in cameras], FitConfig(40, 0, 48))
    assert (moment.points - points).norm(dim=1).mean() < 0.03
    assert abs(np.degrees(moment.heading - 0.4)) < 8


def test_a_picture_of_an_unknown_camera_gets_the_canonical_one_at_the_given_elevation(network):
    points, colours = mouse(network)
    camera = orbit(0, 35, 2.7, canonical_fxfycxcy(64) * [1.6, 1.6, 1, 1], 64, 64)
    rgba = photo(network, points, colours, camera)
    found = reconstruct(rgba, None, network, None, elevation=35.0)
    assert not found.camera_known and found.elevation == pytest.approx(35, abs=3)
    assert np.linalg.norm(found.camera.center) == pytest.approx(2.7)
    estimated = reconstruct(rgba, None, network, None)
    assert estimated.camera.center[2] != pytest.approx(found.camera.center[2], abs=1e-3)


def test_pictures_of_several_sizes_are_fitted_together_as_alone_but_for_rounding(network, guessed):
    points, colours = mouse(network)
    zooms = (1.0, 1.6, 2.2)
    cameras = [orbit(60 * k, 25, 2.7, canonical_fxfycxcy(64) * [z, z, 1, 1], 64, 64) for k, z in enumerate(zooms)]
    pictures = [(photo(network, points, colours, camera), camera) for camera in cameras]
    together = reconstruct_many(pictures, network, FitConfig(12, 5, 64))
    for one, (rgba, camera) in zip(together, pictures, strict=True):
        alone = reconstruct(rgba, camera, network, FitConfig(12, 5, 64))
        np.testing.assert_allclose(one.points, alone.points, atol=2e-4)
        assert one.residual == pytest.approx(alone.residual, rel=1e-3)
        assert [h["residual"] for h in one.hypotheses] == pytest.approx(
            [h["residual"] for h in alone.hypotheses], rel=0.01
        )
    assert len({round(one.residual, 5) for one in together}) == 3


def test_a_task_of_one_hypothesis_is_not_disturbed_by_others(network):
    """The trial of the others would make its optimiser forget."""
    points, colours = mouse(network)
    camera = orbit(0, 25, 2.7, canonical_fxfycxcy(48) * [1.6, 1.6, 1, 1], 48, 48)
    shown = torch.from_numpy(photo(network, points, colours, camera))
    picture = torch.cat([shown[..., :3] * shown[..., 3:], shown[..., 3:]], -1)[None]
    count = 3
    guess = Guess(
        torch.zeros(count, network.config.code),
        torch.tensor([0.3, 2.0, 4.0]),
        torch.full((count, 1), 0.23),
        torch.tensor([[0.0, 0.03, 0.02]]).expand(count, -1),
        torch.full((count, network.config.points, 3), 0.5),
        torch.full((count,), 0.3),
    )
    cameras, config = CameraTensors.from_cameras([camera]), FitConfig(10, 4)
    tasks = [Task(guess, picture, cameras), Task(guess.select([0]), picture, cameras)]
    for one, task in zip(fit_mice(network, tasks, config), tasks, strict=True):
        alone = fit_mouse(network, task.guess, picture, cameras, config)
        np.testing.assert_allclose(one.points, alone.points, atol=1e-4)
        assert len(one.residuals) == len(task.guess.heading)
