"""Training of the prior on exact points: no rendering in the loop, so a CPU sees hundreds of pictures a second.

    mousefacelift prior train --shards DIR --out DIR

Writes `checkpoint.pt` (everything that an exact resume needs), `log.jsonl`, and at the end `weights.safetensors`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F

from mousefacelift.core.files import json_text, via
from mousefacelift.core.training import (
    Average,
    check_applied,
    guarded_step,
    load_checkpoint,
    save_checkpoint,
    set_rate,
    warm_up,
)
from mousefacelift.errors import ConfigError
from mousefacelift.prior.batches import Batch, stream
from mousefacelift.prior.config import TrainingConfig
from mousefacelift.prior.network import Decoded, NetworkConfig, PriorNetwork, start_from_data
from mousefacelift.prior.shards import Shards
from mousefacelift.prior.template import GROUPS, build_template

PART_WEIGHTS = {"trunk": 1.0, "tail": 1.0, "ears": 0.6, "limbs": 1.0, "eyes": 0.2}
HUBER = 0.03  # crop units; about one pixel of the crop
HEADING_SOFT = 8.0  # degrees; width of the target over the heading bins
GUARD_AFTER, GUARD_LEAST = 50, 0.9  # updates, and the share of them that must have been applied
GUARD_HINT = "lower prior.training.learning_rate"
COLOUR_WEIGHT, HEADING_WEIGHT, ELEVATION_WEIGHT = 1.0, 0.15, 0.2


@dataclass
class Losses:
    """Parts of the loss, each a scalar tensor; `points` is the weighted sum over GROUPS."""

    points: Tensor
    colours: Tensor
    heading: Tensor
    elevation: Tensor

    @property
    def total(self) -> Tensor:
        return (
            self.points
            + COLOUR_WEIGHT * self.colours
            + HEADING_WEIGHT * self.heading
            + ELEVATION_WEIGHT * self.elevation
        )


def part_error(predicted: Tensor, truth: Tensor, group: Tensor) -> Tensor:
    """[GROUPS] mean smooth L1 distance of the points of each part, in units of HUBER."""
    error = F.smooth_l1_loss(predicted, truth, reduction="none", beta=HUBER).sum(-1) / HUBER
    return torch.stack([error[:, group == i].mean() for i in range(len(GROUPS))])


def prior_loss(network: PriorNetwork, batch: Batch, jitter: Tensor) -> tuple[Losses, Decoded]:
    """Loss of a batch decoded at its true heading plus `jitter` [B] radians."""
    with torch.autocast("cpu", torch.bfloat16):
        features, logits, elevation = network.encode(batch.picture, batch.facts, batch.known)
        found = network.decode(features, batch.heading + jitter)
    weights = torch.tensor([PART_WEIGHTS[name] for name in GROUPS])
    points = (part_error(found.points, batch.points, network.group) * weights).sum() / weights.sum()
    target = heading_target(batch.heading, network.bin_headings())
    heading = -(target * F.log_softmax(logits.float(), 1)).sum(1).mean()
    tilt = F.smooth_l1_loss(elevation.float(), batch.facts[:, :2], beta=0.05) / 0.05
    return Losses(points, (found.colours - batch.colours).abs().mean() * 10, heading, tilt), found


def heading_target(heading: Tensor, bins: Tensor) -> Tensor:
    """[B, bins] soft one-hot targets of headings [B] (radians)."""
    distance = torch.rad2deg((heading[:, None] - bins + math.pi) % (2 * math.pi) - math.pi)
    return torch.softmax(-0.5 * (distance / HEADING_SOFT) ** 2, 1)


def learning_rate(step: int, config: TrainingConfig) -> float:
    """Warm-up, a constant stretch, and a linear fall to 0 over the last `cooldown` of the steps."""
    fall = max(int(config.cooldown * config.steps), 1)
    return config.learning_rate * min(warm_up(step, config.warmup), max((config.steps - step) / fall, 0.0))


class Trainer:
    """Network, optimiser and running average; `run` goes on from where the folder's checkpoint stands."""

    def __init__(self, folders: Sequence[Path], out: Path, config: TrainingConfig, seed: int, size: int) -> None:
        self.out, self.config, self.seed = out, config, seed
        self.rank, self.world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        if config.batch % self.world:
            raise ConfigError(
                "prior.training.batch must be divisible by the number of processes",
                got=f"{config.batch} by {self.world}",
            )
        self.shards = Shards(folders)
        torch.manual_seed(seed)
        template = build_template()
        self.network = PriorNetwork(NetworkConfig(size=size, points=len(template.vertices)))
        self.step, self.skipped, self.seconds = 0, 0, 0.0
        checkpoint = out / "checkpoint.pt"
        if not checkpoint.is_file():
            start_from_data(self.network, *self.shards.poses(step=max(len(self.shards) // 40000, 1)), template)
        self.network.to(memory_format=torch.channels_last)
        self.average = Average(self.network, config.ema, with_buffers=True)
        self.optimiser = torch.optim.AdamW(self._groups(), config.learning_rate, betas=(0.9, 0.98))
        if checkpoint.is_file():
            self._restore(load_checkpoint(checkpoint))

    def _groups(self) -> list[dict]:
        """Weight matrices decay, the rest does not; the bases, which start as principal components, learn slowly."""
        groups = {"decay": [], "plain": [], "basis": []}
        for name, parameter in self.network.named_parameters():
            kind = "basis" if "basis" in name else "decay" if parameter.ndim > 1 else "plain"
            groups[kind].append(parameter)
        return [
            {"params": groups["decay"], "weight_decay": self.config.weight_decay, "share": 1.0},
            {"params": groups["plain"], "weight_decay": 0.0, "share": 1.0},
            {"params": groups["basis"], "weight_decay": 0.0, "share": 0.03},
        ]

    def run(self, stop_after_s: float = math.inf) -> Path | None:
        """Train to the last step (or until the time is up) and return the weights file, None if there is more to do."""
        started, config = time.perf_counter(), self.config
        began = self.seconds
        share = config.batch // self.world
        batches = stream(self.shards, self.network.mirror, share, self.seed + 1000 * self.rank, self.step, config.known)
        self.network.train()
        while self.step < config.steps:
            losses = self._update(next(batches))
            self.seconds = began + time.perf_counter() - started
            timed_out = self._agree(time.perf_counter() - started > stop_after_s)
            if self.rank == 0 and self.step % 50 == 0:
                self._log(losses)
            if self.rank == 0 and (self.step % config.save_every == 0 or timed_out or self.step == config.steps):
                self._save()
            if timed_out:
                return None
        if self.rank:
            return None
        return export_weights(self.network, self.average.values, self.out / "weights.safetensors")

    def _agree(self, timed_out: bool) -> bool:
        """Whether any process's time is up; all of them stop after the same step."""
        if self.world == 1:
            return timed_out
        flag = torch.tensor([float(timed_out)])
        dist.all_reduce(flag)
        return bool(flag > 0)

    def _share_gradients(self) -> None:
        """Average the gradients over the processes."""
        gradients = [parameter.grad for parameter in self.network.parameters()]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.world
        for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients])):
            gradient.copy_(mean.view_as(gradient))

    def _update(self, batch: Batch) -> Losses:
        rng = np.random.default_rng([self.seed, 8, self.step, self.rank])
        jitter = torch.from_numpy(np.radians(rng.uniform(-15, 15, len(batch.heading))).astype(np.float32))
        set_rate(self.optimiser, learning_rate(self.step, self.config))
        losses, _ = prior_loss(self.network, batch, jitter)
        losses.total.backward()
        if self.world > 1:
            self._share_gradients()
        _, applied = guarded_step(self.optimiser, self.network.parameters(), self.config.clip)
        self.step += 1
        self.skipped += not applied
        check_applied(self.step - self.skipped, self.skipped, GUARD_AFTER, GUARD_LEAST, GUARD_HINT)
        self.average.update(self.network, self.step)
        return losses

    def _log(self, losses: Losses) -> None:
        row = {"step": self.step, "seconds": round(self.seconds, 1), "rate": learning_rate(self.step - 1, self.config)}
        row |= {name: round(getattr(losses, name).item(), 4) for name in ("points", "colours", "heading", "elevation")}
        with (self.out / "log.jsonl").open("a") as stream_:
            stream_.write(json_text(row) + "\n")

    def _save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "average": self.average.values,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "skipped": self.skipped,
            "seconds": self.seconds,
        }
        save_checkpoint(self.out / "checkpoint.pt", state)

    def _restore(self, state: dict) -> None:
        self.network.load_state_dict(state["network"])
        self.average.values = state["average"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.skipped, self.seconds = state["step"], state["skipped"], state["seconds"]


def export_weights(network: PriorNetwork, average: dict[str, Tensor], path: Path) -> Path:
    """Write the averaged weights in half precision as safetensors, sizes in the header."""
    from safetensors.torch import save_file

    tensors = {
        name: (value.half() if value.is_floating_point() else value.to(torch.int32)).contiguous()
        for name, value in average.items()
        if not name.endswith("num_batches_tracked")
    }
    with via(path, "weights") as temporary:
        save_file(tensors, temporary, metadata={"network": json_text(network.describe())})
    return path
