"""Configuration of training, prediction and reconstruction: the `train` and `reconstruct` sections of config.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mousefacelift.lrm.losses import LossConfig


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with linear warm-up and cosine decay to zero; published values but for rate and warm-up, which suit
    `small`.

    Args:
        learning_rate: at the peak (published: 4e-4 from scratch, 1e-4 afterwards).
        warmup_steps: of linear rise.
        betas: of AdamW.
        weight_decay: of matrices; vectors are not decayed.
        clip_norm: gradients are scaled down to this norm.
        skip_norm: a step whose norm before clipping is larger or not finite is not applied; the schedule goes on.
        batch: samples per device and accumulation.
        accumulate: batches per step.
    """

    learning_rate: float = 1.0e-3
    warmup_steps: int = 30
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    skip_norm: float = 20.0
    batch: int = 1
    accumulate: int = 2


@dataclass(frozen=True)
class GuardConfig:
    """When training stops by itself.

    Args:
        applied_ratio_min: least share of steps whose update must be applied.
        after: step from which that is judged.
        stop_on_collapse: a lasting collapse alarm ends the run (exit code 3); otherwise it is only written down.
        alarm_after: share of the run after which the alarm counts.
        patience: validations in a row that must trip.
    """

    applied_ratio_min: float = 0.9
    after: int = 100
    stop_on_collapse: bool = False
    alarm_after: float = 0.5
    patience: int = 2


@dataclass(frozen=True)
class LaunchConfig:
    """Processes of one training job: one per leased GPU (--gpus) on each of `nodes` nodes.

    More than one process in all starts torchrun, on several nodes through srun in the job's SLURM allocation.

    Args:
        nodes: of the SLURM allocation.
        cpu_processes: per node, without GPUs.
        port: on which the processes meet, on the first node.
    """

    nodes: int = 1
    cpu_processes: int = 1
    port: int = 29511


@dataclass(frozen=True)
class TrainConfig:
    """Section `train` of config.yaml: training of one reconstructor.

    Args:
        model: gslrm, or lgm: a U-Net that gives free Gaussians at half the resolution.
        preset: sizes of the network; of gslrm: facelift (published), base, small or tiny; of lgm: big (published),
            small or tiny; those of init, if that is given ("" takes any).
        init: folder with model.safetensors and config.json (from `lrm import` or an earlier run) to start from.
        layers: full trains every weight, frozen keeps the first layers fixed, lora trains low-rank additions only.
        frozen_share: of the transformer layers, with layers frozen.
        lora_rank: of the additions to attention and MLP, with layers lora.
        steps: optimiser steps (of the reference arm, when mixture.exposure is mouse).
        precision: auto is bf16 on a GPU and on a CPU with AVX512-BF16 or AMX, else fp32.
        compile: torch.compile of the transformer layers.
        checkpoint_activations: recompute the layers in the backward pass; less memory, more time.
        validate_every: steps between validations.
        validation_frames: samples of the val split that are judged, evenly spread.
        validation_source: source of those samples.
        save_every: steps between checkpoints.
        keep_last: checkpoints kept besides the best by validation.
        keep: weights that a finished run gives out, last or best by validation; the same for every arm of a sweep.
        workers: processes that load data; 0 loads in the training process.
        log_every: steps between rows of metrics.csv.
        trackers: of accelerate, for instance tensorboard or wandb.
    """

    model: Literal["gslrm", "lgm"] = "gslrm"
    preset: str = "small"
    init: str = ""
    layers: Literal["full", "frozen", "lora"] = "full"
    frozen_share: float = 0.75
    lora_rank: int = 16
    steps: int = 400
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    compile: bool = False
    checkpoint_activations: bool = False
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    guards: GuardConfig = field(default_factory=GuardConfig)
    validate_every: int = 100
    validation_frames: int = 12
    validation_source: Literal["real", "distilled", "splat", "object", "scan"] = "real"
    save_every: int = 100
    keep_last: int = 2
    keep: Literal["last", "best"] = "last"
    workers: int = 0
    log_every: int = 10
    trackers: tuple[str, ...] = ("tensorboard",)
    launch: LaunchConfig = field(default_factory=LaunchConfig)


@dataclass(frozen=True)
class PredictConfig:
    """Section `predict` of config.yaml: what a trained model is asked to reconstruct for its evaluation.

    Protocol A renders all seen cameras at new times, C the held-out camera at new times, B the held-out camera at times
    seen in training.

    Args:
        inputs: seen cameras shown to the network: fixed, far apart.
        splits: splits whose frames are reconstructed for A and C.
        max_frames: of each split, evenly spread.
        train_frames: training frames for protocol B.
        swaps: also another frame's images with these cameras (input-swap test).
        splats_kept: predictions that keep their Gaussians as splat.ply.
    """

    inputs: int = 4
    splits: tuple[Literal["val", "test"], ...] = ("val", "test")
    max_frames: int = 100
    train_frames: int = 6
    swaps: bool = True
    splats_kept: int = 3
