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
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from mousefacelift.core.training import (
    Average,
    check_applied,
    cosine_fall,
    guarded_step,
    load_checkpoint,
    save_checkpoint,
    set_rate,
    warm_up,
)
from mousefacelift.distill.config import TrainingConfig

PLAN_SKIP, PLAN_AFTER = 3, 15  # updates: the first are slower (caches fill), then the speed is measured
GUARD_AFTER, GUARD_LEAST = 50, 0.9  # updates, and the share of them that must have been applied
GUARD_HINT = "lower distill.generator.training.learning_rate or use bf16"


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
    decay = cosine_fall(min(1.0, step / max(1, planned)))
    return config.learning_rate * warm_up(step, config.warmup) * (0.02 + 0.98 * decay)


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
        DataError: the checkpoint cannot be read.
        GateFailure: too many updates were skipped because losses or gradients were not finite.
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
    set_rate(optimizer, learning_rate(state.step, state.planned or config.steps, config))
    total = 0.0
    for part in range(config.accumulate):
        with accelerator.autocast():
            loss = batch_loss(module, state.step * config.accumulate + part, accelerator.process_index)
        accelerator.backward(loss / config.accumulate)
        total += float(loss.detach()) / config.accumulate
    norm, applied = guarded_step(
        optimizer, module.parameters(), config.clip, accelerator=accelerator, is_good=math.isfinite(total)
    )
    state.skipped += not applied
    state.step += 1
    state.losses.append(total)
    state.norms.append(norm)
    check_applied(state.step - state.skipped, state.skipped, GUARD_AFTER, GUARD_LEAST, GUARD_HINT)


def _save(path: Path, key: str, module: nn.Module, optimizer, average: Average, state: TrainingState) -> None:
    trainable = {name: p.detach().cpu() for name, p in module.named_parameters() if p.requires_grad}
    document = {
        "key": key,
        "module": trainable,
        "optimizer": optimizer.state_dict(),
        "average": average.values,
        "state": vars(state),
    }
    save_checkpoint(path, document)


def _resume(path: Path, key: str, module: nn.Module, optimizer, average: Average) -> TrainingState:
    document = load_checkpoint(path)
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
