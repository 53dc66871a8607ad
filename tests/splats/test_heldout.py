"""When a fit counts as worse than it was, and which state of it is kept."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mousefacelift.core.render import render
from mousefacelift.splats.config import OptimiseConfig
from mousefacelift.splats.fit import _Run
from mousefacelift.splats.frames import crop_together
from mousefacelift.splats.heldout import HeldOut
from mousefacelift.splats.parameters import activate, stack_parameters
from mousefacelift.splats.start import carve_body, hull_start
from mousefacelift.splats.targets import make_targets


@pytest.fixture
def run(frame, quick, monkeypatch):
    """A run over one frame with three tenths of its blocks held out, no step taken."""
    for name, value in {"heldout": 0.3, "patience": 2, "check_every": 1}.items():
        monkeypatch.setattr(OptimiseConfig, name, value)
    config = replace(quick, optimise=replace(quick.optimise, steps=8))
    rng = np.random.default_rng(0)
    start = hull_start(frame, carve_body(frame, config.hull), config.count, rng)
    targets = make_targets(crop_together([frame]), config.optimise.heldout, rng)
    return _Run(stack_parameters([start]), targets, config.optimise, config.cameras, config.optimise.steps, 0)


def test_the_mean_over_blocks_is_the_mean_over_held_out_pixels(run):
    targets = run.targets
    picture = render(activate(run.parameters), targets.cameras)
    error = (picture.rgb - targets.rgb).abs().mean(-1)[targets.keep == 0]
    torch.testing.assert_close(run.heldout.mean(run.heldout.errors(picture))[0], error.mean(), rtol=1e-4, atol=1e-6)


def test_a_frame_that_holds_nothing_out_is_judged_on_its_foreground(frame):
    targets = make_targets(crop_together([frame]), 0.0, np.random.default_rng(0))
    assert torch.equal(HeldOut(targets).pixels, (targets.alpha > 0.5).float())


def test_blocks_that_disagree_are_noise_and_blocks_that_agree_are_not(run):
    before = torch.full_like(run.best_blocks, 0.03)
    used = run.heldout.weights > 0
    assert int(used.sum()) >= 6
    noise = torch.randn(before.shape, generator=torch.Generator().manual_seed(0)) * 0.01 * used
    noise -= noise.sum() / used.sum() * used - 0.001 * used  # a mean of 0.001 lies within a standard error
    assert not run.heldout.clearly_worse(before + noise, before).any()
    assert run.heldout.clearly_worse(before + 0.1 * noise + 0.005, before).all()
    assert not run.heldout.clearly_worse(before - 0.1 * noise - 0.005, before).any()
    assert not run.heldout.clearly_worse(before + 1e-5, before).any()  # clear, but of no size


def test_two_blocks_never_decide(run):
    few = torch.cumsum(run.heldout.weights > 0, 1)
    run.heldout.weights = run.heldout.weights * (few <= 2)
    assert not run.heldout.clearly_worse(torch.full_like(run.best_blocks, 0.5), torch.zeros_like(run.best_blocks)).any()


def test_a_spoiled_last_state_gives_way_to_the_best_one_and_a_noisy_one_does_not(run):
    good = {name: value.detach().clone() for name, value in run.parameters.items()}
    loss = torch.zeros(1)
    with torch.no_grad():
        run.parameters["color_logits"] += 1e-3
    run._check(loss)
    assert torch.equal(run.result(0).means, activate(run.parameters).means[0]) and not run.worse.any()
    assert not torch.equal(run.result(0).sh, activate(good).sh[0])
    with torch.no_grad():
        run.parameters["color_logits"] += 1.0
    run._check(loss)
    assert run.worse.all() and not run.unusable
    assert run.result(0).sh.max() < activate(run.parameters).sh.max()


def test_a_run_stops_when_every_check_finds_it_clearly_worse(run):
    run._step = lambda step: torch.zeros(1)  # the state is spoiled once, by hand, and then stays as it is
    with torch.no_grad():
        run.parameters["color_logits"] += 1.0
    run.go()
    assert run.taken < run.steps and not run.unusable
    assert run.result(0).sh.max() < activate(run.parameters).sh.max()
