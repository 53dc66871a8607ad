"""Configuration of evaluation: the `evaluate` section of config.yaml."""

from __future__ import annotations

from typing import ClassVar

from mousefacelift.config import require_at_least, section


@section
class EvaluateConfig:
    """Section `evaluate`: judging."""

    MOST: ClassVar = {"background": 1.0}

    background: float = 1.0
    """grey level in [0, 1] behind renders and truth; both sides use the same"""
    consistency_frames: int = 8
    """predictions per protocol whose multi-view consistency is measured (hulls are the cost)"""
    worst_share: ClassVar[float] = 0.1
    """share of the worst images reported next to mean and median"""
    sheet_rows: int = 6
    """predictions shown in the picture sheet"""
    bootstrap: int = 1000
    """resamples of the block bootstrap for intervals"""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "sheet_rows")
