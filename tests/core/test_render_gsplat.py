"""The gsplat backend.

Without a GPU, gsplat's own `rasterization` runs with torch in the place of its four CUDA functions (for the projection:
gsplat's torch twin), so that the arguments, their shapes, the depth channel, the background and the graph are checked
against the oracle. With a GPU (-m gpu) the CUDA kernels themselves are.
"""

from __future__ import annotations

import ast
import inspect
from importlib import metadata

import gsplat.rendering
import pytest
import torch
from gsplat.cuda._torch_impl import _fully_fused_projection, _quat_scale_to_covar_preci

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import orbit
from mousefacelift.core.gaussians import Gaussians, gaussian_colors
from mousefacelift.core.render import RenderConfig, gsplat_backend, published_render, render
from mousefacelift.errors import ConfigError, DataError
from tests.conftest import ROOT
from tests.core.oracle_render import render_oracle
from tests.core.test_render_cpu import SCENES, make_scene, off_centre

NAMES = ("means", "quats", "scales", "opacities", "sh")
BATCH = 2


class TorchKernels:
    """Dense torch with the signatures of gsplat 1.5.3's CUDA functions; only the unpacked path exists."""

    def install(self, monkeypatch):
        for name in ("fully_fused_projection", "isect_tiles", "isect_offset_encode", "rasterize_to_pixels"):
            real = inspect.signature(getattr(gsplat.rendering, name))
            monkeypatch.setattr(gsplat.rendering, name, self._bound(real, getattr(self, name)))

    @staticmethod
    def _bound(signature, function):
        def call(*args, **kwargs):
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            assert bound.arguments.get("packed", False) is False
            return function(bound.arguments)

        return call

    def fully_fused_projection(self, a):
        assert a["radius_clip"] == 0 and a["camera_model"] == "pinhole" and a["covars"] is None
        covars, _ = _quat_scale_to_covar_preci(a["quats"], a["scales"], compute_preci=False)
        return _fully_fused_projection(
            a["means"],
            covars,
            a["viewmats"],
            a["Ks"],
            a["width"],
            a["height"],
            a["eps2d"],
            a["near_plane"],
            a["far_plane"],
            a["calc_compensations"],
        )

    def isect_tiles(self, a):
        self.seen = (a["radii"] > 0).all(-1)
        return (torch.zeros(0),) * 3

    def isect_offset_encode(self, a):
        return torch.zeros(a["n_images"] * a["tile_width"] * a["tile_height"])

    def rasterize_to_pixels(self, a):
        lead, background = a["means2d"].shape[:-2], a["backgrounds"]
        background = a["colors"].new_zeros(*lead, 4) if background is None else background
        parts = (a["means2d"], a["conics"], a["colors"], a["opacities"], self.seen, background)
        images = [
            self._image(a["image_width"], a["image_height"], *one)
            for one in zip(*(p.flatten(0, len(lead) - 1) for p in parts))
        ]
        colors, alphas = (torch.stack(x).unflatten(0, lead) for x in zip(*images))
        return colors, alphas

    @staticmethod
    def _image(width, height, means2d, conics, colors, opacities, seen, background):
        order = torch.argsort(colors[seen][:, 3].detach(), stable=True)  # the depth is the fourth channel
        means2d, conics, colors, opacities = (x[seen][order] for x in (means2d, conics, colors, opacities))
        v, u = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        dx, dy = u.reshape(-1, 1) - means2d[:, 0], v.reshape(-1, 1) - means2d[:, 1]
        sigma = 0.5 * (conics[:, 0] * dx * dx + conics[:, 2] * dy * dy) + conics[:, 1] * dx * dy
        alpha = (opacities * torch.exp(-sigma)).clamp(max=0.999)
        alpha = torch.where(alpha >= 1 / 255, alpha, 0)
        after = torch.cumprod(1 - alpha, 1)
        before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], 1)
        weight = torch.where(after > 1e-4, alpha * before, 0)
        total = weight.sum(1, keepdim=True)
        return ((weight @ colors + (1 - total) * background).reshape(height, width, 4), total.reshape(height, width, 1))


def batch_inputs(scene, cameras):
    """Leaves [2, ...] float64: two different scenes, their own cameras and backgrounds."""
    scenes = [scene, [a.flip(0) if a.dim() == 1 else a.flip(0) * torch.tensor(0.9) for a in scene]]
    raw = [torch.stack(pair) for pair in zip(*scenes)]
    gaussians = Gaussians.from_rgb(*raw)
    sets = [
        CameraTensors.from_cameras(cameras, dtype=torch.float64),
        CameraTensors.from_cameras(cameras[::-1], dtype=torch.float64),
    ]
    background = torch.rand(BATCH, len(cameras), 3, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    leaves = [
        a.clone().requires_grad_() for a in (*vars(gaussians).values(), torch.stack([c.w2c for c in sets]), background)
    ]
    return leaves, torch.stack([c.fxfycxcy for c in sets]), (sets[0].width, sets[0].height)


def draw(function, leaves, intrinsics, size, config):
    """[rgb, alpha, depth] and the gradients of a fixed random linear loss."""
    cameras, gaussians = CameraTensors(leaves[5], intrinsics, *size), Gaussians(*leaves[:5])
    image = function(gaussians, gaussian_colors(gaussians, cameras), cameras, config, leaves[6])
    outputs = [image.rgb, image.alpha, image.depth]
    g = torch.Generator().manual_seed(9)
    loss = sum((a * torch.randn(a.shape, generator=g, dtype=torch.float64).to(a)).sum() for a in outputs)
    return outputs, torch.autograd.grad(loss, leaves)


def oracle_batch(gaussians, colors, cameras, config, background):
    """The oracle scene by scene, because it takes one set of cameras."""
    scenes = []
    for s in range(BATCH):
        one = Gaussians(*(a[s] for a in vars(gaussians).values()))
        scenes.append(
            render_oracle(
                one,
                colors[s],
                CameraTensors(cameras.w2c[s], cameras.fxfycxcy[s], cameras.width, cameras.height),
                config,
                background[s],
            )
        )
    return type(scenes[0])(*(torch.stack([getattr(s, n) for s in scenes]) for n in ("rgb", "alpha", "depth")))


def relative(a, b):
    a, b = a.detach().double().cpu(), b.detach()
    return float((a - b).norm() / b.norm().clamp_min(1e-30))


SUPPORTED = [name for name, (_, _, config) in SCENES.items() if config.alpha_max == 0.999]


@pytest.mark.parametrize("name", SUPPORTED)
def test_gsplat_is_called_so_that_it_computes_the_oracles_image_and_gradients(name, monkeypatch):
    TorchKernels().install(monkeypatch)
    inputs = batch_inputs(*SCENES[name][:2])
    mine = draw(lambda *a: gsplat_backend.rasterize_scenes(*a, False), *inputs, SCENES[name][2])
    expected = draw(oracle_batch, *inputs, SCENES[name][2])
    for a, b in zip(mine[0], expected[0]):
        assert a.shape == b.shape and relative(a, b) < 1e-12
    for label, a, b in zip((*NAMES, "w2c", "background"), mine[1], expected[1]):
        assert relative(a, b) < 1e-9, label


def test_no_background_is_black_and_the_probe_belongs_to_a_graph_even_of_constants(monkeypatch):
    TorchKernels().install(monkeypatch)
    leaves, intrinsics, size = batch_inputs(make_scene(20), off_centre())
    cameras, gaussians = (
        CameraTensors(leaves[5].detach(), intrinsics, *size),
        Gaussians(*(a.detach() for a in leaves[:5])),
    )
    inputs = (gaussians, gaussian_colors(gaussians, cameras), cameras, RenderConfig())
    out = gsplat_backend.rasterize_scenes(*inputs, None, True)
    assert torch.equal(out.rgb, gsplat_backend.rasterize_scenes(*inputs, torch.zeros(3), False).rgb)
    out.rgb.sum().backward()
    assert out.means2d_probe.grad.shape == (BATCH, 3, 20, 2) and out.means2d_probe.grad.abs().sum() > 0


def test_no_gaussians_are_the_background_without_asking_gsplat():
    cameras = CameraTensors.from_cameras(off_centre())
    empty = Gaussians(*(torch.zeros(2, 0, *s, requires_grad=True) for s in ((3,), (4,), (3,), (), (1, 3))))
    out = gsplat_backend.rasterize_scenes(
        empty, torch.zeros(2, 1, 0, 3), cameras, RenderConfig(), torch.tensor([0.25, 0.5, 1.0]), True
    )
    assert torch.equal(out.rgb, torch.tensor([0.25, 0.5, 1.0]).expand(2, 3, 28, 37, 3))
    assert (
        out.alpha.shape == out.depth.shape == (2, 3, 28, 37)
        and out.alpha.abs().max() == 0
        and out.means2d_probe.shape == (2, 3, 0, 2)
    )
    (out.rgb.sum() + out.depth.sum()).backward()
    assert empty.means.grad.shape == (2, 0, 3)


def test_constants_that_gsplat_has_compiled_in_are_refused_instead_of_ignored(monkeypatch):
    for version, good, bad in (("1.5.3", 0.999, 0.99), ("1.6.0", 0.99, 0.999)):
        monkeypatch.setattr(metadata, "version", lambda name, version=version: version)
        gsplat_backend.check_constants(RenderConfig(alpha_max=good))
        for changed in ({"alpha_max": bad}, {"alpha_min": 1 / 100}, {"t_stop": 1e-3}):
            with pytest.raises(ConfigError, match="compiled into its kernels"):
                gsplat_backend.check_constants(RenderConfig(**{"alpha_max": good, **changed}))


def pinned_gsplat():
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    return pins["gsplat"]


def test_every_render_configuration_of_the_package_can_be_rendered_by_the_pinned_gsplat(monkeypatch):
    makers = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "mousefacelift").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "RenderConfig"
    }
    assert makers == {f"mousefacelift/core/render/{name}.py" for name in ("seam", "published")}
    monkeypatch.setattr(metadata, "version", lambda name: pinned_gsplat())
    for config in (RenderConfig(), published_render("cuda")):  # what those two make for a GPU
        gsplat_backend.check_constants(config)
    assert published_render("cpu").alpha_max == 0.99 and published_render("cuda").near == 0.2


def test_tensors_on_the_cpu_are_refused():
    gaussians = Gaussians.from_rgb(*(a.float() for a in make_scene(5)))
    with pytest.raises(DataError, match="needs CUDA tensors"):
        render(gaussians, CameraTensors.from_cameras(off_centre()), backend="gsplat")


def on_gpu(gaussians, colors, cameras, config, background, probe=False):
    return gsplat_backend.render_gsplat(gaussians, colors, cameras, config, background, probe)


@pytest.mark.gpu
@pytest.mark.parametrize("name", SUPPORTED)
def test_the_cuda_kernels_equal_the_oracle(name):
    leaves, intrinsics, size = batch_inputs(*SCENES[name][:2])
    device = [a.detach().cuda().float().requires_grad_() for a in leaves]
    outputs, gradients = draw(on_gpu, device, intrinsics.cuda().float(), size, SCENES[name][2])
    expected, expected_gradients = draw(oracle_batch, leaves, intrinsics, size, SCENES[name][2])
    for a, b in zip(outputs, expected):
        assert relative(a, b) < 1e-4  # single precision with fast exponentials
    # gsplat divides by 1 - alpha on its way back: of single precision little is left where opacities are exactly 1
    tolerance = 2e-2 if name == "saturated" else 1e-3
    for label, a, b in zip((*NAMES, "w2c"), gradients, expected_gradients):
        assert relative(a, b) < tolerance, label
    assert float((gradients[6].double().cpu() - expected_gradients[6]).abs().max()) < 1e-5 * expected[1].numel()


@pytest.mark.gpu
def test_the_cuda_kernels_equal_the_cpu_kernels_at_a_working_size():
    torch.manual_seed(0)
    raw = [a.float() for a in make_scene(3000, seed=2)]
    cameras = CameraTensors.from_cameras(
        [orbit(60 * i, 20, 2.7, (137.0, 137.0, 64.0, 64.0), 128, 128) for i in range(6)]
    )
    results = []
    for device in ("cpu", "cuda"):
        leaves = [a.to(device).requires_grad_() for a in raw]
        out = render(Gaussians.from_rgb(*leaves), cameras.to(device), background=torch.ones(3), probe_means2d=True)
        torch.autograd.backward(out.rgb.square().mean() + out.depth.mean())
        results.append([out.rgb, out.alpha, out.depth, out.means2d_probe.grad, *(a.grad for a in leaves)])
    for a, b in zip(*results):
        assert relative(b, a.double()) < 1e-3  # a few threshold and depth-order flips


@pytest.mark.gpu
def test_half_precision_is_rendered_in_single_and_double_is_refused():
    gaussians = Gaussians.from_rgb(*(a.cuda().half() for a in make_scene(30)))
    cameras = CameraTensors.from_cameras(off_centre(), device="cuda")
    assert render(gaussians, cameras).rgb.dtype == torch.float32
    with pytest.raises(DataError, match="single precision"):
        render(gaussians.map(torch.Tensor.double), cameras)
