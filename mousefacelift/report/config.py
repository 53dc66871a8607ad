"""Configuration of the report: section `report` of config.yaml."""

from __future__ import annotations

from typing import ClassVar

from mousefacelift.config import section


@section
class ReportConfig:
    """Section `report`: the HTML report."""

    title: str = "mousefacelift"
    """heading of the page"""
    frames: int = 4
    """frames shown per recording in picture sheets"""
    objects: int = 8
    """objects shown"""
    thumbnail: int = 128
    """pixels of a picture in a sheet"""
    viewer_frames: ClassVar[int] = 6
    """moments that the splat viewer offers"""
    viewer_gaussians: ClassVar[int] = 6000
    """Gaussians of a splat in the viewer at most"""
    viewer_megabytes: ClassVar[float] = 8.0
    """of the page that the viewer's splats may take; they are thinned to it"""
