"""The training loop of a generator: accelerate, AdamW, EMA, checkpoints from which it goes on exactly.

    mousefacelift distill train --frames INDEX.json ... --splits SPLITS.json --out results/distill/generator

Reads capture chunks and splits.json; writes model.safetensors, losses.csv, validation.json, validation.png and last
generator.json. Every random draw is a function of (seed, step), so a resumed run repeats what the killed one would have
done. With a time budget the number of updates is planned once, from the speed of the first ones, and kept in the
checkpoint: learning rates depend on the update number alone.
"""

from __future__ import annotations

import csv
import math
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from mousefacelift.core.files import via
from mousefacelift.distill.config import TrainingConfig
from mousefacelift.errors import DataError

PLAN_SKIP, PLAN_AFTER = 3, 15  # updates: the first are slower (caches fill), then the speed is measured


@dataclass
class TrainingState:
    """What a checkpoint holds beside the arrays."""

    step: int = 0
    planned: int | None = None
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    skipped: int = 0
    elapsed_s: float = 0.0


def learning_rate(step: int, planned: int, config: TrainingConfig) -> float:
    """Linear warm-up, then cosine to 2% at the last planned update."""
    warm = min(1.0, (step + 1) / max(1, config.warmup))
    decay = 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, planned))))
    return config.learning_rate * warm * (0.02 + 0.98 * decay)


class Average:
    """Exponential moving average of trainable parameters; decay min(limit, (1 + n) / (10 + n)), as diffusers'
    EMAModel."""

    def __init__(self, module: nn.Module, limit: float) -> None:
        self.limit = limit
        self.values = {name: p.detach().clone() for name, p in module.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        decay = min(self.limit, (1 + step) / (10 + step))
        for name, parameter in module.named_parameters():
            if name in self.values:
                self.values[name].lerp_(parameter.detach().to(self.values[name].dtype), 1 - decay)

    @torch.no_grad()
    def copy_to(self, module: nn.Module) -> None:
        for name, parameter in module.named_parameters():
            if name in self.values:
                parameter.copy_(self.values[name])


def train(
    module: nn.Module,
    batch_loss: Callable[[nn.Module, int, int], Tensor],
    config: TrainingConfig,
    checkpoint: Path,
    key: str,
) -> TrainingState:
    """Train `module` in place (its parameters are the average at the end) and return what happened.

    Args:
        batch_loss: (module, batch number, process number) -> scalar loss; a pure function of its arguments.
        checkpoint: file to resume from and to write to.
        key: hash of all that decides the result; a checkpoint with another key is not touched and not used.
    Raises:
        DataError: the checkpoint cannot be read, or the losses stop being finite.
    """
    from accelerate import Accelerator

    accelerator = Accelerator(mixed_precision=config.mixed_precision, cpu=not torch.cuda.is_available())
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters,
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        betas=(0.9, 0.99 if config.mode == "full" else 0.999),
        foreach=True,
    )
    state, average = TrainingState(), Average(module, config.ema)
    if checkpoint.exists():
        state = _resume(checkpoint, key, module, optimizer, average)
    wrapped, optimizer = accelerator.prepare(module, optimizer)
    average.values = {name: value.to(accelerator.device) for name, value in average.values.items()}
    started, spent = time.monotonic(), state.elapsed_s
    first = state.step
    progress = tqdm(
        total=state.planned or config.steps, initial=state.step, desc="train", unit="update", mininterval=2.0
    )
    while state.step < (state.planned or config.steps):
        if state.planned is None and state.step == first + PLAN_SKIP:
            started = time.monotonic()  # a resumed plan is already known; here the slow first updates do not count
        if state.planned is None and state.step >= first + PLAN_AFTER:
            per_step = (time.monotonic() - started) / (state.step - first - PLAN_SKIP)
            state.planned = min(config.steps, max(state.step + 1, int(config.minutes * 60 / per_step)))
            progress.total = state.planned
        _update(accelerator, wrapped, optimizer, batch_loss, config, state)
        average.update(accelerator.unwrap_model(wrapped), state.step)
        progress.update()
        state.elapsed_s = spent + time.monotonic() - started
        if state.step % config.save_every == 0 and accelerator.is_main_process:
            _save(checkpoint, key, accelerator.unwrap_model(wrapped), optimizer, average, state)
    progress.close()
    average.copy_to(accelerator.unwrap_model(wrapped))
    return state


def _update(
    accelerator, module: nn.Module, optimizer, batch_loss, config: TrainingConfig, state: TrainingState
) -> None:
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(state.step, state.planned or config.steps, config)
    total = 0.0
    for part in range(config.accumulate):
        with accelerator.autocast():
            loss = batch_loss(module, state.step * config.accumulate + part, accelerator.process_index)
        accelerator.backward(loss / config.accumulate)
        total += float(loss.detach()) / config.accumulate
    norm = float(accelerator.clip_grad_norm_(module.parameters(), config.clip))
    if np.isfinite(total) and np.isfinite(norm):
        optimizer.step()
    else:
        state.skipped += 1
    optimizer.zero_grad(set_to_none=True)
    state.step += 1
    state.losses.append(total)
    state.norms.append(norm)
    if state.step >= 50 and state.skipped > 0.1 * state.step:
        raise DataError(
            "training is not going anywhere",
            got=f"{state.skipped} of {state.step} updates skipped",
            expected="at least 90% applied",
            likely="a learning rate too high, or fp16 overflow",
            hint="lower distill.generator.training.learning_rate or use bf16",
        )


def _save(path: Path, key: str, module: nn.Module, optimizer, average: Average, state: TrainingState) -> None:
    trainable = {name: p.detach().cpu() for name, p in module.named_parameters() if p.requires_grad}
    document = {
        "key": key,
        "module": trainable,
        "optimizer": optimizer.state_dict(),
        "average": average.values,
        "state": vars(state),
    }
    with via(path, "checkpoint") as temporary:
        torch.save(document, temporary)


def _resume(path: Path, key: str, module: nn.Module, optimizer, average: Average) -> TrainingState:
    try:
        document = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise DataError(f"checkpoint {path} cannot be read", got=str(error), hint="delete it to start over") from error
    if document["key"] != key:
        return TrainingState()  # of another configuration or other data: the run counts its own updates from zero
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for name, value in document["module"].items():
            parameters[name].copy_(value)
    optimizer.load_state_dict(document["optimizer"])
    average.values = document["average"]
    return TrainingState(**document["state"])


def write_losses(path: Path, state: TrainingState, config: TrainingConfig) -> None:
    """One line per update: step, loss, gradient norm, learning rate."""
    with open(path, "w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["step", "loss", "grad_norm", "learning_rate"])
        for step, (loss, norm) in enumerate(zip(state.losses, state.norms, strict=True)):
            rate = learning_rate(step, state.planned or config.steps, config)
            rows.writerow([step, f"{loss:.6g}", f"{norm:.6g}", f"{rate:.6g}"])
