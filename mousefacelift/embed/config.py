"""Configuration of the embedding: section `embed` of config.yaml."""

from __future__ import annotations

from typing import Literal

from mousefacelift.config import require_at_least, section


@section
class EmbedConfig:
    """Section `embed`: every frame as a heading-free vector; only `snakemake embed` runs it."""

    model: Literal["prior", "splats"] = "prior"
    """whose shape: the one-picture prior's code of every camera, or moments of the splats fitted to all cameras"""
    steps: int = 40
    """of render-and-compare per picture; 0 takes the network's first guess"""

    def __post_init__(self) -> None:
        require_at_least(self, 0, "steps")
