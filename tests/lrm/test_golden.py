"""Numbers of this implementation on a day on which it met the reference's fixtures, for machines that do not have
those.

Inputs come from formulas, so nothing depends on a random generator; the network's own golden output is in
test_model.py.
"""

import numpy as np
import pytest
import torch

from mousefacelift.core.cameras import ring
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.records import SampleFacts
from mousefacelift.core.samples import Sample, View, write_sample
from mousefacelift.core.splat_files import read_ply, write_ply
from mousefacelift.core.ssim import ssim
from mousefacelift.dataset.loader import load_views
from mousefacelift.lrm.filters import FILTERS, FilterConfig, rows_to_keep
from mousefacelift.lrm.perceptual import PerceptualLoss


def wave(*shape, step=0.37, phase=0.0):
    """Values in [0, 1] by formula, fp32."""
    count = int(np.prod(shape))
    return (torch.sin(torch.arange(count, dtype=torch.float64) * step + phase) / 2 + 0.5).reshape(shape).float()


def noise(*shape, phase=0.0):
    """Values in [-1, 1) that look random, by formula, fp32."""
    ramp = torch.arange(1, int(np.prod(shape)) + 1, dtype=torch.float64)
    return (torch.frac(torch.sin(ramp * 12.9898 + phase).abs() * 43758.5453) * 2 - 1).reshape(shape).float()


def formula_vgg():
    vgg = PerceptualLoss()
    for number, parameter in enumerate(vgg.parameters()):
        scale = np.sqrt(6 / (9 * parameter.shape[1])) if parameter.ndim == 4 else 0.05
        parameter.copy_(noise(*parameter.shape, phase=number) * scale)
    return vgg


def gaussians(count=600):
    return Gaussians(
        noise(count, 3),
        noise(count, 4, phase=1),
        noise(count, 3, phase=2) * 0.06 + 0.061,
        noise(count, phase=3) * 0.49 + 0.5,
        noise(count, 1, 3, phase=4),
    )


@torch.no_grad()
def test_losses():
    image, target = wave(2, 3, 48, 48, step=0.013), wave(2, 3, 48, 48, step=0.0131, phase=0.4)
    vgg = formula_vgg()
    np.testing.assert_allclose([e.item() for e in vgg.layer_errors(image, target)], LAYERS, rtol=1e-4)
    assert vgg(image, target).item() == pytest.approx(PERCEPTUAL, rel=1e-4)
    assert ssim(image, target).item() == pytest.approx(SSIM, abs=1e-5)


@pytest.mark.parametrize("name", ["cli", "gradio", "train_eval", "near_far"])
def test_filters(name):
    config = FilterConfig(0.0, None, None, None, (5.0, 95.0)) if name == "near_far" else FILTERS[name]
    centers = torch.from_numpy(np.stack([camera.center for camera in ring(4, 32)])).float()
    kept = rows_to_keep(gaussians(), config, centers).nonzero().flatten()
    assert (len(kept), int(kept.sum())) == KEPT[name]


def test_ply_of_the_published_layout(tmp_path):
    path = write_ply(tmp_path / "a.ply", gaussians(5), "facelift")
    header, _, body = path.read_bytes().partition(b"end_header\n")
    assert b"element vertex 5" in header and header.count(b"property") == PLY_COLUMNS and len(body) == PLY_BYTES
    back, first = read_ply(path), gaussians(5)
    np.testing.assert_allclose(back.means.numpy(), first.means.numpy(), atol=1e-6)
    np.testing.assert_allclose(np.frombuffer(body, "<f4", 3), first.means[0].numpy(), atol=1e-7)


def test_loader(tmp_path):
    views = tuple(View(wave(48, 48, 4, step=0.05, phase=i).numpy(), camera) for i, camera in enumerate(ring(3, 48)))
    write_sample(tmp_path / "s", Sample(views, SampleFacts("object", asset="wave", config_hash="toy")))
    found = load_views(tmp_path / "s", None, 32, (0.5,) * 3, True)
    got = [
        found["image"].mean().item(),
        found["image"][1, :, 7, 9].sum().item(),
        found["image"][2, 3].std().item(),
        found["fxfycxcy"][0, 0].item(),
        found["c2w"][2, 0, 3].item(),
    ]
    np.testing.assert_allclose(got, LOADER, rtol=2e-5)


LAYERS, PERCEPTUAL, SSIM = [45.58702, 33.82653, 17.53585, 5.811012, 1.743839], 0.4884912, 0.3605817
KEPT = {"cli": (370, 108648), "gradio": (476, 142149), "train_eval": (436, 127155), "near_far": (388, 113558)}
PLY_COLUMNS, PLY_BYTES = 62, 1195
LOADER = [0.5920634, 2.184314, 0.02113431, 34.31211, -1.268585]
