"""Configuration of a virtual recording; sizes, the animal, and the ways in which it may be as bad as reality."""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar, Literal

from mousefacelift.config import section


@section
class Degradations:
    """Defects written into the recording, never into its truth."""

    MOST: ClassVar = {"acrylic_band": 1.0}
    LEAST: ClassVar = {"dropped_frame_camera": -1}

    principal_point_px: tuple[float, float] = (1.0, 6.5)
    """smallest and largest shift of each written principal point, at 1152 px width (real: 4.1 rms, without the common
    movement of the world)"""
    extrinsic_jitter_deg: tuple[float, float] = (0.0, 0.1)
    """smallest and largest rotation of each written camera (real: below 0.1)"""
    mask_change_px: tuple[float, float] = (1.0, 3.0)
    """smallest and largest erosion or dilation of each camera's mask, at 1152 px width (real: 1-3)"""
    mask_crf: int = 20
    """x264 quality of the mask videos; 0 is lossless (real: 20)"""
    acrylic_band: float = 0.35
    """how much the reflection in the acrylic wall greys the lowest 25 mm of the animal, 0 to 1 (real: 0.35)"""
    dropped_frame_camera: int = 3
    """camera whose video lacks one frame in its middle; -1 for none"""
    copied_calibration_camera: int = -1
    """camera written with the calibration of the camera after it, which the audit names and refuses; -1 for none"""
    cut: bool = True
    """the animal jumps 110 mm between two frames in the middle"""
    exposure_drift: float = 0.05
    """relative amplitude of a slow drift of each camera's gain (real: about 0.05)"""
    colour_offset: float = 0.04
    """largest offset of a camera's red, green and blue from the scene's, of full range (real: 0.06-0.08 between two)"""
    distorted_matrix: bool = False
    """the undistorted videos come with K of the distorted ones, the most likely mistake of all"""
    bedding: bool = False
    """a heap of bedding lies in the arena and in all masks"""
    second_animal: bool = False
    """another animal, a half turn away, in all masks"""
    resting: bool = False
    """the animal never moves"""
    floor_mirror_camera: int = -1
    """camera whose masks hold the reflection of the animal in the floor; -1 for none"""
    glass_reflection_camera: int = -1
    """camera whose masks hold the reflection of the animal in the wall behind it; -1 for none"""
    occluder_camera: int = -1
    """camera with a post in front of the animal; -1 for none"""


NO_DEFECTS = Degradations((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), 0, 0.0, -1, -1, False, 0.0, 0.0)


@section
class VirtualConfig:
    """A virtual recording."""

    width: int = 288
    """pixels of every video; the real rig has 1152x1024, other sizes are that rig scaled"""
    height: int = 256
    frames: int = 48
    """length, and frames per second of the videos (the motion itself is made at 100 fps)"""
    fps: float = 4.0
    rig: Literal["markerless_mouse", "ring"] = "markerless_mouse"
    """the six real cameras, or a regular ring of `cameras` cameras with mild lens distortion"""
    cameras: int = 6
    distance_mm: float = 0.0
    """mean distance of the cameras from the arena's middle, which keeps its size in the pictures; 0 takes the rig's own
    (about 310; telephoto lenses stand 1,500 off)"""
    variants: Literal["undistorted", "distorted", "both"] = "undistorted"
    """which of the undistorted and the distorted videos, masks and calibrations are written"""
    coat: Literal["by_seed", "black", "agouti", "white", "hooded"] = "by_seed"
    """colour and pattern, or one that the seed picks"""
    strands: int = 0
    """number of fur strands; 0 picks one that suits the resolution (70,000 at 1152 px width)"""
    supersample: int = 2
    """samples per pixel edge"""
    noise: float = 1.6
    """standard deviation of the sensor noise in 8-bit levels"""
    video_crf: int = 16
    """x264 quality of the colour videos"""
    mesh: str = ""
    """folder of a MAMMAL mouse mesh and its motion that stands in for the procedural animal; "" for none"""
    truth_vertices: bool = True
    """also store every frame's vertices; they can be made again from the stored motion without"""
    degradations: Degradations = field(default_factory=Degradations)
    """defects of real recordings, on in the demo; 0, false or -1 switches one off"""
