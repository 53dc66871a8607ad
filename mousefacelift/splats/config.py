"""The `splats` section of config.yaml.

Lengths are canonical world units: the mean camera distance is 2.7 and the animal about two units long.
"""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar, Literal

from mousefacelift.config import section


@section
class HullConfig:
    """How the silhouettes are carved before a fit."""

    LEAST: ClassVar = {"grid": 8}

    grid: int = 96
    """voxels along the longest side of the animal's bounding box"""
    half_extent: ClassVar[float] = 1.3
    """half the edge of the box that is searched"""
    tolerance: int = 0
    """views that may contradict a voxel; 1 for noisy masks when there are six views or more"""
    min_views: ClassVar[int] = 3
    """views that must see a voxel"""
    margin: ClassVar[float] = 0.5
    """voxels by which a mask may be missed; keeps the tail"""
    rounding: ClassVar[float] = 2.0
    """voxels, blur of one round of smoothing the body that fits start from; 0: the plain hull"""
    rounds: ClassVar[int] = 10


@section
class OptimiseConfig:
    """Losses, learning rates and schedule of one fit (defaults: measured recipe, see docs/splats.md)."""

    MOST: ClassVar = {"ssim_weight": 1.0, "dropout": 0.95}

    steps: int = 210
    """of `views` views each; 210 at 128 px (300 are a little better), 180 from 256 px on"""
    views: int = 2
    """views compared in every step, all in turn; 0: all of them"""
    ssim_weight: float = 0.2
    """against 1 - ssim_weight of L1"""
    ssim_from: ClassVar[float] = 0.55
    """share of the steps with L1 only, which is faster"""
    alpha_weight: ClassVar[float] = 0.5
    bare_weight: ClassVar[float] = 0.15
    """on alpha that is missing, beside it: a silhouette left bare costs more than one overstepped"""
    opacity_weight: float = 0.03
    """on the mean opacity; 0.03 at 128 px, 0.01 from 256 px on"""
    scale_weight: ClassVar[float] = 0.03
    between_views: int = 1
    """random views between the cameras rendered in every `between_every`-th step; 0: none"""
    between_every: ClassVar[int] = 4
    between_from: ClassVar[float] = 0.2
    """share of the steps without them"""
    solid_weight: ClassVar[float] = 0.5
    """on their pixels that are neither covered nor free"""
    dropout: float = 0.3
    """share of Gaussians left out of a step, rising linearly to this; 0.3 at 128 px, 0.5 from 256 px on"""
    lr_means: float = 3e-3
    lr_means_final: ClassVar[float] = 9e-5
    lr_scales: ClassVar[float] = 3.2e-2
    lr_quats: ClassVar[float] = 2.5e-2
    lr_opacities: ClassVar[float] = 0.12
    lr_colors: ClassVar[float] = 8e-2
    lr_decay: ClassVar[float] = 0.1
    """of all rates but that of the means, by the last step"""
    relocate_from_steps: ClassVar[int] = 500
    """runs longer than this move dead Gaussians onto live ones"""
    relocate_every: ClassVar[int] = 50
    heldout: ClassVar[float] = 0.02
    """share of pixel blocks kept out of the loss to tell when a fit gets worse; 0: never stop early"""
    check_every: ClassVar[int] = 40
    """steps"""
    patience: ClassVar[int] = 2
    """checks in a row that find every frame clearly worse than it was before a fit stops"""


@section
class CameraConfig:
    """Small corrections of the real cameras, learned with the Gaussians of a batch of frames (shared by its frames)."""

    refine: bool = False
    lr: ClassVar[float] = 5e-4
    weight: ClassVar[float] = 1.0
    """penalty on squared corrections in units of `scale`"""
    scale: ClassVar[float] = 0.01
    """radians and world units: one standard deviation of the calibration's error"""
    start: ClassVar[float] = 0.2
    """share of the steps before corrections start to move"""


@section
class FieldConfig:
    """The radiance field of a frame (`splats.method: field`): a grid of `hull.grid` voxels around the rounded hull."""

    steps: int = 100
    """60 for a demo, 100 normal, which takes five times as long as a fit of 2,500 Gaussians"""
    rays: ClassVar[int] = 8192
    """of the cameras, in a step"""
    reach: ClassVar[float] = 2.0
    """voxels outside the hull that may fill"""
    slope: ClassVar[float] = 2.0
    """of the raw density at the start, per voxel into the body"""
    offset: ClassVar[float] = 0.0
    """raw density on the surface at the start"""
    start_range: ClassVar[tuple[float, float]] = (-6.0, 4.0)
    """of the raw density"""
    alpha_weight: ClassVar[float] = 0.5
    dropout: ClassVar[float] = 0.3
    """share of the cells that let all light pass in a step, rising to this: cameras that disagree then carve less"""
    bare_weight: ClassVar[float] = 0.25
    """on alpha that is missing, beside it: a silhouette left bare costs more than one overstepped"""
    smooth_density: ClassVar[float] = 1e-2
    """on the mean squared difference of raw densities between neighbouring voxels"""
    smooth_color: ClassVar[float] = 1.0
    """the same of colours"""
    solid_weight: ClassVar[float] = 0.5
    """on half-covered pixels between the cameras"""
    check_every: ClassVar[int] = 20
    """steps"""
    between_rays: ClassVar[int] = 2048
    """between the cameras, in a step"""
    between_views: ClassVar[int] = 24
    """between the cameras that these are drawn from"""
    between_from: ClassVar[float] = 0.2
    """share of the steps without them"""
    lr_density: ClassVar[float] = 0.2
    lr_colors: ClassVar[float] = 0.0125
    lr_decay: ClassVar[float] = 0.1
    """of both rates by the last step"""


@section
class TrustConfig:
    """How trust is calibrated: frames fitted (as all are) without some of their cameras, judged on those."""

    LEAST: ClassVar = {"frames": 1}

    frames: int = 4
    """spread over the recording; their mean errors differ by 4-18 %, so four say the mean to about 5 %"""
    pairs: bool = True
    """also leave out neighbouring pairs, which measures wider angles"""
    outlier: float = 5.0
    """robust standard deviations of the recording's own errors; worse fits are refitted, then flagged"""


@section
class NovelConfig:
    """Which views are rendered from the fitted splats."""

    LEAST: ClassVar = {"size": 8, "ring_views": 1}

    mode: Literal["fixed", "gaps", "both"] = "both"
    relative_azimuths: tuple[float, ...] = (30.0, 90.0, 150.0, 210.0, 270.0, 330.0)
    """degrees from camera 0"""
    elevations: tuple[float, ...] = (20.0,)
    size: int = 128
    """px"""
    max_error: float = 0.12
    """expected foreground error (mean absolute, 0 to 1) above which a view is not written"""
    ring_views: int = 32
    depth: bool = True
    """also write 16-bit depth"""


@section
class FitConfig:
    """One splat or field per frame."""

    LEAST: ClassVar = {"cold_every": 1}

    MOST: ClassVar = {"max_failed": 1.0}

    size: int = 128
    """px; samples of another size are resized, cameras with them"""
    count: int = 1500
    """Gaussians; 1,500 at 128 px, 2,500 at 256 px, up to 8,000 at 512 px: more fit their own views better, unseen worse
    """
    batch: int = 4
    """frames fitted together; 32 to 64 on a GPU"""
    start: Literal["hull", "warm", "field"] = "hull"
    """of Gaussians; warm: from those of the frame before (batch must be 1), field: on the surface of a field"""
    cold_every: int = 50
    """warm start only: frames between fresh starts"""
    max_failed: float = 0.2
    """share of a chunk that may fail before the chunk is refused"""
    write_ply: bool = False
    """a PLY beside each splat.npz"""
    hull: HullConfig = field(default_factory=HullConfig)
    optimise: OptimiseConfig = field(default_factory=OptimiseConfig)
    cameras: CameraConfig = field(default_factory=CameraConfig)
    field: FieldConfig = field(default_factory=FieldConfig)

    def __post_init__(self) -> None:
        if self.start == "warm" and self.batch != 1:
            raise ValueError("start 'warm' fits frames one after the other and needs batch: 1")
        if min(self.size, self.count, self.batch, self.optimise.steps, self.field.steps) < 1:
            raise ValueError("size, count, batch, optimise.steps and field.steps must be positive")


@section
class SplatsConfig:
    """Section `splats`: the fits, how far they are trusted, and the views rendered from them."""

    method: Literal["gaussians", "field", "blend"] = "gaussians"
    """what is fitted to a frame: a Gaussian splat, a voxel radiance field (keys `fit.field`), or both and their mean"""
    fit: FitConfig = field(default_factory=FitConfig)
    trust: TrustConfig = field(default_factory=TrustConfig)
    novel: NovelConfig = field(default_factory=NovelConfig)

    def __post_init__(self) -> None:
        if self.method != "gaussians" and (self.fit.start != "hull" or self.fit.cameras.refine):
            raise ValueError(f"method '{self.method}' starts on the hull and takes cameras as they are: no refine")
