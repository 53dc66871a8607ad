"""The CPU kernels against the naive oracle: values and gradients."""

from __future__ import annotations

import pytest
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import orbit
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.render import RenderConfig, render
from tests.core import oracle_render as oracle

NAMES = ("means", "quats", "scales", "opacities", "colors", "w2c", "fxfycxcy", "background")


def make_scene(count=120, seed=0, opacity=None, spread=0.35):
    """Raw float64 parameters: means, unnormalised quats, anisotropic scales, opacities, rgb."""
    g = torch.Generator().manual_seed(seed)
    means = torch.randn(count, 3, generator=g, dtype=torch.float64) * spread
    quats = torch.randn(count, 4, generator=g, dtype=torch.float64) * 2
    scales = torch.exp(torch.randn(count, 3, generator=g, dtype=torch.float64) * 0.6 - 2.5)
    opacities = torch.rand(count, generator=g, dtype=torch.float64) * 0.97 + 0.02
    if opacity is not None:
        opacities = torch.full_like(opacities, opacity)
    return [means, quats, scales, opacities, torch.rand(count, 3, generator=g, dtype=torch.float64)]


def off_centre(width=37, height=28):
    """Three cameras of an odd size, unequal focal lengths, principal points far from the middle."""
    place = [
        (40, 10, 2.7, (50.0, 44.0, 11.0, 20.0)),
        (130, 35, 2.0, (41.0, 47.0, 25.0, 6.0)),
        (250, -20, 3.3, (60.0, 58.0, 18.5, 14.0)),
    ]
    return [orbit(azimuth, elevation, distance, k, width, height) for azimuth, elevation, distance, k in place]


def both(parameters, cameras, config, dtype, seed=1):
    """(outputs, gradients) of the kernels in `dtype` and of the oracle in float64, for one random linear loss."""
    tensors = CameraTensors.from_cameras(cameras, dtype=torch.float64)
    g = torch.Generator().manual_seed(seed)
    background = torch.rand(len(cameras), 3, generator=g, dtype=torch.float64)
    inputs = [*parameters, tensors.w2c, tensors.fxfycxcy, background]
    weights = None
    results = []
    for kind in (dtype, torch.float64):
        leaves = [a.to(kind).clone().requires_grad_() for a in inputs]
        here = CameraTensors(leaves[5], leaves[6], tensors.width, tensors.height)
        if len(results) == 0:
            image = render(Gaussians.from_rgb(*leaves[:5]), here, config, leaves[7])
            outputs = (image.rgb, image.alpha, image.depth)
        else:
            outputs = oracle.render_views(*leaves[:4], leaves[4][None], here, config, leaves[7])
        if weights is None:
            weights = [torch.randn(a.shape, generator=g, dtype=torch.float64) for a in outputs]
        loss = sum((a * w.to(kind)).sum() for a, w in zip(outputs, weights))
        gradients = torch.autograd.grad(loss, leaves, allow_unused=True)
        results.append(([a.detach().double() for a in outputs], [a.double() for a in gradients]))
    return results


def relative(a, b):
    return float((a - b).norm() / b.norm().clamp_min(1e-30))


SCENES = {
    "plain": (make_scene(), off_centre(), RenderConfig()),
    "saturated": (make_scene(60, seed=3, opacity=1.0), off_centre(), RenderConfig()),
    "clamp at 0.99, near 0.2": (make_scene(80, seed=4), off_centre(), RenderConfig(alpha_max=0.99, near=0.2)),
    "around and behind the cameras": (make_scene(150, seed=5, spread=1.6), off_centre(), RenderConfig()),
    "one pixel": (make_scene(20, seed=6), [orbit(0, 20, 2.7, (1.2, 1.1, 0.4, 0.6), 1, 1)], RenderConfig()),
    "antialiased": (make_scene(100, seed=7), off_centre(), RenderConfig(antialiased=True)),
}


@pytest.mark.parametrize("name", SCENES)
def test_float64_equals_the_oracle_and_its_autograd(name):
    (outputs, gradients), (true_outputs, true_gradients) = both(*SCENES[name], torch.float64)
    for a, b in zip(outputs, true_outputs):
        assert relative(a, b) < 1e-12
    for label, a, b in zip(NAMES, gradients, true_gradients):
        assert relative(a, b) < 1e-12, label


@pytest.mark.parametrize("name", SCENES)
def test_float32_equals_the_oracle_to_single_precision(name):
    (outputs, gradients), (true_outputs, true_gradients) = both(*SCENES[name], torch.float32)
    for a, b in zip(outputs, true_outputs):
        assert relative(a, b) < 1e-5
    for label, a, b in zip(NAMES[:-1], gradients, true_gradients):
        assert relative(a, b) < 1e-5, label
    # 1 - alpha of nearly opaque pixels has only the digits that alpha leaves: absolute, against gradients of order 1
    assert (gradients[-1] - true_gradients[-1]).abs().max() < 1e-6 * outputs[1].numel()
