"""Structural similarity (Wang et al. 2004) with the usual 11-tap Gaussian window of sigma 1.5, valid padding, range 1.

Equal to pytorch-msssim to 1e-5 and differentiable. On the CPU, images at least 26 px wide go through fused kernels; other
devices and smaller images through plain torch (`ssim_map_torch`), which is also their twin in the tests.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d

from mousefacelift.errors import DataError

WINDOW = 11
SIGMA = 1.5
C1, C2 = 0.01**2, 0.03**2
FUSED_WIDTH = 26  # one vector of 16 outputs


def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """SSIM [B, C, H-10, W-10] of images [B, C, H, W] in [0, 1]; entry (y, x) belongs to pixel (y + 5, x + 5).

    Raises:
        DataError: shapes differ or an image is smaller than the window.
    """
    if a.shape != b.shape or a.dim() != 4 or min(a.shape[-2:]) < WINDOW:
        raise DataError("SSIM needs two batches of images of one shape", got=f"{tuple(a.shape)} and {tuple(b.shape)}",
                        expected=f"[B, C, H, W] with H and W of at least {WINDOW}")
    if a.dtype != torch.float64 or b.dtype != torch.float64:
        a, b = a.float(), b.float()
    fused = a.device.type == "cpu" and b.device.type == "cpu" and a.shape[-1] >= FUSED_WIDTH
    return _FusedMap.apply(a, b) if fused else ssim_map_torch(a, b)


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Mean SSIM, a scalar, of images [B, C, H, W] in [0, 1]."""
    return ssim_map(a, b).mean()


def ssim_map_torch(a: Tensor, b: Tensor) -> Tensor:
    """`ssim_map` by convolutions: two 1-D passes over the five moments at once."""
    moments = torch.stack([a, b, a * a, b * b, a * b])
    mean_a, mean_b, square_a, square_b, product = _blur(moments.flatten(0, 2).unsqueeze(1)).unflatten(
        0, moments.shape[:3]).squeeze(3)
    var_a, var_b, cov = square_a - mean_a**2, square_b - mean_b**2, product - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    return luminance * (2 * cov + C2) / (var_a + var_b + C2)


def _taps(dtype: torch.dtype) -> Tensor:
    offset = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    taps = torch.exp(-(offset**2) / (2 * SIGMA**2))
    return (taps / taps.sum()).to(dtype)


def _blur(images: Tensor) -> Tensor:
    taps = _taps(images.dtype).to(images.device)
    return conv2d(conv2d(images, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))


class _FusedMap(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        from mousefacelift.core.render.jit import run
        from mousefacelift.core.render.ssim_kernels import ssim_forward

        a, b = a.contiguous(), b.contiguous()
        batch, channels, height, width = a.shape
        values = a.new_empty(batch, channels, height - WINDOW + 1, width - WINDOW + 1)
        wanted = any(ctx.needs_input_grad)
        slopes = a.new_empty(4 if wanted else 0, *values.shape)
        run(ssim_forward, batch * channels, _flat(a), _flat(b), _taps(a.dtype).numpy(), _constants(a), height, width,
            _flat(values), _flat(slopes), wanted)
        ctx.save_for_backward(a, b, slopes)
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx, upstream):
        from mousefacelift.core.render.jit import run
        from mousefacelift.core.render.ssim_kernels import ssim_backward

        a, b, slopes = ctx.saved_tensors
        batch, channels, height, width = a.shape
        v_a, v_b = torch.empty_like(a), torch.empty_like(b)
        run(ssim_backward, batch * channels, _flat(a), _flat(b), _taps(a.dtype).numpy(), height, width, _flat(slopes),
            _flat(upstream), _flat(v_a), _flat(v_b))
        return v_a, v_b


def _flat(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().view(-1).numpy()


def _constants(a: Tensor) -> np.ndarray:
    return np.array([C1, C2], np.float64 if a.dtype == torch.float64 else np.float32)
