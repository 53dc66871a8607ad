"""Adam for a few tensors, by torch's fused kernel: the bits of `torch.optim.Adam(fused=True)`.

torch's first optimiser imports torch's compiler, half a second of a process that compiles nothing with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch


class Adam:
    """Groups of tensors with a learning rate each, as torch's optimisers hold them.

    Args:
        groups: {"params": leaf tensors, "lr": rate, ...}. eps: added to the root of the mean square.
    Attributes:
        param_groups: the groups; rates may be set between steps. state: {tensor: {"step", "exp_avg", "exp_avg_sq"}} of
            tensors that have taken a step.
    """

    betas = (0.9, 0.999)

    def __init__(self, groups: Sequence[dict[str, Any]], eps: float) -> None:
        self.eps, self.param_groups = eps, [dict(group) for group in groups]
        self.state: dict[torch.Tensor, dict[str, torch.Tensor]] = defaultdict(dict)

    def add_param_group(self, group: dict[str, Any]) -> None:
        """One group more."""
        self.param_groups.append(dict(group))

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for group in self.param_groups:
            for value in group["params"]:
                value.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One step of every tensor that has a gradient."""
        for group in self.param_groups:
            moved = [value for value in group["params"] if value.grad is not None]
            if not moved:
                continue
            for value in moved:
                if not self.state[value]:
                    self.state[value] = {
                        "step": torch.zeros((), device=value.device),
                        "exp_avg": torch.zeros_like(value),
                        "exp_avg_sq": torch.zeros_like(value),
                    }
            kept = {name: [self.state[value][name] for value in moved] for name in ("exp_avg", "exp_avg_sq", "step")}
            torch._foreach_add_(kept["step"], 1)
            torch._fused_adam_(
                moved,
                [value.grad for value in moved],
                kept["exp_avg"],
                kept["exp_avg_sq"],
                [],
                kept["step"],
                amsgrad=False,
                lr=group["lr"],
                beta1=self.betas[0],
                beta2=self.betas[1],
                weight_decay=0.0,
                eps=self.eps,
                maximize=False,
            )
