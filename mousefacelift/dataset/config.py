"""Configuration of the dataset stage (`dataset:`), of the training mixture (`mixture:`) and of the loader
(`loader:`)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from mousefacelift.config import section
from mousefacelift.core.reconstructors import PRESET_NAMES
from mousefacelift.core.sources import MOUSE_SOURCES
from mousefacelift.errors import ConfigError

ONLY = tuple(f"{source}-only" for source in MOUSE_SOURCES)
CONTROL_ARMS = (*ONLY, "no-synthetic", "distortion-only")


@section
class SplitConfig:
    """How frames become train, val and test."""

    MOST: ClassVar = {"guard_frames_max_share": 1.0}

    by: Literal["time", "recording", "subject"] = "time"
    """`time`: contiguous blocks of every recording; `recording` or `subject`: whole recordings or animals"""
    train: float = 0.7
    """shares of the frames (by time); they sum to 1"""
    val: float = 0.15
    test: float = 0.15
    blocks: int = 1
    """rounds of train, val and test blocks in a recording; 1 is one block each"""
    guard_s: float = 0.2
    """least guard gap in seconds; the measured correlation time is used where it is longer"""
    guard_frames_max_share: float = 0.6
    """largest share of a recording that guards may take before the split is refused"""
    held_out_camera: int | str | None = 5
    """number or name of the camera whose views are never used in training (protocols B and C); null for none"""
    val_names: tuple[str, ...] = ()
    """recordings or subjects of those splits when `by` is not `time`"""
    test_names: tuple[str, ...] = ()
    subjects: dict[str, str] = field(default_factory=dict)
    """recording -> animal; a recording that is not named is its own animal"""
    object_val: float = 0.1
    """shares of objects and scans kept out of training, chosen by a hash of their name"""
    object_test: float = 0.1

    def __post_init__(self) -> None:
        if min(self.train, self.val, self.test) < 0 or abs(self.train + self.val + self.test - 1) > 1e-6:
            raise ValueError(f"train + val + test is {self.train + self.val + self.test:g}, not 1")
        if not 0 <= self.object_val + self.object_test < 1:
            raise ValueError("object_val + object_test leaves no object for training")
        if self.blocks < 1 or self.guard_s < 0:
            raise ValueError("blocks must be 1 or more and guard_s not negative")
        if self.by == "time" and (self.val_names or self.test_names):
            raise ValueError("val_names and test_names are of splits by recording or subject, and `by` is time")


@section
class GateConfig:
    """The geometry gate at the door of the dataset; what a source must reach stands in `core.sources`."""

    LEAST: ClassVar = {"mask_size": 8}

    resolution: ClassVar[int] = 64
    """voxels along the edge of the carved cube"""
    mask_size: int = 96
    """silhouettes are judged at this many pixels"""
    margin: ClassVar[float] = 1.0
    """voxels a thin part may lie outside a silhouette"""
    half_extent: ClassVar[float] = 1.0
    """the animal lies in [-half_extent, half_extent]^3, world units"""
    outside_share_max: ClassVar[float] = 0.05
    """largest share of a silhouette that only a body outside that cube can explain"""
    z_min: ClassVar[float] = 0.2
    """every corner of the animal is at least this far in front of every camera, world units"""
    border_share_max: ClassVar[float] = 0.0
    """largest share of the image's border pixels that may be foreground (an animal cut by the frame)"""
    focal_aspect_tolerance: ClassVar[float] = 0.03
    """largest |fx / fy - 1|"""
    distance_min: ClassVar[float] = 1.2
    """allowed camera distances from the origin, world units"""
    distance_max: ClassVar[float] = 40.0  # telephoto cameras; millimetres begin at about 60


@section
class DatasetConfig:
    """Section `dataset` of config.yaml."""

    MOST: ClassVar = {"refuse_share_max": 1.0}

    splits: SplitConfig = SplitConfig()
    gate: GateConfig = GateConfig()
    attach_real_views: bool = True
    """a distilled or splat sample also offers the real photos of its frame (by index, nothing is copied)"""
    refuse_share_max: float = 0.5
    """largest share of a source's samples that the gate may refuse before the build itself fails"""


@section
class Phase:
    """One stretch of the curriculum."""

    until: float
    """end of the phase as a share of the run, (0, 1]; the last phase ends at 1"""
    mouse: tuple[float, float]
    """factors on the arm's mouse share at the start and at the end of the phase, linear between"""


@section
class MouseShares:
    """How the mouse share of an arm is divided; sums to 1."""

    real: float = 0.5
    distilled: float = 0.25
    splat: float = 0.25

    def __post_init__(self) -> None:
        if min(self.real, self.distilled, self.splat) < 0 or abs(self.real + self.distilled + self.splat - 1) > 1e-6:
            raise ValueError("real, distilled and splat must not be negative and sum to 1")


@section
class MixtureConfig:
    """Section `mixture` of config.yaml: what the optimiser sees, when."""

    mouse: MouseShares = MouseShares()
    """division of an arm's mouse share"""
    scan_share: float = 0.0
    """share of the object part given to scans"""
    phases: tuple[Phase, ...] = (Phase(0.2, (0.0, 0.0)), Phase(0.6, (1.0, 1.0)), Phase(1.0, (1.0, 2.0)))
    """piecewise schedule over the run. The default (objects only, mixed, mouse rising to double) averages to 1, so that
    the whole run sees the arm's ratio; a schedule that does not is allowed, and its mean is reported"""
    exposure: Literal["steps", "mouse"] = "steps"
    """`steps`: every arm runs the same steps; `mouse`: every arm sees as many mouse samples as `reference_arm`"""
    reference_arm: str = "80-20"
    """arm whose object share controls use and whose mouse exposure is the reference"""
    use_sample_weights: bool = True
    """draw samples of a source in proportion to their weight (consistency scores)"""

    def __post_init__(self) -> None:
        ends = [phase.until for phase in self.phases]
        if not ends or any(b <= a for a, b in zip([0.0, *ends], ends)) or abs(ends[-1] - 1) > 1e-9:
            raise ValueError(f"phases must end at rising shares of the run, the last at 1; they end at {ends}")
        if any(min(phase.mouse) < 0 for phase in self.phases):
            raise ValueError("a phase has a negative mouse factor")
        if not 0 <= self.scan_share <= 1:
            raise ValueError("scan_share lies outside [0, 1]")


def arm_percentages(name: str) -> tuple[float, float]:
    """Shares of objects and of mice of an arm called `OBJECTS-MOUSE`, in [0, 1].

    Raises:
        ConfigError: not such a name, or percentages that do not sum to 100.
    """
    match = re.fullmatch(r"(\d{1,3})-(\d{1,3})", name)
    if match is None:
        raise ConfigError(
            f"arm '{name}' is not known",
            expected=f"OBJECTS-MOUSE in percent such as 80-20, or one of {', '.join(CONTROL_ARMS)}",
        )
    objects, mouse = int(match[1]) / 100, int(match[2]) / 100
    if abs(objects + mouse - 1) > 1e-9:
        raise ConfigError(
            f"arm '{name}' does not sum to 100",
            got=f"{match[1]} + {match[2]} = {int(match[1]) + int(match[2])}",
            likely="the two percentages are objects and mouse; the mouse part is divided by mixture.mouse",
        )
    return objects, mouse


def split_arm(name: str) -> tuple[str, str]:
    """The mixture that an arm trains on and the reconstructor that it trains: ("80-20", "lgm") of `80-20.lgm`; without
    a dot the configured reconstructor, ""."""
    mixture, _, model = name.partition(".")
    return mixture, model


def check_arm_name(name: str) -> None:
    """Raise ConfigError unless `name` is an arm's."""
    mixture, _ = split_arm(name)
    if mixture not in CONTROL_ARMS:
        arm_percentages(mixture)


def check_arm_model(arm: str, configured: str, preset: str, init: str) -> None:
    """Raise ConfigError unless the reconstructor that an arm's name asks for can be trained with `train.preset` and
    `train.init`."""
    _, model = split_arm(arm)
    if not model:
        return
    if model not in PRESET_NAMES:
        raise ConfigError(
            f"arm '{arm}' names a reconstructor that there is not", got=model, expected=", ".join(PRESET_NAMES)
        )
    if init and model != configured:
        raise ConfigError(
            f"arm '{arm}' cannot start from 'train.init', which is for {configured}",
            got=init,
            hint='train.init: "", or an arm without another reconstructor',
        )
    if preset not in PRESET_NAMES[model]:
        raise ConfigError(
            f"arm '{arm}' has no sizes called '{preset}' ('train.preset')",
            expected=f"one of {', '.join(PRESET_NAMES[model])}, which {model} has",
        )


@dataclass(frozen=True)
class ArmConfig:
    """One cell of the sweep: shares per source at factor 1, summing to 1.

    Args:
        curriculum: whether the phases apply (not to arms without objects, which have nothing to trade against).
        distortion: grid distortion and camera jitter on the input views (the control that replaces synthetic mice).
    """

    name: str
    shares: dict[str, float]
    curriculum: bool = True
    distortion: bool = False

    @property
    def mouse_share(self) -> float:
        """Share of real, distilled and splat samples together."""
        return sum(self.shares.get(source, 0.0) for source in MOUSE_SOURCES)


@section
class AugmentConfig:
    """Augmentations that keep images and cameras consistent."""

    MOST: ClassVar = {"mirror": 1.0, "grid_distortion": 1.0}

    yaw: bool = True
    """turn the world about +z by a random angle (all cameras together; no pixel changes)"""
    mirror: float = 0.5
    """probability of mirroring images *and* cameras"""
    brightness: float = 0.1
    """largest relative change, one draw shared by all views of a sample"""
    contrast: float = 0.1
    saturation: float = 0.1
    distort_inputs: bool = False
    """LGM's grid distortion and camera jitter of the input views but the first, each for half of the samples, in every
    arm and not only in `distortion-only`"""
    grid_distortion: float = 0.5
    """strength of the grid distortion; published 0.5"""
    camera_jitter: float = 1.0
    """factor on the published jitter, which swings a camera by up to 18 and 9 degrees"""


@section
class LoaderConfig:
    """Section `loader` of config.yaml: from manifest rows to tensors."""

    LEAST: ClassVar = {"background": 0.0}

    MOST: ClassVar = {"background": 1.0}

    image_size: int = 128
    """edge of the square images, pixels"""
    inputs: tuple[int, int] = (3, 5)
    """least and most input views; one number is drawn per step, the same for the whole batch. Where a sample of the
    step has too few views for it and its unseen targets, the step shows as many as that sample can: 4 of a rig of six
    cameras of which one is held out"""
    targets: int = 4
    """target views of a sample"""
    unseen_targets: int = 1
    """at least so many of them are not inputs"""
    protocol: Literal["random", "overlap"] = "random"
    """`random`, or `overlap`: targets share 60 degrees of view direction with an input"""
    background: Literal["random", "white", "black", "gray", "three_choices"] | float = "random"
    """behind the images and for the renderer: a name, `random` (one colour a sample) or a grey value"""
    keep_alpha: bool = True
    """RGBA images [V, 4, H, W], else RGB"""
    check_hashes: bool = True
    """compare every file and camera with the manifest when it is read"""
    store: Literal["folders", "shards"] = "folders"
    """where the training reads images: the sample folders, or webdataset shards packed from them (`dataset pack`), for
    file systems that are slow with small files. The tensors are the same"""
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        if not 1 <= self.inputs[0] <= self.inputs[1]:
            raise ValueError(f"inputs {self.inputs} is not a range of 1 or more views")
        if not 1 <= self.unseen_targets <= self.targets:
            raise ValueError(
                "unseen_targets must lie between 1 and targets: a target that is an input teaches no shape"
            )
