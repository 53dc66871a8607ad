"""Configuration of the dataset stage (`dataset:`), of the training mixture (`mixture:`) and of the loader
(`loader:`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class SplitConfig:
    """How frames become train, val and test.

    Args:
        by: `time`: contiguous blocks of every recording; `recording` or `subject`: whole recordings or animals.
        train, val, test: shares of the frames (by time); they sum to 1.
        blocks: rounds of train, val and test blocks in a recording; 1 is one block each.
        guard_s: least guard gap in seconds; the measured correlation time is used where it is longer.
        guard_frames_max_share: largest share of a recording that guards may take before the split is refused.
        held_out_camera: camera whose views are never used in training (protocols B and C); null for none.
        val_names, test_names: recordings or subjects of those splits when `by` is not `time`.
        subjects: recording -> animal; a recording that is not named is its own animal.
        object_val, object_test: shares of objects and scans kept out of training, chosen by a hash of their name.
    """

    by: Literal["time", "recording", "subject"] = "time"
    train: float = 0.7
    val: float = 0.15
    test: float = 0.15
    blocks: int = 1
    guard_s: float = 0.2
    guard_frames_max_share: float = 0.6
    held_out_camera: int | None = 5
    val_names: tuple[str, ...] = ()
    test_names: tuple[str, ...] = ()
    subjects: dict[str, str] = field(default_factory=dict)
    object_val: float = 0.1
    object_test: float = 0.1

    def __post_init__(self) -> None:
        if min(self.train, self.val, self.test) < 0 or abs(self.train + self.val + self.test - 1) > 1e-6:
            raise ValueError(f"train + val + test is {self.train + self.val + self.test:g}, not 1")
        if not 0 <= self.object_val + self.object_test < 1:
            raise ValueError("object_val + object_test leaves no object for training")
        if self.blocks < 1 or self.guard_s < 0:
            raise ValueError("blocks must be 1 or more and guard_s not negative")


@dataclass(frozen=True)
class ContainmentConfig:
    """Least share of a view's silhouette that the visual hull of the sample's other views must cover, per source.

    `worst` bounds the worst view of a sample, `mean` the mean of its views. Generated views are never exactly one body.
    """

    real_worst: float = 0.90
    real_mean: float = 0.95
    distilled_worst: float = 0.75
    distilled_mean: float = 0.88
    splat_worst: float = 0.90
    splat_mean: float = 0.95
    object_worst: float = 0.90
    object_mean: float = 0.95
    scan_worst: float = 0.90
    scan_mean: float = 0.95

    def of(self, source: str) -> tuple[float, float]:
        """(worst, mean) of a source."""
        return getattr(self, f"{source}_worst"), getattr(self, f"{source}_mean")


@dataclass(frozen=True)
class GateConfig:
    """The geometry gate at the door of the dataset.

    Args:
        containment: thresholds per source.
        resolution: voxels along the edge of the carved cube.
        mask_size: silhouettes are judged at this many pixels.
        margin: voxels a thin part may lie outside a silhouette.
        half_extent: the animal lies in [-half_extent, half_extent]^3, world units.
        outside_share_max: largest share of a silhouette that only a body outside that cube can explain.
        z_min: every corner of the animal is at least this far in front of every camera, world units.
        border_share_max: largest share of the image's border pixels that may be foreground (an animal cut by the
            frame).
        focal_aspect_tolerance: largest |fx / fy - 1|.
        distance_min, distance_max: allowed camera distances from the origin, world units.
    """

    containment: ContainmentConfig = ContainmentConfig()
    resolution: int = 64
    mask_size: int = 96
    margin: float = 1.0
    half_extent: float = 1.0
    outside_share_max: float = 0.05
    z_min: float = 0.2
    border_share_max: float = 0.0
    focal_aspect_tolerance: float = 0.03
    distance_min: float = 1.2
    distance_max: float = 8.0


@dataclass(frozen=True)
class DatasetConfig:
    """Section `dataset` of config.yaml.

    Args:
        attach_real_views: a distilled or splat sample also offers the real photos of its frame (by index, nothing is
            copied).
        refuse_share_max: largest share of a source's samples that the gate may refuse before the build itself fails.
    """

    splits: SplitConfig = SplitConfig()
    gate: GateConfig = GateConfig()
    attach_real_views: bool = True
    refuse_share_max: float = 0.5


@dataclass(frozen=True)
class Phase:
    """One stretch of the curriculum.

    Args:
        until: end of the phase as a share of the run, (0, 1]; the last phase ends at 1.
        mouse: factors on the arm's mouse share at the start and at the end of the phase, linear between.
    """

    until: float
    mouse: tuple[float, float]


@dataclass(frozen=True)
class MouseShares:
    """How the mouse share of an arm is divided; sums to 1."""

    real: float = 0.5
    distilled: float = 0.25
    splat: float = 0.25

    def __post_init__(self) -> None:
        if min(self.real, self.distilled, self.splat) < 0 or abs(self.real + self.distilled + self.splat - 1) > 1e-6:
            raise ValueError("real, distilled and splat must not be negative and sum to 1")


@dataclass(frozen=True)
class MixtureConfig:
    """Section `mixture` of config.yaml: what the optimiser sees, when.

    Args:
        mouse: division of an arm's mouse share.
        scan_share: share of the object part given to scans.
        phases: piecewise schedule over the run. The default (objects only, mixed, mouse rising to double) averages to
            1, so that the whole run sees the arm's ratio; a schedule that does not is allowed, and its mean is
            reported.
        exposure: `steps`: every arm runs the same steps; `mouse`: every arm sees as many mouse samples as
            `reference_arm`.
        reference_arm: arm whose object share controls use and whose mouse exposure is the reference.
        use_sample_weights: draw samples of a source in proportion to their weight (consistency scores).
    """

    mouse: MouseShares = MouseShares()
    scan_share: float = 0.0
    phases: tuple[Phase, ...] = (Phase(0.2, (0.0, 0.0)), Phase(0.6, (1.0, 1.0)), Phase(1.0, (1.0, 2.0)))
    exposure: Literal["steps", "mouse"] = "steps"
    reference_arm: str = "80-20"
    use_sample_weights: bool = True

    def __post_init__(self) -> None:
        ends = [phase.until for phase in self.phases]
        if not ends or any(b <= a for a, b in zip([0.0, *ends], ends)) or abs(ends[-1] - 1) > 1e-9:
            raise ValueError(f"phases must end at rising shares of the run, the last at 1; they end at {ends}")
        if any(min(phase.mouse) < 0 for phase in self.phases):
            raise ValueError("a phase has a negative mouse factor")
        if not 0 <= self.scan_share <= 1:
            raise ValueError("scan_share lies outside [0, 1]")


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
        return sum(self.shares.get(source, 0.0) for source in ("real", "distilled", "splat"))


@dataclass(frozen=True)
class AugmentConfig:
    """Augmentations that keep images and cameras consistent.

    Args:
        yaw: turn the world about +z by a random angle (all cameras together; no pixel changes).
        mirror: probability of mirroring images *and* cameras.
        brightness, contrast, saturation: largest relative change, one draw shared by all views of a sample.
        distort_inputs: LGM's grid distortion and camera jitter of the input views but the first, each for half of the
            samples, in every arm and not only in `distortion-only`.
        grid_distortion: strength of the grid distortion; published 0.5.
        camera_jitter: factor on the published jitter, which swings a camera by up to 18 and 9 degrees.
    """

    yaw: bool = True
    mirror: float = 0.5
    brightness: float = 0.1
    contrast: float = 0.1
    saturation: float = 0.1
    distort_inputs: bool = False
    grid_distortion: float = 0.5
    camera_jitter: float = 1.0


@dataclass(frozen=True)
class LoaderConfig:
    """Section `loader` of config.yaml: from manifest rows to tensors.

    Args:
        image_size: edge of the square images, pixels.
        inputs: least and most input views; one number is drawn per step, the same for the whole batch. Where a sample
            of the step has too few views for it and its unseen targets, the step shows as many as that sample can: 4 of
                a rig of six
            cameras of which one is held out.
        targets: target views of a sample.
        unseen_targets: at least so many of them are not inputs.
        protocol: `random`, or `overlap`: targets share 60 degrees of view direction with an input.
        background: behind the images and for the renderer: a name, `random` (one colour a sample) or a grey value.
        keep_alpha: RGBA images [V, 4, H, W], else RGB.
        check_hashes: compare every file and camera with the manifest when it is read.
        store: where the training reads images: the sample folders, or webdataset shards packed from them (`dataset
            pack`), for file systems that are slow with small files. The tensors are the same.
    """

    image_size: int = 128
    inputs: tuple[int, int] = (3, 5)
    targets: int = 4
    unseen_targets: int = 1
    protocol: Literal["random", "overlap"] = "random"
    background: Literal["random", "white", "black", "gray", "three_choices"] | float = "random"
    keep_alpha: bool = True
    check_hashes: bool = True
    store: Literal["folders", "shards"] = "folders"
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        if not 1 <= self.inputs[0] <= self.inputs[1]:
            raise ValueError(f"inputs {self.inputs} is not a range of 1 or more views")
        if not 1 <= self.unseen_targets <= self.targets:
            raise ValueError(
                "unseen_targets must lie between 1 and targets: a target that is an input teaches no shape"
            )
