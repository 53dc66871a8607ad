"""Configuration of protocol S: section `single` of config.yaml."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SingleConfig:
    """Protocol S: one picture in, all other views judged.

    Args:
        frames: val and test frames of the recordings that are used, evenly spread; every camera in turn is the input.
        animals: virtual animals that nothing was trained on, with known truth.
        mammal: folder of MAMMAL text files and poses.npz, as `virtual.mesh`: a mouse of another body; "" skips it.
        mammal_frames: poses of it, evenly spread.
        views: truth views around a virtual animal.
        size: pixels of the pictures of virtual animals.
        unknown: pictures of each kind that are also asked for without their camera, evenly spread.
    """

    frames: int = 4
    animals: int = 8
    mammal: str = ""
    mammal_frames: int = 6
    views: int = 32
    size: int = 128
    unknown: int = 4

    def __post_init__(self) -> None:
        if min(self.frames, self.animals) < 2 or self.views < 8 or self.size < 32 or self.unknown < 0:
            raise ValueError("frames and animals must be at least 2, views 8, size 32, and unknown not negative")
