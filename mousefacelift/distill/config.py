"""Configuration of the distil stage: section `distill` of config.yaml."""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar, Literal

from mousefacelift.config import section
from mousefacelift.distill.generators import KINDS
from mousefacelift.prior.config import AdaptConfig


@section
class NetworkConfig:
    """Size of the `pose` denoiser."""

    LEAST: ClassVar = {"pool": 1}

    size: int = 64
    """image edge in pixels, a multiple of `pool`"""
    pool: int = 2
    """inputs are averaged over squares of this edge before the first layer; outputs are at full size"""
    width: int = 384
    """of the dense layers"""
    encoder_blocks: int = 2
    """residual blocks on the photo and on each wanted view"""
    blocks: int = 3

    def __post_init__(self) -> None:
        if self.size < 8 or self.size % self.pool or self.width < 8:
            raise ValueError(
                f"size {self.size} must be a multiple of pool {self.pool} and at least 8, width {self.width} too"
            )


@section
class TrainingConfig:
    """How the generator is trained on the recording's own photos."""

    LEAST: ClassVar = {"max_frames": 1}

    minutes: float = 60.0
    """wall-clock budget; training stops at the first of `minutes` and `steps`"""
    steps: int = 250
    """optimiser updates"""
    batch: int = 16
    """input photos per update and process"""
    views: int = 5
    """wanted views per input photo and update"""
    learning_rate: float = 1e-3
    """of AdamW and of the gradient norm; cosine decay over the budget"""
    weight_decay: ClassVar[float] = 0.05
    clip: ClassVar[float] = 1.0
    warmup: int = 30
    """updates of linear warm-up"""
    full_noise: float = 1.0
    """share of the photos that are trained at pure noise, where the pose is decided; the others get a time drawn
    uniformly. 1.0 suits a sampler of one step, which sees nothing else; more steps need less"""
    snr_gamma: ClassVar[float] = 5.0
    """weight min(SNR, gamma)/SNR of the v loss; see the specification of the published training"""
    foreground_weight: ClassVar[float] = 4.0
    """loss weight of pixels near the animal over background pixels"""
    condition_drop: float = 0.02
    """p; share of photos hidden from the pose generator; for the published one see `draw_condition_drop`"""
    ema: ClassVar[float] = 0.98
    """largest decay of the exponential moving average; the average is what is saved and used"""
    mirror: bool = False
    """also learn from every frame mirrored together with its cameras"""
    save_every: int = 500
    """updates between checkpoints from which an interrupted training goes on exactly"""
    mixed_precision: Literal["no", "fp16", "bf16"] = "no"
    """of the training arithmetic"""
    mode: Literal["full", "lora"] = "full"
    """full fine-tuning, or LoRA adapters of rank `lora_rank` (published generator only)"""
    lora_rank: int = 16
    gradient_checkpointing: bool = False
    """less memory for more time (published generator)"""
    accumulate: int = 1
    max_frames: int = 4000
    """train frames used at most, evenly spaced"""
    validation_frames: int = 12
    """validation frames scored at most, evenly spaced"""

    def __post_init__(self) -> None:
        if self.minutes <= 0 or min(self.steps, self.batch, self.views, self.save_every, self.accumulate) < 1:
            raise ValueError("minutes, steps, batch, views, save_every and accumulate must be positive")
        if not (0 <= self.full_noise <= 1 and 0 <= self.condition_drop <= 1 / 3):
            raise ValueError("full_noise must lie in 0..1 and condition_drop in 0..1/3")


@section
class SamplerConfig:
    """Steps, guidance and eta of the sampler. Published generator: 50, 3.0, 1.0; small: few steps, no guidance."""

    LEAST: ClassVar = {"steps": 1}

    steps: int = 1
    guidance: float = 1.0
    eta: float = 0.0


@section
class DedupeConfig:
    """Which angles count as one, and who wins."""

    tolerance: float = 10.0
    """degrees; angles of one cluster all lie within it of one another"""
    weights: tuple[float, float, float] = (1.0, 1.0, 0.25)
    """of agreement with the duplicates, hull IoU, and closeness to the input photo"""


@section
class GateConfig:
    """What a generated view must show to be kept."""

    MOST: ClassVar = {"quantile": 1.0, "max_quarantine": 1.0}
    LEAST: ClassVar = {"voxels": 8, "frames": 1}

    quantile: float = 0.01
    """share of the rig's own held-out photos that each threshold would refuse"""
    slack: tuple[float, float, float, float] = (0.1, 0.5, 1.0, 0.5)
    """per score (inside_share, hull_iou, support, colour): the threshold is moved down from that quantile by this share
    of its distance to the median: frames of a clip resemble one another, so the lowest of them are not as low as new
    ones will be"""
    voxels: int = 72
    """hull grid along its longest axis"""
    frames: int = 40
    """train frames that the thresholds are learnt from, at most"""
    coverage: ClassVar[tuple[float, float]] = (0.4, 1.6)
    """smallest and largest foreground over that of the hull's silhouette"""
    saturation: ClassVar[float] = 0.5
    """largest share of foreground pixels with a channel at 0 or 1"""
    contrast: ClassVar[float] = 0.004
    """smallest standard deviation of the foreground's colour (a blank view has none)"""
    max_quarantine: float = 1.0
    """share of refused views above which the command fails; 1.0 never fails"""


@section
class NearestConfig:
    """Nearest filmed pose (generator `nearest`, and a rung of protocol S)."""

    candidates: int = 8
    """library views that are compared by rendering"""
    refined: int = 3
    """the best of them that are fitted to the picture"""
    steps: int = 12
    """Gauss-Newton steps of a fit at most"""

    def __post_init__(self) -> None:
        if not 1 <= self.refined <= self.candidates or self.steps < 0:
            raise ValueError("refined must lie in 1..candidates, and steps must not be negative")


@section
class GeneratorConfig:
    """The generator itself: what is trained, and how it is asked."""

    kind: Literal[*KINDS] = "prior"
    """prior (the project's own single-picture model, adapted to the recording), pose (a small network that learns from
    the recording alone), facelift (a published pipeline folder), zero123plus, or nearest (the filmed pose that
    explains the photo best; needs no training)"""
    weights: str = ""
    """folder of the published weights (facelift, zero123plus)"""
    prompt_embeddings: str = ""
    """file of the published per-view prompt embeddings (facelift)"""
    precision: Literal["fp32", "fp16", "bf16"] = "fp32"
    """of the published generators' arithmetic"""
    prior: AdaptConfig = field(default_factory=AdaptConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """size of the `pose` generator"""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)

    def __post_init__(self) -> None:
        if self.kind == "pose" and self.sampler.steps > 1 and self.training.full_noise == 1:
            raise ValueError(
                "sampler.steps above 1 needs training.full_noise below 1: later steps see less than pure noise"
            )


@section
class ViewsConfig:
    """Which views are asked for, and which of them are kept."""

    LEAST: ClassVar = {"elevation": -90.0, "output_size": -1}

    view_set: str = "sixty_between"
    """name in `distill/view_sets.py`, or "custom" with `azimuths`"""
    azimuths: tuple[float, ...] = ()
    """degrees relative to the input photo, for "custom"
    """
    elevation: float | None = 15.0
    """degrees above the horizon of the wanted views ("custom"); null asks for the input's own"""
    output_size: int = 0
    """edge of the written images; 0 keeps the photos' size, -1 the generator's own"""
    batch_inputs: int = 0
    """photos per generator call, of several frames where they fit; 0: as many as are fastest (`prior`: up to 40), or
    one; 1 makes every view bit-identical when it is made alone"""
    dedupe: DedupeConfig = field(default_factory=DedupeConfig)

    def __post_init__(self) -> None:
        if (self.view_set == "custom") != bool(self.azimuths):
            raise ValueError("view_set 'custom' needs azimuths, and azimuths need view_set 'custom'")
        if self.output_size < -1 or self.batch_inputs < 0:
            raise ValueError("output_size must be -1, 0 or a size in pixels, and batch_inputs 0 or more")


@section
class DistillConfig:
    """Section `distill`: the generator, its views, the gate that judges them, and the nearest filmed pose."""

    recordings: tuple[str, ...] = ()
    """recordings that the generator and its gate learn from; empty for all. With names, a recording that is added later
    is painted by what is there: nothing is trained again, and no other recording is painted again"""
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    views: ViewsConfig = field(default_factory=ViewsConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    nearest: NearestConfig = field(default_factory=NearestConfig)
