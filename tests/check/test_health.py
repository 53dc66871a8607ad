"""Splat health: balls are well, needles, strays, floaters and fog are named."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mousefacelift.check.health import alpha_entropy, floater_share, gaussian_health
from mousefacelift.errors import DataError


def test_balls_are_healthy_and_dead_ones_do_not_count():
    means, scales, opacities = torch.zeros(10, 3), torch.full((10, 3), 0.02), torch.full((10,), 0.8)
    means[0], opacities[0], scales[0] = 5.0, 0.01, torch.tensor([1.0, 1e-6, 1e-6])
    values = gaussian_health(means, scales, opacities)
    assert values["count"] == 10 and values["alive"] == 9 and values["outside_share"] == 0
    assert (
        values["effective_rank"] == pytest.approx(3)
        and values["anisotropy_p95"] == pytest.approx(1)
        and values["needle_share"] == 0
    )


@pytest.mark.parametrize("scale, rank", [((1, 1e-6, 1e-6), 1), ((1, 1, 1e-6), 2), ((1, 1, 1), 3)])
def test_effective_rank_names_the_shape(scale, rank):
    assert gaussian_health(torch.zeros(1, 3), torch.tensor([scale]), torch.ones(1))["effective_rank"] == pytest.approx(
        rank, abs=1e-3
    )


def test_strays_needles_and_nothing_at_all():
    values = gaussian_health(
        torch.tensor([[2.0, 0, 0], [0, 0, 0]]), torch.tensor([[1.0, 1e-4, 1e-4]] * 2), torch.ones(2)
    )
    assert (
        values["outside_share"] == 0.5
        and values["needle_share"] == 1
        and values["anisotropy_median"] == pytest.approx(1e4, rel=1e-3)
    )
    assert np.isnan(gaussian_health(torch.zeros(2, 3), torch.ones(2, 3), torch.zeros(2))["effective_rank"])
    with pytest.raises(DataError, match="not finite"):
        gaussian_health(torch.full((1, 3), torch.nan), torch.ones(1, 3), torch.ones(1))


def test_floaters_and_fog():
    mask = np.zeros((1, 32, 32), bool)
    mask[:, 10:20, 10:20] = True
    alpha = mask.astype(np.float32)
    assert floater_share(alpha, mask) == 0 and alpha_entropy(alpha) == pytest.approx(0, abs=1e-4)
    alpha[0, 30, 30] = 1
    assert floater_share(alpha, mask) == pytest.approx(1 / 101)
    assert floater_share(np.zeros_like(alpha), mask) == 0
    assert alpha_entropy(np.full((4, 4), 0.5)) == pytest.approx(1)
