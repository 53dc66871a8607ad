"""Configuration of the single-picture prior: section `prior` of config.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class DataConfig:
    """Training pictures painted from procedural mice.

    Args:
        individuals: animals; each has its own body, coat and motion.
        poses: per individual. views: per pose, each from its own random camera.
        size: edge of a picture in pixels; also the network's input size.
        strands: hairs per animal.
        elevation: smallest and largest, degrees.
        chunk: individuals made by one job.
    """

    individuals: int = 2560
    poses: int = 10
    views: int = 8
    size: int = 80
    strands: int = 4000
    elevation: tuple[float, float] = (-10.0, 60.0)
    chunk: int = 64

    def __post_init__(self) -> None:
        if self.individuals % self.chunk or self.size % 16:
            raise ValueError(f"individuals {self.individuals} must be a multiple of chunk {self.chunk}, size {self.size} of 16")


@dataclass(frozen=True)
class TrainingConfig:
    """How the network is trained.

    Args:
        steps: optimiser updates. batch: pictures per update.
        learning_rate, weight_decay, clip: of AdamW and of the gradient norm.
        warmup: updates of linear warm-up. cooldown: share of the steps at the end over which the rate falls to 0.
        known: share of the pictures whose camera facts are shown; the others teach pictures of unknown cameras.
        ema: largest decay of the exponential moving average, which is what is kept.
        save_every: updates between checkpoints.
    """

    steps: int = 8000
    batch: int = 192
    learning_rate: float = 1.0e-3
    weight_decay: float = 0.02
    clip: float = 1.0
    warmup: int = 200
    cooldown: float = 0.3
    known: float = 0.7
    ema: float = 0.999
    save_every: int = 250


@dataclass(frozen=True)
class PriorConfig:
    """The stage's settings."""

    data: DataConfig = field(default_factory=DataConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
