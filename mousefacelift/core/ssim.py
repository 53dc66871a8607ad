"""Structural similarity (Wang et al. 2004) with the usual 11-tap Gaussian window of sigma 1.5, valid padding, range 1.

Equal to pytorch-msssim to 1e-5 and differentiable. On the CPU, images at least 26 px wide go through fused kernels;
other devices and smaller images through plain torch (`ssim_map_torch`), which is also their twin in the tests.
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
    a, b = _checked(a, b)
    return _Fused.apply(a, b, False) if _fusable(a, b) else ssim_map_torch(a, b)


def ssim_per_image(a: Tensor, b: Tensor) -> Tensor:
    """Mean SSIM [B] of images [B, C, H, W] in [0, 1]; no map is kept, so this is the faster form for a loss."""
    a, b = _checked(a, b)
    return (_Fused.apply(a, b, True) if _fusable(a, b) else ssim_map_torch(a, b).mean((2, 3))).mean(1)


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Mean SSIM, a scalar, of images [B, C, H, W] in [0, 1]."""
    return ssim_per_image(a, b).mean()


def _checked(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    if a.shape != b.shape or a.dim() != 4 or min(a.shape[-2:]) < WINDOW:
        raise DataError(
            "SSIM needs two batches of images of one shape",
            got=f"{tuple(a.shape)} and {tuple(b.shape)}",
            expected=f"[B, C, H, W] with H and W of at least {WINDOW}",
        )
    both_double = a.dtype == torch.float64 and b.dtype == torch.float64
    return (a, b) if both_double else (a.float(), b.float())


def _fusable(a: Tensor, b: Tensor) -> bool:
    return a.device.type == "cpu" and b.device.type == "cpu" and a.shape[-1] >= FUSED_WIDTH


def ssim_map_torch(a: Tensor, b: Tensor) -> Tensor:
    """`ssim_map` by convolutions: two 1-D passes over the five moments at once."""
    moments = torch.stack([a, b, a * a, b * b, a * b])
    mean_a, mean_b, square_a, square_b, product = (
        _blur(moments.flatten(0, 2).unsqueeze(1)).unflatten(0, moments.shape[:3]).squeeze(3)
    )
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


class _Fused(torch.autograd.Function):
    """The map [B, C, H-10, W-10], or its mean per plane [B, C]. Images are kept for the backward pass, maps are not."""

    @staticmethod
    def forward(ctx, a, b, per_plane):
        from mousefacelift.core.render.jit import run
        from mousefacelift.core.ssim_kernels import ssim_forward

        a, b = a.contiguous(), b.contiguous()
        batch, channels, height, width = a.shape
        means = a.new_empty(batch, channels)
        values = a.new_empty(0) if per_plane else a.new_empty(batch, channels, height - WINDOW + 1, width - WINDOW + 1)
        run(
            ssim_forward, batch * channels, _flat(a), _flat(b), *_numbers(a), height, width, _flat(values), _flat(means)
        )
        ctx.save_for_backward(a, b)
        ctx.per_plane = per_plane
        return means if per_plane else values

    @staticmethod
    @once_differentiable
    def backward(ctx, upstream):
        from mousefacelift.core.render.jit import run
        from mousefacelift.core.ssim_kernels import ssim_backward

        a, b = ctx.saved_tensors
        batch, channels, height, width = a.shape
        if ctx.per_plane:
            upstream = upstream / ((height - WINDOW + 1) * (width - WINDOW + 1))
        v_a = torch.empty_like(a)
        v_b = torch.empty_like(b) if ctx.needs_input_grad[1] else b.new_empty(0)
        run(
            ssim_backward,
            batch * channels,
            _flat(a),
            _flat(b),
            *_numbers(a),
            height,
            width,
            _flat(upstream),
            ctx.per_plane,
            _flat(v_a),
            _flat(v_b),
        )
        return v_a, v_b if ctx.needs_input_grad[1] else None, None


def _flat(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().view(-1).numpy()


def _numbers(a: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Window taps, and the two constants, in the images' type."""
    taps = _taps(a.dtype).numpy()
    return taps, np.array([C1, C2], taps.dtype)
