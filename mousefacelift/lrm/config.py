"""Configuration of training, prediction and reconstruction: the `train` and `reconstruct` sections of config.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mousefacelift.lrm.losses import LossConfig


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with linear warm-up and cosine decay to zero; published values but for the learning rate of `small`.

    Matrices are decayed, vectors are not. A step whose gradient norm before clipping is not finite or exceeds
    skip_norm is not applied; the schedule advances all the same.
    """

    learning_rate: float = 1.0e-3
    warmup_steps: int = 30
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    skip_norm: float = 20.0
    batch: int = 1  # samples per step, device and accumulation
    accumulate: int = 2  # batches per step


@dataclass(frozen=True)
class GuardConfig:
    """When training stops by itself.

    applied_ratio_min is the least share of steps that must be applied, judged from step `after` on. stop_on_collapse ends
    the run (exit code 3) when the collapse alarm has tripped at `patience` validations in a row after `alarm_after` of all
    steps; otherwise the alarm is only written down.
    """

    applied_ratio_min: float = 0.9
    after: int = 100
    stop_on_collapse: bool = False
    alarm_after: float = 0.5
    patience: int = 2


@dataclass(frozen=True)
class LaunchConfig:
    """Processes of one training job: one per leased GPU (--gpus) on each of `nodes` nodes.

    Without GPUs there are cpu_processes per node. More than one process in all starts torchrun, on several nodes through
    srun in the job's SLURM allocation; the processes meet on `port` of the first node.
    """

    nodes: int = 1
    cpu_processes: int = 1
    port: int = 29511


@dataclass(frozen=True)
class TrainConfig:
    """Section `train` of config.yaml: training of one reconstructor.

    init is a folder with model.safetensors and config.json (from `lrm import` or an earlier run): its weights are the
    start, and its sizes are used instead of the preset's. layers: `full` trains every weight, `frozen` keeps the first
    frozen_share of the transformer layers (and the patch embedder) fixed, `lora` trains low-rank additions to attention and
    MLP only. precision `auto` is bf16 on a GPU and fp32 on a CPU. validation_frames samples of validation_source in the val
    split are judged every validate_every steps. keep is the model that a finished run gives out: its `last` weights or the
    `best` by validation; the same for every arm of a sweep.
    """

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

    Each frame of `splits` is reconstructed from `inputs` seen cameras (fixed, far apart): protocol A renders all seen
    cameras, C the held-out one. Training frames, at most train_frames, give protocol B: the held-out camera at seen times.
    swaps repeats A and C with another frame's input images (the input-swap test); the first splats_kept predictions also
    keep their Gaussians as PLY. At most max_frames frames per split, evenly spread.
    """

    inputs: int = 4
    splits: tuple[Literal["val", "test"], ...] = ("val", "test")
    max_frames: int = 100
    train_frames: int = 6
    swaps: bool = True
    splats_kept: int = 3
