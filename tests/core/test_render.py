"""The CPU renderer against autograd of the dense torch oracle."""

import pytest
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import orbit, ring
from mousefacelift.core.gaussians import Gaussians, gaussian_colors
from mousefacelift.core.render import RenderConfig, render
from mousefacelift.core.ssim import ssim
from tests.core.oracle_render import render_oracle as oracle
from tests.core.oracle_render import render_view


def scene(count=200, lead=(), dtype=torch.float64, seed=0, degree=0, opacity=None):
    g = torch.Generator().manual_seed(seed)
    r = lambda *s: torch.rand(*lead, *s, generator=g, dtype=torch.float64)  # noqa: E731
    tensors = [
        r(count, 3) - 0.5,
        r(count, 4) - 0.5,
        0.02 + 0.1 * r(count, 3),
        0.05 + 0.95 * r(count),
        r(count, (degree + 1) ** 2, 3) - 0.3,
    ]
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
    background = (
        torch.rand(*cams.w2c.shape[:-2], 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64).to(
            gaussians.means.dtype
        )
        if background is None
        else background
    )
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
        out = (
            render(gaussians, moved, background=background)
            if backend == "cpu"
            else oracle(gaussians, gaussian_colors(gaussians, moved), moved, RenderConfig(), background)
        )
        loss = (out.rgb * weights([out.rgb])[0]).sum() + (out.depth * 0.3).sum()
        grads.append(torch.autograd.grad(loss, [w2c, k, background]))
    for mine, theirs in zip(*grads):
        assert (mine - theirs).norm() <= 1e-10 * theirs.norm()


def test_the_probe_collects_the_gradients_of_the_projected_means():
    gaussians, cams = scene(60), cameras()
    out = render(gaussians, cams, probe_means2d=True)
    w = weights([out.rgb, out.alpha, out.depth])
    sum((i * x).sum() for i, x in zip((out.rgb, out.alpha, out.depth), w)).backward()
    raw = [
        a.detach()
        for a in (
            gaussians.means,
            gaussians.quats,
            gaussians.scales,
            gaussians.opacities,
            gaussian_colors(gaussians, cams)[0],
        )
    ]
    for view in range(3):
        shift = torch.zeros(60, 2, dtype=torch.float64, requires_grad=True)
        images = render_view(
            *raw,
            cams.w2c[view],
            cams.fxfycxcy[view],
            cams.width,
            cams.height,
            RenderConfig(),
            torch.zeros(3, dtype=torch.float64),
            shift,
        )
        sum((i * x[view]).sum() for i, x in zip(images, w)).backward()
        assert shift.grad.abs().sum() > 0
        assert (out.means2d_probe.grad[view] - shift.grad).norm() <= 1e-12 * shift.grad.norm()


def test_scenes_of_a_batch_with_their_own_cameras_and_backgrounds_do_not_mix():
    one_by_one, parts = [], [scene(70, seed=s) for s in range(4)]
    views = [
        CameraTensors.from_cameras(
            [orbit(50 * s + 120 * i, 15, 2.0, (50.0, 47, 18.3, 20.9), 40, 36) for i in range(2)], dtype=torch.float64
        )
        for s in range(4)
    ]
    backgrounds = torch.rand(4, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    names = ("means", "quats", "scales", "opacities", "sh")
    for gaussians, cams, background in zip(parts, views, backgrounds):
        out = render(gaussians, cams, background=background)
        one_by_one.append(
            [
                out.rgb,
                out.depth,
                *torch.autograd.grad(out.rgb.square().sum() + out.depth.sum(), [getattr(gaussians, n) for n in names]),
            ]
        )
    stacked = [
        torch.stack([getattr(g, n).detach() for g in parts]).unflatten(0, (2, 2)).requires_grad_() for n in names
    ]
    cams = CameraTensors(
        *(torch.stack([getattr(c, n) for c in views]).unflatten(0, (2, 2)) for n in ("w2c", "fxfycxcy")), 40, 36
    )
    out = render(Gaussians(*stacked), cams, background=backgrounds.unflatten(0, (2, 2)))
    assert out.rgb.shape == (2, 2, 2, 36, 40, 3) and out.alpha.shape == (2, 2, 2, 36, 40)
    together = [out.rgb, out.depth, *torch.autograd.grad(out.rgb.square().sum() + out.depth.sum(), stacked)]
    for index, single in enumerate(one_by_one):
        for mine, expected in zip(together, single):
            assert torch.equal(mine.flatten(0, 1)[index], expected)


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_results_are_bitwise_equal_for_any_number_of_threads(threads):
    before = torch.get_num_threads()
    gaussians, cams = scene(4000, dtype=torch.float32), cameras((150, 131), dtype=torch.float32)
    w2c = cams.w2c.requires_grad_()
    leaves = [*vars(gaussians).values(), w2c]

    def everything():
        out = render(gaussians, cams, probe_means2d=True)
        loss = (
            out.rgb.square().sum()
            + out.depth.sum()
            + ssim(out.rgb.movedim(-1, 1), torch.full_like(out.rgb, 0.3).movedim(-1, 1))
        )
        return [out.rgb, out.alpha, out.depth, *torch.autograd.grad(loss, [*leaves, out.means2d_probe])]

    try:
        torch.set_num_threads(1)
        expected = everything()
        torch.set_num_threads(threads)
        for _ in range(5):  # who takes which task differs from run to run
            assert all(torch.equal(a, b) for a, b in zip(everything(), expected))
    finally:
        torch.set_num_threads(before)


def test_gaussians_that_no_camera_sees_leave_the_background_and_get_zero_gradients():
    gaussians, cams = scene(50), cameras()
    above = Gaussians(gaussians.means + torch.tensor([0.0, 0.0, 30.0]), *list(vars(gaussians).values())[1:])
    out = render(above, cams, background=torch.tensor([0.25, 0.5, 0.75]))
    assert out.alpha.abs().max() == 0 and torch.equal(
        out.rgb, torch.tensor([0.25, 0.5, 0.75]).double().expand_as(out.rgb)
    )
    for gradient in torch.autograd.grad(out.rgb.sum() + out.depth.sum(), list(vars(gaussians).values())):
        assert torch.isfinite(gradient).all() and gradient.abs().max() == 0


def test_an_empty_scene_is_its_background_and_one_pixel_is_an_image():
    empty = Gaussians(*(torch.zeros(0, *s, requires_grad=True) for s in ((3,), (4,), (3,), (), (1, 3))))
    cams = CameraTensors.from_cameras(ring(2, 16))
    background = torch.tensor([0.1, 0.2, 0.3], requires_grad=True)
    out = render(empty, cams, background=background)
    assert torch.allclose(out.rgb, background.expand_as(out.rgb)) and out.alpha.abs().max() == 0
    out.rgb.sum().backward()
    assert torch.equal(background.grad, torch.full((3,), 2 * 16 * 16.0)) and empty.means.grad.shape == (0, 3)
    compare(scene(30), cameras(size=(1, 1)))


class _Renders(torch.utils.data.Dataset):
    """Item i is a rendered picture, made with two threads in whichever process asks."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        torch.set_num_threads(2)
        return render(scene(500, seed=index, dtype=torch.float32).detach(), cameras((80, 72), dtype=torch.float32)).rgb


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_it_renders_in_data_loader_workers_of_a_process_whose_pool_has_run(method):
    before = torch.get_num_threads()
    try:
        here = [_Renders()[i] for i in range(3)]
    finally:
        torch.set_num_threads(before)
    loader = torch.utils.data.DataLoader(
        _Renders(), batch_size=None, num_workers=1, multiprocessing_context=method, timeout=120
    )
    assert all(torch.equal(a, b) for a, b in zip(loader, here, strict=True))


def test_a_few_visible_gaussians_among_a_million_transparent_ones_are_found():
    few = scene(300, dtype=torch.float32).detach()
    place = torch.randperm(1_000_000, generator=torch.Generator().manual_seed(6))[:300].sort().values
    many = Gaussians(*(a.new_full((1_000_000, *a.shape[1:]), 0.1) for a in vars(few).values()))
    many.opacities.zero_()
    for mine, theirs in zip(vars(many).values(), vars(few).values()):
        mine[place] = theirs
        mine.requires_grad_()
    out, cams = render(many, cameras(dtype=torch.float32)), cameras(dtype=torch.float32)
    assert torch.equal(out.rgb, render(few, cams).rgb)
    (gradient,) = torch.autograd.grad(out.rgb.sum(), many.means)
    assert torch.equal((gradient != 0).any(1).nonzero().flatten(), place[(gradient[place] != 0).any(1)])
    assert gradient[place].abs().sum() > 0


@pytest.mark.slow
def test_a_million_visible_gaussians_render_and_give_finite_gradients():
    gaussians = scene(1_000_000, dtype=torch.float32)
    gaussians = Gaussians(gaussians.means, gaussians.quats, gaussians.scales * 0.05, gaussians.opacities, gaussians.sh)
    out = render(gaussians, cameras((128, 128), dtype=torch.float32))
    assert torch.isfinite(out.rgb).all() and out.alpha.max() > 0.99
    (gradient,) = torch.autograd.grad(out.rgb.sum(), gaussians.means)
    assert torch.isfinite(gradient).all() and gradient.abs().max() > 0
