"""What the training loops of generator, reconstructor and prior share: rates, a guarded step, averages, checkpoints.

The loops themselves stay in their stages, each read from top to bottom in one place; what they must all do right
stands here once. Every draw of a loop is a function of (seed, step), so the step number is the state of its data.
"""

from __future__ import annotations

import math
import pickle
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mousefacelift.core.files import via
from mousefacelift.errors import DataError, GateFailure

FINITE = sys.float_info.max  # the limit of a guard that refuses nothing but NaN and infinity


def warm_up(step: int, steps: int) -> float:
    """Factor on the learning rate after `step` finished steps: linear up to 1 over the first `steps`."""
    return min(1.0, (step + 1) / max(1, steps))


def cosine_fall(share: float) -> float:
    """Factor on the learning rate when `share` of a run is over: half a cosine from 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * share))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group the rate, times the group's own `share` where it has one."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("share", 1.0)


def clip_gradients(parameters: Iterable[nn.Parameter], limit: float) -> float:
    """Scale the gradients down to the norm `limit`; returns what they had.

    As `torch.nn.utils.clip_grad_norm_`, which multiplies by 1 where there is nothing to clip: half of its time. Renders
    that show nothing leave no gradient.
    """
    with_gradient = [parameter for parameter in parameters if parameter.grad is not None]
    total = torch.nn.utils.get_total_norm([p.grad for p in with_gradient if p.grad is not None])
    norm = float(total)
    if not norm + 1e-6 <= limit:  # true for NaN
        torch.nn.utils.clip_grads_with_norm_(with_gradient, limit, total)
    return norm


def guarded_step(
    optimizer: torch.optim.Optimizer,
    parameters: Iterable[nn.Parameter],
    clip: float,
    limit: float = FINITE,
    accelerator: Any = None,
    is_good: bool = True,
) -> tuple[float, bool]:
    """Clip the gradients, update unless something is wrong with them, and clear them.

    Args:
        clip: largest gradient norm that goes into an update.
        limit: a norm above it, or NaN, skips the update.
        accelerator: `accelerate.Accelerator` whose scaled gradients these are.
        is_good: False skips too (a loss that is not finite).
    Returns:
        Norm before clipping, and whether the update was applied.
    """
    if accelerator is not None:
        accelerator.unscale_gradients(optimizer)
    norm = clip_gradients(parameters, clip)
    applied = is_good and norm <= limit  # false for NaN
    if applied:
        optimizer.step()
    elif accelerator is not None and accelerator.scaler is not None:
        accelerator.scaler.update()
    optimizer.zero_grad(set_to_none=True)
    return norm, applied


def check_applied(applied: int, skipped: int, after: int, least: float, hint: str) -> None:
    """Raise GateFailure when, `after` steps or later, fewer than the share `least` were applied: the optimiser would
    only seem to train."""
    step = applied + skipped
    if step >= after and applied < least * step:
        raise GateFailure(
            f"only {applied} of {step} training steps could be applied",
            where=f"step {step}",
            got=f"applied ratio {applied / step:.2f}",
            expected=f"at least {least}",
            likely="gradients too large or not finite: wrong cameras, too high a rate, or fp16 overflow",
            hint=hint,
        )


class Average:
    """Exponential moving average of a module; decay min(limit, (1 + n) / (10 + n)), as diffusers' EMAModel.

    Args:
        with_buffers: of everything in the module's state (what is no floating-point number is copied), not of the
            trainable parameters alone.
    """

    def __init__(self, module: nn.Module, limit: float, with_buffers: bool = False) -> None:
        self.limit, self.with_buffers = limit, with_buffers
        self.values = {name: value.detach().clone() for name, value in self._tensors(module)}

    def _tensors(self, module: nn.Module) -> list[tuple[str, Tensor]]:
        if self.with_buffers:
            return list(module.state_dict().items())
        return [(name, p) for name, p in module.named_parameters() if p.requires_grad]

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Take in the module after `step` steps."""
        decay = min(self.limit, (1 + step) / (10 + step))
        for name, value in self._tensors(module):
            kept = self.values[name]
            if kept.is_floating_point():
                kept.lerp_(value.detach().to(kept.dtype), 1 - decay)
            else:
                kept.copy_(value)

    @torch.no_grad()
    def copy_to(self, module: nn.Module) -> None:
        """Give the module its average."""
        for name, value in self._tensors(module):
            value.copy_(self.values[name])


def save_checkpoint(path: Path, document: dict) -> None:
    """Write a file of tensors and plain values, whole or not at all; DataError when the disk refuses."""
    with via(path, "checkpoint") as temporary:
        torch.save(document, temporary)


def load_checkpoint(path: Path, hint: str = "delete it to start over") -> dict:
    """The content of a checkpoint, on the CPU; nothing in it can run code.

    Raises:
        DataError: missing or damaged.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise DataError(
            f"checkpoint {path} cannot be read",
            got=(str(error) or type(error).__name__).splitlines()[0],
            likely="a damaged file",
            hint=hint,
        ) from error
