"""Configuration of the distil stage: section `distill` of config.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class NetworkConfig:
    """Size of the `pose` denoiser.

    Args:
        size: image edge in pixels, a multiple of `pool`.
        pool: inputs are averaged over squares of this edge before the first layer; outputs are at full size.
        width: of the dense layers.
        encoder_blocks, blocks: residual blocks on the photo and on each wanted view.
    """

    size: int = 64
    pool: int = 2
    width: int = 384
    encoder_blocks: int = 2
    blocks: int = 3

    def __post_init__(self) -> None:
        if self.size < 8 or self.size % self.pool or self.width < 8:
            raise ValueError(
                f"size {self.size} must be a multiple of pool {self.pool} and at least 8, width {self.width} too"
            )


@dataclass(frozen=True)
class TrainingConfig:
    """How the generator is trained on the recording's own photos.

    Args:
        minutes: wall-clock budget; training stops at the first of `minutes` and `steps`.
        steps: optimiser updates.
        batch: input photos per update and process.
        views: wanted views per input photo and update.
        learning_rate, weight_decay, clip: of AdamW and of the gradient norm; cosine decay over the budget.
        warmup: updates of linear warm-up.
        full_noise: share of the photos that are trained at pure noise, where the pose is decided; the others get a time
            drawn uniformly. 1.0 suits a sampler of one step, which sees nothing else; more steps need less.
        snr_gamma: weight min(SNR, gamma)/SNR of the v loss; see the specification of the published training.
        foreground_weight: loss weight of pixels near the animal over background pixels.
        condition_drop: p; share of photos hidden from the pose generator; for the published one see
            `draw_condition_drop`.
        ema: largest decay of the exponential moving average; the average is what is saved and used.
        mirror: also learn from every frame mirrored together with its cameras.
        save_every: updates between checkpoints from which an interrupted training goes on exactly.
        mixed_precision: of the training arithmetic.
        max_frames: train frames used at most, evenly spaced.
        validation_frames: validation frames scored at most, evenly spaced.
        gradient_checkpointing, accumulate: less memory for more time (published generator).
        mode: full fine-tuning, or LoRA adapters of rank `lora_rank` (published generator only).
    """

    minutes: float = 1.5
    steps: int = 20000
    batch: int = 16
    views: int = 5
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    clip: float = 1.0
    warmup: int = 30
    full_noise: float = 1.0
    snr_gamma: float = 5.0
    foreground_weight: float = 4.0
    condition_drop: float = 0.02
    ema: float = 0.98
    mirror: bool = False
    save_every: int = 500
    mixed_precision: Literal["no", "fp16", "bf16"] = "no"
    mode: Literal["full", "lora"] = "full"
    lora_rank: int = 16
    gradient_checkpointing: bool = False
    accumulate: int = 1
    max_frames: int = 4000
    validation_frames: int = 12

    def __post_init__(self) -> None:
        if self.minutes <= 0 or min(self.steps, self.batch, self.views, self.save_every, self.accumulate) < 1:
            raise ValueError("minutes, steps, batch, views, save_every and accumulate must be positive")
        if not (0 <= self.full_noise <= 1 and 0 <= self.condition_drop <= 1 / 3):
            raise ValueError("full_noise must lie in 0..1 and condition_drop in 0..1/3")


@dataclass(frozen=True)
class SamplerConfig:
    """Steps, guidance and eta of the sampler. Published generator: 50, 3.0, 1.0; small: few steps, no guidance."""

    steps: int = 1
    guidance: float = 1.0
    eta: float = 0.0


@dataclass(frozen=True)
class DedupeConfig:
    """Which angles count as one, and who wins.

    Args:
        tolerance: degrees; angles of one cluster all lie within it of one another.
        weights: of agreement with the duplicates, hull IoU, and closeness to the input photo.
    """

    tolerance: float = 10.0
    weights: tuple[float, float, float] = (1.0, 1.0, 0.25)


@dataclass(frozen=True)
class GateConfig:
    """What a generated view must show to be kept.

    Args:
        quantile: share of the rig's own held-out photos that each threshold would refuse.
        slack: per score (containment, hull_iou, support, colour): the threshold is moved down from that quantile by
            this share of its distance to the median: frames of a clip resemble one another, so the lowest of them are
                not as
            low as new ones will be.
        voxels: hull grid along its longest axis.
        frames: train frames that the thresholds are learnt from, at most.
        coverage: smallest and largest foreground over that of the hull's silhouette.
        saturation: largest share of foreground pixels with a channel at 0 or 1.
        contrast: smallest standard deviation of the foreground's colour (a blank view has none).
        max_quarantine: share of refused views above which the command fails; 1.0 never fails.
    """

    quantile: float = 0.01
    slack: tuple[float, float, float, float] = (0.1, 0.5, 1.0, 0.5)
    voxels: int = 72
    frames: int = 40
    coverage: tuple[float, float] = (0.4, 1.6)
    saturation: float = 0.5
    contrast: float = 0.004
    max_quarantine: float = 1.0


@dataclass(frozen=True)
class NearestConfig:
    """Nearest filmed pose (generator `nearest`, and a rung of protocol S).

    Args:
        candidates: library views that are compared by rendering.
        refined: the best of them that are fitted to the picture.
        steps: Gauss-Newton steps of a fit at most.
    """

    candidates: int = 8
    refined: int = 3
    steps: int = 12

    def __post_init__(self) -> None:
        if not 1 <= self.refined <= self.candidates or self.steps < 0:
            raise ValueError("refined must lie in 1..candidates, and steps must not be negative")


@dataclass(frozen=True)
class GeneratorConfig:
    """The generator itself: what is trained, and how it is asked.

    Args:
        kind: pose (the project's own), facelift (a published pipeline folder), zero123plus, or nearest (the filmed pose
            that explains the photo best; needs no training).
        weights: folder of the published weights (facelift, zero123plus).
        prompt_embeddings: file of the published per-view prompt embeddings (facelift).
        precision: of the published generators' arithmetic.
        network: size of the `pose` generator.
    """

    kind: Literal["pose", "facelift", "zero123plus", "nearest"] = "pose"
    weights: str = ""
    prompt_embeddings: str = ""
    precision: Literal["fp32", "fp16", "bf16"] = "fp32"
    network: NetworkConfig = field(default_factory=NetworkConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)

    def __post_init__(self) -> None:
        if self.kind == "pose" and self.sampler.steps > 1 and self.training.full_noise == 1:
            raise ValueError(
                "sampler.steps above 1 needs training.full_noise below 1: later steps see less than pure noise"
            )


@dataclass(frozen=True)
class ViewsConfig:
    """Which views are asked for, and which of them are kept.

    Args:
        view_set: name in `distill/view_sets.py`, or "custom" with `azimuths`.
        azimuths: degrees relative to the input photo, for "custom".
        elevation: degrees above the horizon of the wanted views ("custom"); null asks for the input's own.
        output_size: edge of the written images; 0 keeps the photos' size, -1 the generator's own.
        batch_inputs: photos per generator call; 1 makes every view bit-identical when it is made alone.
    """

    view_set: str = "sixty_between"
    azimuths: tuple[float, ...] = ()
    elevation: float | None = 15.0
    output_size: int = 0
    batch_inputs: int = 1
    dedupe: DedupeConfig = field(default_factory=DedupeConfig)

    def __post_init__(self) -> None:
        if (self.view_set == "custom") != bool(self.azimuths):
            raise ValueError("view_set 'custom' needs azimuths, and azimuths need view_set 'custom'")
        if self.output_size < -1 or self.batch_inputs < 1:
            raise ValueError("output_size must be -1, 0 or a size in pixels, and batch_inputs at least 1")


@dataclass(frozen=True)
class DistillConfig:
    """Section `distill`: the generator, its views, the gate that judges them, and the nearest filmed pose."""

    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    views: ViewsConfig = field(default_factory=ViewsConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    nearest: NearestConfig = field(default_factory=NearestConfig)
