"""Has a fit got worse? Judged on blocks of pixels that no step sees.

A frame has only a few such blocks, and their error goes up and down from check to check. A state is therefore worse
than another only when the blocks say so together (paired differences): picking the lowest of many noisy means picks
early, blurred states.
"""

from __future__ import annotations

import torch
from torch.nn.functional import avg_pool2d

from mousefacelift.core.render import Render
from mousefacelift.splats.targets import BLOCK, Targets

DEVIATIONS = 3.0  # standard errors of the mean difference between blocks that count as clear
MIN_BLOCKS = 6  # fewer have no standard error worth the name
WORSE_BY = 0.02  # of the error: smaller differences do not matter, however clear


class HeldOut:
    """The held-out blocks of B frames (all foreground blocks in frames that hold none out)."""

    def __init__(self, targets: Targets):
        weight = (1 - targets.keep) * targets.sure
        none = weight.sum((1, 2, 3), keepdim=True) == 0
        self.targets = targets
        self.pixels = torch.where(none, (targets.alpha > 0.5).float() * targets.sure, weight)
        self.weights = _per_block(self.pixels)

    @torch.no_grad()
    def errors(self, picture: Render) -> torch.Tensor:
        """Mean absolute error over black of each block, [B, K]; 0 where nothing is held out."""
        black = torch.zeros((*self.pixels.shape[:2], 3), device=self.pixels.device)
        error = (picture.rgb - self.targets.over(black)).abs().mean(-1)
        return _per_block(error * self.pixels) / self.weights.clamp_min(1e-9)

    def mean(self, errors: torch.Tensor) -> torch.Tensor:
        """Mean over the held-out pixels of each frame, [B]."""
        return (errors * self.weights).sum(1) / self.weights.sum(1).clamp_min(1e-9)

    def clearly_worse(self, errors: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        """Whether block errors [B, K] of each frame are clearly larger than they were `before`, bool [B]."""
        used = (self.weights > 0).float()
        count = used.sum(1)
        mean = ((errors - before) * used).sum(1) / count.clamp_min(1)
        spread = (((errors - before - mean[:, None]) * used).square().sum(1) / (count - 1).clamp_min(1)).sqrt()
        clear = (count >= MIN_BLOCKS) & (mean > DEVIATIONS * spread / count.clamp_min(1).sqrt())
        return clear & (mean > WORSE_BY * self.mean(before))


def _per_block(values: torch.Tensor) -> torch.Tensor:
    """Means of pixels [B, V, H, W] over blocks, [B, K]."""
    return avg_pool2d(values, BLOCK, ceil_mode=True).flatten(1)
