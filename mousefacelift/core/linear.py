"""Linear layers whose fp32 products use the whole vector unit of any CPU with AVX-512.

torch gives fp32 matrix products to MKL, which leaves AVX-512 unused on processors that are not Intel's: half of their
speed (findings/torch-fp32-products-leave-avx512-unused-on-amd.sh). The same torch has oneDNN, which uses it. The
numbers differ in rounding.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


@functools.cache
def has_wide_products() -> bool:
    """Whether this CPU has AVX-512 and this torch a oneDNN that can be asked for a product."""
    is_wide = "AVX512" in torch.backends.cpu.get_cpu_capability()
    return is_wide and torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


class Linear(nn.Linear):
    """`torch.nn.Linear`, its names and numbers; faster in fp32 on the CPU."""

    def forward(self, x: Tensor) -> Tensor:
        is_plain = x.device.type == "cpu" and x.dtype == self.weight.dtype == torch.float32 and x.numel()
        if is_plain and has_wide_products() and not (torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling()):
            return _Product.apply(x, self.weight, self.bias)
        return F.linear(x, self.weight, self.bias)


class _Product(torch.autograd.Function):
    """x @ weight.T + bias, for x [..., K], weight [N, K], bias [N] or None; and its gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        rows = gradient.reshape(-1, len(weight))
        return (
            product(gradient.contiguous(), weight.T) if for_x else None,
            product(rows.T, x.reshape(len(rows), -1).T) if for_weight else None,
            rows.sum(0) if for_bias else None,
        )


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x [..., K] times the transpose of weight [N, K], and bias [N], by oneDNN; no gradients, fp32 on the CPU."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
