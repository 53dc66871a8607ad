"""A splat once around: it fills the picture, whatever its size, and stays in it."""

import numpy as np
import pytest
import torch

from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.turntable import fitting_zoom, turntable


def stick(length, strays=0):
    """A row of dark balls along x, and some far away."""
    x = torch.linspace(-length / 2, length / 2, 1000)
    means = torch.stack([x, 0 * x, 0 * x], -1)
    means[:strays, 2] = 5.0
    ones = torch.ones(1000)
    quats = torch.tensor([1.0, 0, 0, 0]).expand(1000, 4)
    return Gaussians.from_rgb(means, quats, 0.004 * length * torch.ones(1000, 3), 0.9 * ones, torch.zeros(1000, 3))


@pytest.mark.parametrize("length", [0.2, 1.5])
def test_the_splat_fills_the_picture_and_stays_inside(length):
    pictures = list(turntable(stick(length), 8, 65))
    assert len(pictures) == 8 and pictures[0].shape == (66, 66, 3) and pictures[0].dtype == np.uint8
    columns = np.argwhere((np.stack(pictures) < 128).any((1, 3)))[:, 1]
    assert columns.max() - columns.min() > 0.8 * 66
    assert all((p[[0, -1]] == 255).all() and (p[:, [0, -1]] == 255).all() for p in pictures)


def test_a_few_strays_and_transparent_gaussians_do_not_decide():
    alone = fitting_zoom(stick(0.5))
    assert fitting_zoom(stick(0.5, strays=3)) == pytest.approx(alone, rel=0.05)
    assert fitting_zoom(stick(0.5, strays=300)) < 0.5 * alone
    clear = stick(0.5)
    clear.opacities = torch.zeros(1000)
    assert fitting_zoom(clear) == 1.0
