"""The renderer of the device: gsplat on a GPU against the CPU kernels, in value and gradient."""

import pytest
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import canonical_fxfycxcy, orbit
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.render import RenderConfig, published_render, render
from tests.core.test_render_cpu import make_scene

SIZE = 64


def draw(device, config):
    """Images and gradients of a scene of 500 Gaussians in six cameras, on the CPU."""
    leaves = [part.float().to(device).requires_grad_() for part in make_scene(500, seed=2)]
    cameras = [orbit(60 * i, 20, 2.7, canonical_fxfycxcy(SIZE), SIZE, SIZE) for i in range(6)]
    out = render(
        Gaussians.from_rgb(*leaves),
        CameraTensors.from_cameras(cameras, device),
        config,
        torch.ones(3),
        probe_means2d=True,
    )
    torch.autograd.backward(out.rgb.square().mean() + out.depth.mean())
    gradients = [out.means2d_probe.grad, *(leaf.grad for leaf in leaves)]
    return [part.detach().double().cpu() for part in (out.rgb, out.alpha, out.depth)], [
        g.double().cpu() for g in gradients
    ]


@pytest.mark.parametrize("config", [RenderConfig, lambda: published_render("cuda")], ids=["default", "published"])
def test_the_device_draws_what_the_cpu_draws_with_the_same_gradients(device, config):
    images, gradients = draw(device, config())
    expected, expected_gradients = draw("cpu", config())
    for got, wanted in zip([*images, *gradients], [*expected, *expected_gradients], strict=True):
        # single precision with fast exponentials, and a few flips of thresholds and of the order by depth
        assert float((got - wanted).norm() / wanted.norm()) < 1e-3
    assert float(images[1].max()) > 0.5
