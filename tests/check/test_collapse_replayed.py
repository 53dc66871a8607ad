"""Failures that others report, replayed as whole runs: each trips its own detector, and a healthy run trips none.

A run is what a validation sees at a few steps: pictures, alphas and the loss. The animal is a dark bar on white that
turns from frame to frame and covers 3% of the picture.
"""

import pytest
import torch
import torch.nn.functional as F

from mousefacelift.check.collapse import collapse_metrics, diagnose, loss_jump

FRAMES, VIEWS, SIZE = 12, 2, 48
STEPS = [500, 1000, 2000, 4000, 6000, 8000, 9000, 10000]
HEALTHY_UNTIL = 6000  # the run that breaks down late has been well for this long


def animal():
    """Targets [N, V, 3, H, W] on white and masks [N, V, H, W]."""
    y, x = torch.meshgrid(torch.arange(SIZE) - SIZE / 2 + 0.5, torch.arange(SIZE) - SIZE / 2 + 0.5, indexing="ij")
    angle = torch.arange(FRAMES)[:, None, None, None] * (3.14159 / FRAMES) + torch.arange(VIEWS)[:, None, None] * 0.7
    along, across = x * angle.cos() + y * angle.sin(), -x * angle.sin() + y * angle.cos()
    mask = (along.abs() < 11) & (across.abs() < 2.2)
    return torch.where(mask, 0.2, 1.0).unsqueeze(2).expand(-1, -1, 3, -1, -1).contiguous(), mask


TARGET, MASK = animal()


def healthy(step, seed):
    """A run that learns: from blurred, noisy pictures to sharp ones; alpha alike, and the loss."""
    rng = torch.Generator().manual_seed(1000 * seed + step)
    strength = (500 / step) ** 0.5
    soft = F.avg_pool2d(TARGET.flatten(0, 1), 3, 1, 1, count_include_pad=False).unflatten(0, TARGET.shape[:2])
    picture = torch.lerp(TARGET, soft, 0.6 * strength)
    shift = int(torch.randint(-1, 2, (1,), generator=rng)) if step < 4000 else 0  # a pixel off while it is young
    picture = picture.roll(shift, -1) + 0.03 * strength * torch.randn(TARGET.shape, generator=rng)
    alpha = (MASK.float().roll(shift, -1) * (1 - 0.2 * strength * torch.rand(1, generator=rng))).clamp(0, 1)
    return picture.clamp(0, 1), alpha, float(0.02 * strength * (1 + 0.3 * torch.rand(1, generator=rng)))


def late_black_out(step, seed):
    """Black pictures after a long healthy phase; the loss jumps and never recovers."""
    if step <= HEALTHY_UNTIL:
        return healthy(step, seed)
    return torch.zeros_like(TARGET), torch.ones_like(MASK, dtype=torch.float32), 0.7


def all_foreground(step, seed):
    """Opaque everywhere (IoU 0.03), in colours that look right."""
    picture, _, loss = healthy(step, seed)
    return picture, torch.ones_like(MASK, dtype=torch.float32), loss


def empty_foreground(step, seed):
    """Nothing but background from the first look on, which the full image hardly notices."""
    return torch.ones_like(TARGET), torch.zeros_like(MASK, dtype=torch.float32), 0.02


def replay(run, seed=0):
    """(names that tripped at each step, step of the loss jump, metrics of the last look)."""
    tripped, losses, metrics = [], [], {}
    for step in STEPS:
        picture, alpha, loss = run(step, seed)
        swapped, _, _ = run(step, seed)
        shift = FRAMES // 2
        metrics = collapse_metrics(
            picture,
            TARGET,
            MASK,
            alpha,
            TARGET.mean(0),
            input_image=TARGET.flip(1),
            swapped=(swapped.roll(-shift, 0), TARGET.roll(-shift, 0), TARGET),
        )
        tripped.append(diagnose(metrics))
        losses.append(loss)
    return tripped, loss_jump(STEPS, losses), metrics


@pytest.mark.parametrize("seed", range(50))
def test_a_healthy_run_trips_nothing(seed):
    tripped, jump, _ = replay(healthy, seed)
    assert set(tripped) == {()} and jump is None


def test_a_late_black_out_trips_its_detector_at_its_step_and_none_before():
    tripped, jump, _ = replay(late_black_out)
    healthy_looks = sum(step <= HEALTHY_UNTIL for step in STEPS)
    assert tripped == [()] * healthy_looks + [("black_out",)] * (len(STEPS) - healthy_looks)
    assert jump == 8000


def test_all_foreground_trips_the_overfilled_detector_although_its_pictures_look_right():
    tripped, _, metrics = replay(all_foreground)
    assert set(tripped) == {("overfilled",)} and metrics["full_psnr"] > 25
    assert MASK.float().mean() < 0.05


def test_an_empty_foreground_trips_the_white_out_from_the_first_look_although_the_full_image_scores_well():
    tripped, jump, metrics = replay(empty_foreground)
    assert set(tripped) == {("white_out",)} and jump is None
    assert 15 < metrics["full_psnr"] < 20


def test_a_loss_that_jumps_and_recovers_is_no_break_down():
    assert loss_jump([1, 2, 3, 4], [1.0, 1.0, 30.0, 1.0]) is None
    assert loss_jump([1, 2, 3, 4], [1.0, 1.0, 30.0, 40.0]) == 3
    assert loss_jump([1, 2, 3, 4], [1.0, 1.0, 19.0, 19.0]) is None
    assert loss_jump([100, 200, 9000], [1.0, 1.0, 30.0]) is None  # the level of long ago is none to compare with
