"""Configuration of evaluation: the `evaluate` section of config.yaml."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EvaluateConfig:
    """Args:
    background: grey level in [0, 1] behind renders and truth; both sides use the same.
    consistency_frames: predictions per protocol whose multi-view consistency is measured (hulls are the cost).
    worst_share: share of the worst images reported next to mean and median.
    sheet_rows: predictions shown in the picture sheet.
    bootstrap: resamples of the block bootstrap for intervals.
    """

    background: float = 1.0
    consistency_frames: int = 8
    worst_share: float = 0.1
    sheet_rows: int = 6
    bootstrap: int = 1000
