"""The CPU renderer against autograd of the dense torch oracle."""

import multiprocessing

import pytest
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import orbit, ring
from mousefacelift.core.gaussians import Gaussians, gaussian_colors
from mousefacelift.core.render import RenderConfig, render
from tests.core.oracle_render import render_oracle as oracle


def scene(count=200, lead=(), dtype=torch.float64, seed=0, degree=0, opacity=None):
    g = torch.Generator().manual_seed(seed)
    r = lambda *s: torch.rand(*lead, *s, generator=g, dtype=torch.float64)  # noqa: E731
    tensors = [r(count, 3) - 0.5, r(count, 4) - 0.5, 0.02 + 0.1 * r(count, 3), 0.05 + 0.95 * r(count), r(count, (degree + 1) ** 2, 3) - 0.3]
    if opacity is not None:
        tensors[3] = torch.full_like(tensors[3], opacity)
    return Gaussians(*(t.to(dtype).requires_grad_() for t in tensors))


def cameras(size=(40, 36), views=3, dtype=torch.float64):
    k = torch.tensor([50.0, 47, 18.3, 20.9])
    return CameraTensors.from_cameras([orbit(120 * i, 15, 2.0, k.numpy(), *size) for i in range(views)], dtype=dtype)


def weights(images, seed=1):
    g = torch.Generator().manual_seed(seed)
    return [torch.rand(i.shape, generator=g, dtype=torch.float64).to(i.dtype) for i in images]


def compare(gaussians, cams, config=None, background=None, value=1e-12, gradient=1e-12):
    config = config or RenderConfig()
    background = torch.rand(*cams.w2c.shape[:-2], 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64).to(
        gaussians.means.dtype) if background is None else background
    inputs = [gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, gaussians.sh]
    results = []
    for run in (render, lambda g, c, f, b: oracle(g, gaussian_colors(g, c), c, f, b)):
        out = run(gaussians, cams, config, background)
        images = [out.rgb, out.alpha, out.depth]
        loss = sum((i * w).sum() for i, w in zip(images, weights(images)))
        results.append((images, torch.autograd.grad(loss, inputs)))
    for mine, theirs in zip(results[0][0], results[1][0]):
        assert (mine - theirs).abs().max() <= value * 100
    for mine, theirs in zip(results[0][1], results[1][1]):
        assert (mine - theirs).norm() <= gradient * theirs.norm().clamp_min(1e-30)


def test_double_precision_equals_autograd_of_the_oracle():
    compare(scene(), cameras())


def test_view_dependent_colours_and_batches_of_scenes():
    compare(scene(60, degree=1), cameras())
    one, two = scene(50, seed=4), scene(50, seed=5)
    both = Gaussians(*(torch.stack([a.detach(), b.detach()]) for a, b in zip(vars(one).values(), vars(two).values())))
    images = render(both, cameras()).rgb
    assert torch.equal(images[0], render(one, cameras()).rgb) and torch.equal(images[1], render(two, cameras()).rgb)


def test_antialiased_equals_the_oracle():
    compare(scene(), cameras(), RenderConfig(antialiased=True), gradient=1e-9)


def test_saturated_opacities_stop_and_clamp_as_the_oracle_does():
    compare(scene(150, opacity=1.0), cameras())


def test_gaussians_behind_and_across_the_near_plane():
    gaussians = scene(100)
    moved = Gaussians((gaussians.means.detach() * 6).requires_grad_(), *list(vars(gaussians).values())[1:])
    compare(moved, cameras(), RenderConfig(near=0.2))


def test_single_precision_is_close_in_relative_norm():
    exact, single = scene(300), scene(300, dtype=torch.float32)
    cams64, cams32 = cameras(), cameras(dtype=torch.float32)
    grads = []
    for gaussians, cams in ((exact, cams64), (single, cams32)):
        out = render(gaussians, cams)
        loss = sum((i * w).sum() for i, w in zip([out.rgb, out.alpha], weights([out.rgb, out.alpha])))
        leaves = [gaussians.means, gaussians.scales, gaussians.quats, gaussians.opacities]
        grads.append([out.rgb, *torch.autograd.grad(loss, leaves)])
    for a, b in zip(*grads):
        assert (a - b).norm() / a.norm() < 5e-5  # rare threshold flips at alpha 1/255 dominate


def test_camera_and_background_gradients_equal_the_oracle():
    gaussians, cams = scene(80), cameras()
    grads = []
    for backend in ("cpu", "oracle"):
        w2c, k = cams.w2c.clone().requires_grad_(), cams.fxfycxcy.clone().requires_grad_()
        background = torch.full((3,), 0.4, dtype=torch.float64, requires_grad=True)
        moved = CameraTensors(w2c, k, cams.width, cams.height)
        out = render(gaussians, moved, background=background) if backend == "cpu" else oracle(
            gaussians, gaussian_colors(gaussians, moved), moved, RenderConfig(), background)
        loss = (out.rgb * weights([out.rgb])[0]).sum() + (out.depth * 0.3).sum()
        grads.append(torch.autograd.grad(loss, [w2c, k, background]))
    for mine, theirs in zip(*grads):
        assert (mine - theirs).norm() <= 1e-10 * theirs.norm()


def test_the_probe_collects_gradients_of_projected_means():
    gaussians, cams = scene(40), cameras()
    out = render(gaussians, cams, probe_means2d=True)
    out.rgb.sum().backward()
    assert out.means2d_probe.grad.shape == (3, 40, 2) and out.means2d_probe.grad.abs().sum() > 0


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_are_bitwise_equal_for_any_number_of_threads(threads):
    before = torch.get_num_threads()
    try:
        results = []
        for number in (1, threads):
            torch.set_num_threads(number)
            gaussians = scene(500, dtype=torch.float32)
            out = render(gaussians, cameras(dtype=torch.float32))
            results.append([out.rgb, *torch.autograd.grad(out.rgb.square().sum(), [gaussians.means, gaussians.quats])])
        assert all(torch.equal(a, b) for a, b in zip(*results))
    finally:
        torch.set_num_threads(before)


def test_an_empty_scene_is_its_background_and_one_pixel_is_an_image():
    empty = Gaussians(*(torch.zeros(0, *s) for s in ((3,), (4,), (3,), (), (1, 3))))
    cams = CameraTensors.from_cameras(ring(2, 16))
    out = render(empty, cams, background=torch.tensor([0.1, 0.2, 0.3]))
    assert torch.allclose(out.rgb, torch.tensor([0.1, 0.2, 0.3]).expand_as(out.rgb)) and out.alpha.abs().max() == 0
    compare(scene(30), cameras(size=(1, 1)))


def _in_child(queue):
    queue.put(float(render(scene(50, dtype=torch.float32), cameras(dtype=torch.float32)).rgb.detach().sum()))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_it_works_in_worker_processes(method):
    expected = float(render(scene(50, dtype=torch.float32), cameras(dtype=torch.float32)).rgb.detach().sum())
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    worker = context.Process(target=_in_child, args=(queue,))
    worker.start()
    assert queue.get(timeout=120) == expected
    worker.join()


@pytest.mark.slow
def test_a_million_gaussians_render():
    gaussians = scene(1_000_000, dtype=torch.float32).detach()
    gaussians.scales *= 0.05
    out = render(gaussians, cameras((128, 128), dtype=torch.float32))
    assert torch.isfinite(out.rgb).all() and out.alpha.max() > 0.5
