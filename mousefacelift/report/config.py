"""Configuration of the report: section `report` of config.yaml."""

from __future__ import annotations

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
