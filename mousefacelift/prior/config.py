"""Configuration of the single-picture prior: section `prior` of config.yaml."""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar

from mousefacelift.config import section


@section
class DataConfig:
    """Training pictures painted from procedural mice."""

    LEAST: ClassVar = {"individuals": 1, "poses": 1, "views": 1, "size": 16, "chunk": 1}

    individuals: int = 1600
    """animals; each has its own body, coat and motion"""
    poses: int = 10
    """per individual"""
    views: int = 8
    """per pose, each from its own random camera"""
    size: int = 80
    """edge of a picture in pixels; also the network's input size"""
    strands: int = 4000
    """hairs per animal"""
    elevation: tuple[float, float] = (-10.0, 60.0)
    """smallest and largest, degrees"""
    chunk: int = 64
    """individuals made by one job"""

    def __post_init__(self) -> None:
        if self.individuals % self.chunk or self.size % 16:
            raise ValueError(
                f"individuals {self.individuals} must be a multiple of chunk {self.chunk}, size {self.size} of 16"
            )


@section
class TrainingConfig:
    """How the network is trained."""

    LEAST: ClassVar = {"batch": 1, "save_every": 1}

    MOST: ClassVar = {"ema": 1.0, "known": 1.0, "cooldown": 1.0}

    steps: int = 4500
    """optimiser updates"""
    batch: int = 192
    """pictures per update"""
    learning_rate: float = 1.0e-3
    """of AdamW"""
    weight_decay: float = 0.02
    clip: float = 1.0
    """largest norm of the gradient"""
    warmup: int = 200
    """updates of linear warm-up"""
    cooldown: float = 0.4
    """share of the steps at the end over which the rate falls to 0"""
    known: float = 0.7
    """share of the pictures whose camera facts are shown; the others teach pictures of unknown cameras"""
    ema: float = 0.999
    """largest decay of the exponential moving average, which is what is kept"""
    save_every: int = 250
    """updates between checkpoints"""


@section
class AdaptConfig:
    """How the shipped network becomes the recording's own (generator kind `prior`)."""

    LEAST: ClassVar = {"fit_size": 8, "batch": 1, "max_frames": 1}

    weights: str = ""
    """file of the network to start from; "" takes the shipped one"""
    fit_steps: int = 60
    """of the multi-view fit of each train frame"""
    fit_size: int = 64
    """pixels of its renders"""
    worst: float = 2.5
    """frames whose fit is this many times worse than the median are not learnt from"""
    renders: int = 12
    """turned renders per train frame"""
    replay: int = 320
    """pictures of procedural mice"""
    shares: tuple[float, float, float] = (0.4, 0.35, 0.25)
    """of real photos, turned renders and replay in a batch"""
    steps: int = 120
    """updates; 0 uses the network as it is"""
    batch: int = 64
    """pictures per update"""
    learning_rate: float = 2.0e-4
    """of AdamW"""
    max_frames: int = 200
    """train frames used at most, evenly spaced"""
    view_steps: int = 30
    """of render-and-compare for every photo whose views are painted"""


@section
class PriorConfig:
    """The stage's settings."""

    data: DataConfig = field(default_factory=DataConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
