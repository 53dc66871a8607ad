"""Configuration of protocol S: section `single` of config.yaml."""

from __future__ import annotations

from mousefacelift.config import section


@section
class SingleConfig:
    """Protocol S: one picture in, all other views judged."""

    frames: int = 4
    """val and test frames of the recordings that are used, evenly spread; every camera in turn is the input"""
    animals: int = 8
    """virtual animals that nothing was trained on, with known truth"""
    mammal: str = ""
    """folder of MAMMAL text files and poses.npz, as `virtual.mesh`: a mouse of another body; "" skips it"""
    mammal_frames: int = 6
    """poses of it, evenly spread"""
    views: int = 32
    """truth views around a virtual animal"""
    size: int = 128
    """pixels of the pictures of virtual animals"""
    unknown: int = 4
    """pictures of each kind that are also asked for without their camera, evenly spread"""

    def __post_init__(self) -> None:
        if min(self.frames, self.animals) < 2 or self.views < 8 or self.size < 32 or self.unknown < 0:
            raise ValueError("frames and animals must be at least 2, views 8, size 32, and unknown not negative")
