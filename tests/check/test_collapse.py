"""Scripted collapses on a moving toy: each must trip exactly its own detector, and a working model none."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import avg_pool2d

from mousefacelift.check.collapse import (
    anomaly_correlation,
    collapse_metrics,
    diagnose,
    effective_rank,
    input_swap,
    retrieval,
    sharpness_ratio,
    variance_ratio,
    view_copy,
    view_variance_ratio,
)
from mousefacelift.errors import DataError

FRAMES, VIEWS, SIZE = 24, 5, 40


@pytest.fixture(scope="module")
def toy():
    """Targets [N, V, 3, H, W] of a dark bar turning with the frame and seen at other angles by the views, and masks."""
    y, x = torch.meshgrid(torch.arange(SIZE) - SIZE / 2 + 0.5, torch.arange(SIZE) - SIZE / 2 + 0.5, indexing="ij")
    frames = torch.arange(FRAMES)[:, None, None, None] * (3.14159 / FRAMES)
    angle = (
        frames * torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0])[:VIEWS, None, None]
        + torch.arange(VIEWS)[:, None, None] * 0.7
    )
    along, across = x * angle.cos() + y * angle.sin(), -x * angle.sin() + y * angle.cos()
    head = (along - 8) ** 2 + across**2 < 16
    mask = ((along.abs() < 13) & (across.abs() < 3)) | head
    grey = torch.where(head, torch.tensor(0.35), torch.tensor(0.15))
    image = torch.where(mask, grey, torch.ones(())).unsqueeze(2).expand(-1, -1, 3, -1, -1).contiguous()
    return image, mask


def judged(toy, prediction, predicted_alpha=None, **extra):
    target, mask = toy
    predicted_alpha = mask if predicted_alpha is None else predicted_alpha
    metrics = collapse_metrics(prediction, target, mask, predicted_alpha, target.mean(0), **extra)
    return metrics, diagnose(metrics)


def test_a_good_model_trips_nothing(toy):
    target, _ = toy
    noisy = (target + 0.02 * torch.randn(target.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    metrics, names = judged(toy, noisy, input_image=target[:, 0].roll(1, -1))
    assert names == () and metrics["variance_ratio"] == pytest.approx(1, abs=0.05) and metrics["retrieval_at_1"] == 1


def test_a_sharp_answer_one_pixel_off_trips_nothing(toy):
    assert judged(toy, toy[0].roll(1, -1), toy[1].roll(1, -1))[1] == ()


def test_white_trips_only_the_white_out(toy):
    metrics, names = judged(toy, torch.ones_like(toy[0]), torch.zeros_like(toy[1]))
    assert names == ("white_out",) and metrics["skill_over_white"] == 0 and metrics["skill_over_mean"] < 0


def test_everything_foreground_trips_only_overfilled(toy):
    assert judged(toy, toy[0], torch.ones_like(toy[1]))[1] == ("overfilled",)


def test_the_mean_image_trips_only_its_detector(toy):
    target, mask = toy
    mean = target.mean(0).expand_as(target)
    metrics, names = judged(toy, mean, mask.float().mean(0).expand(mask.shape))
    assert names == ("mean_image",) and metrics["skill_over_mean"] == pytest.approx(0, abs=1e-4)
    assert metrics["retrieval_at_1"] == pytest.approx(1 / FRAMES) and metrics["variance_ratio"] == pytest.approx(
        0, abs=1e-6
    )


def test_half_mean_trips_only_its_detector_though_its_psnr_is_fine(toy):
    target, _ = toy
    half = 0.5 * target + 0.5 * target.mean(0)
    metrics, names = judged(toy, half)
    assert names == ("half_mean",) and metrics["variance_ratio"] == pytest.approx(0.25, abs=1e-3)
    assert metrics["skill_over_mean"] == pytest.approx(6.02, abs=0.05) and metrics["retrieval_at_1"] == 1
    shifted = collapse_metrics(target.roll(1, -1), target, toy[1], toy[1], target.mean(0))
    assert shifted["full_psnr"] < metrics["full_psnr"]  # PSNR prefers the collapse


def test_identity_copy_trips_only_its_detector(toy):
    target, mask = toy
    copied = target[:, :1].expand(-1, VIEWS - 1, -1, -1, -1)
    metrics = collapse_metrics(
        copied,
        target[:, 1:],
        mask[:, 1:],
        mask[:, :1].expand(-1, VIEWS - 1, -1, -1),
        target.mean(0)[1:],
        input_image=target[:, 0],
    )
    assert diagnose(metrics) == ("view_copy",) and metrics["view_copy"] > 0
    assert metrics["view_variance_ratio"] == pytest.approx(0, abs=1e-6)


def test_another_frame_is_found_out_by_retrieval_and_skill(toy):
    metrics, names = judged(toy, toy[0].roll(7, 0), toy[1].roll(7, 0))
    assert (
        names == ("wrong_frame",) and metrics["variance_ratio"] == pytest.approx(1) and metrics["retrieval_at_1"] == 0
    )


def test_ignoring_the_input_is_found_out_by_the_swap(toy):
    target, _ = toy
    follows = (target, target, target.roll(1, 0))
    ignores = (target.roll(1, 0), target, target.roll(1, 0))
    assert input_swap(*follows) > 10 and input_swap(*ignores) < -10
    assert judged(toy, target, swapped=follows)[1] == ()
    assert judged(toy, target, swapped=ignores)[1] == ("wrong_frame",)


def test_retrieval_survives_blur_and_brightness(toy):
    blurred = avg_pool2d(toy[0].flatten(0, 1), 5, 1, 2).unflatten(0, (FRAMES, VIEWS))
    assert retrieval(blurred, toy[0])["retrieval_at_1"] > 0.9
    assert retrieval((toy[0] * 0.8).clamp(0, 1), toy[0])["retrieval_at_1"] > 0.9
    assert sharpness_ratio(blurred, toy[0], toy[1]) < 0.5 and sharpness_ratio(toy[0], toy[0], toy[1]) == pytest.approx(
        1
    )


def test_anomalies_and_rank(toy):
    target, _ = toy
    assert anomaly_correlation(target, target) == pytest.approx(1) and variance_ratio(target, target) == pytest.approx(
        1
    )
    assert anomaly_correlation(torch.ones_like(target), target) == 0
    assert effective_rank(target) > 5 and effective_rank(torch.ones_like(target)) == 0
    assert view_variance_ratio(target, target) == pytest.approx(1)
    assert view_copy(target, target, target[:, 0].roll(5, 0)) < 0


def test_one_frame_cannot_be_judged(toy):
    with pytest.raises(DataError, match="between frames"):
        variance_ratio(toy[0][:1], toy[0][:1])
