"""Perceptual distance on VGG19 features, as the published model was trained with.

16 convolutions of 3x3 with ReLU, 2x2 *average* pooling after the 2nd, 4th, 8th and 12th, MatConvNet weights, pixel
values 0..255 minus the ImageNet mean in RGB order. The weights travel inside the published GS-LRM checkpoint
(`mousefacelift lrm import` writes them to vgg19.safetensors). Without them the loss does not exist.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mousefacelift.core.files import read_safetensors
from mousefacelift.errors import MissingWeights

CHANNELS = (3, 64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512, 512)
POOL_AFTER = (2, 4, 8, 12)
MEAN_RGB = (123.68, 116.779, 103.939)
# Weight of the mean absolute difference at the image (0) and after the ReLU of each named convolution (CRN's weights).
LAYER_WEIGHTS = {0: 1.0, 2: 1 / 2.6, 4: 1 / 4.8, 6: 1 / 3.7, 10: 1 / 5.6, 14: 10 / 1.5}


class PerceptualLoss(nn.Module):
    """Weighted mean absolute difference of VGG19 features; frozen, always fp32 at its borders."""

    def __init__(self):
        super().__init__()
        for i, (fan_in, fan_out) in enumerate(zip(CHANNELS, CHANNELS[1:]), start=1):
            setattr(self, f"conv{i}", nn.Conv2d(fan_in, fan_out, 3, padding=1))
        self.requires_grad_(False)

    @classmethod
    def from_file(cls, path: Path) -> PerceptualLoss:
        """The loss with the weights of vgg19.safetensors.

        Raises:
            MissingWeights: no such file, or it does not hold exactly the 16 convolutions. DataError: it is damaged.
        """
        path = Path(path)
        if not path.is_file():
            raise MissingWeights(
                "the perceptual loss has no weights",
                where=path,
                expected="vgg19.safetensors",
                hint="mousefacelift lrm import CKPT, or set train.loss.perceptual to 0",
            )
        loss, state = cls(), read_safetensors(path)
        if {k: v.shape for k, v in state.items()} != {k: v.shape for k, v in loss.state_dict().items()}:
            raise MissingWeights(
                "the perceptual weights are of another network",
                where=path,
                got=f"{len(state)} tensors",
                expected="conv1..conv16, weight and bias, VGG19 shapes",
            )
        loss.load_state_dict(state)
        return loss

    def layer_errors(self, image: Tensor, target: Tensor) -> list[Tensor]:
        """Unweighted mean absolute differences after convolutions 2, 4, 6, 10 and 14."""
        return [error for layer, error in self._errors(image, target) if layer > 0]

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """Distance of two batches [B, 3, H, W] in [0,1] (scalar; 0 for equal images)."""
        return sum(LAYER_WEIGHTS[layer] * error for layer, error in self._errors(image, target)) / 255

    def _errors(self, image: Tensor, target: Tensor):
        mean = image.new_tensor(MEAN_RGB)[:, None, None]
        pair = torch.cat([image * 255 - mean, target.to(image.dtype) * 255 - mean])
        yield 0, _half_difference(pair)
        for i in range(1, max(LAYER_WEIGHTS) + 1):
            conv = getattr(self, f"conv{i}")
            pair = F.relu(conv(pair))
            if i in LAYER_WEIGHTS:
                yield i, _half_difference(pair)
            if i in POOL_AFTER:
                pair = F.avg_pool2d(pair, 2)


def _half_difference(pair: Tensor) -> Tensor:
    first, second = pair.float().chunk(2)
    return (first - second).abs().mean()
