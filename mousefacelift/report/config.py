"""Configuration of the report: section `report` of config.yaml."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReportConfig:
    """Args:
    title: heading of the page.
    frames: frames shown per recording in picture sheets.
    objects: objects shown.
    thumbnail: pixels of a picture in a sheet.
    """

    title: str = "mousefacelift"
    frames: int = 4
    objects: int = 8
    thumbnail: int = 128
