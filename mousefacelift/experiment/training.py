"""The training loop of an experiment: the pipeline's sampler, loss and schedule on samples in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from mousefacelift.core.reconstructors import SKIP_NORM
from mousefacelift.core.training import clip_gradients
from mousefacelift.dataset.config import ArmConfig, LoaderConfig, MixtureConfig
from mousefacelift.dataset.loader import collate
from mousefacelift.dataset.mixture import MixtureSampler
from mousefacelift.experiment.constraints import Constraint
from mousefacelift.experiment.pools import Pools
from mousefacelift.lrm.config import OptimizerConfig
from mousefacelift.lrm.model import GSLRM
from mousefacelift.lrm.run import chosen_precision
from mousefacelift.lrm.step import learning_rate, views_loss


@dataclass(frozen=True)
class Plan:
    """One training run.

    Args:
        inputs: views shown. size: of the pictures. optimizer: batch is the samples of a step. fewest: views shown at
            least, where their number is drawn.
    """

    arm: ArmConfig | str
    constraint: Constraint
    steps: int
    inputs: int
    targets: int
    size: int
    optimizer: OptimizerConfig
    seed: int
    fewest: int | None = None


def train_network(
    model: GSLRM, pools: Pools, plan: Plan, look: Callable[[int, dict[str, float]], None]
) -> dict[str, float]:
    """Train `model` in place; returns the mean loss of the last tenth, and the steps that were not applied.

    In bf16 where the processor multiplies it fast, as `lrm train`; rays, depth, losses and renders in fp32.

    Args:
        look: called before the first step (0) and after every step, with the step's terms and gradient norm.
    """
    config = plan.optimizer
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": config.weight_decay},
            {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        betas=config.betas,
        fused=True,
    )
    sampler = MixtureSampler(
        pools,
        plan.arm,
        plan.seed,
        steps=plan.steps,
        batch_size=config.batch,
        mixture=MixtureConfig(),
        inputs=(plan.fewest or plan.inputs, plan.inputs),
        min_views=plan.inputs + 1,
    )
    loader = LoaderConfig(image_size=plan.size, targets=plan.targets, background=plan.constraint.background)
    half = chosen_precision("auto", False, torch.cpu.get_capabilities()) == "bf16"
    precision = partial(torch.autocast, "cpu", torch.bfloat16, enabled=half)
    skipped, late = 0, []
    model.train()
    look(0, {})
    for step in range(plan.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, step, plan.steps)
        draws = sampler.draw(step)
        batch = collate([pools.sample(draw, loader, sampler.arm.distortion) for draw in draws])
        tensors = {name: value for name, value in batch.items() if isinstance(value, torch.Tensor)}
        loss, terms = views_loss(model, tensors, plan.constraint.loss, precision)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = clip_gradients(model.parameters(), config.clip_norm)
        if norm <= SKIP_NORM["gslrm"]:  # false for NaN
            optimizer.step()
        else:
            skipped += 1
        if step >= 0.9 * plan.steps:
            late.append(float(terms["loss"]))
        look(step + 1, {name: float(value) for name, value in terms.items()} | {"grad_norm": norm})
    return {"loss": sum(late) / max(len(late), 1), "skipped": skipped}
