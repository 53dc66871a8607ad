"""The result of a fit, whatever was fitted, and its scores on the views that it saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mousefacelift.core.gaussians import Gaussians
from mousefacelift.splats.frames import FrameViews
from mousefacelift.splats.scene import Scene, as_gaussians
from mousefacelift.splats.score import score_views

DIVERGED_BY = 3.0  # times the held-out error at the start
DIVERGED_OVER = 0.05  # and this much
LEAST_IOU = 0.1  # on its own cameras; less shows something else than the animal


@dataclass(frozen=True)
class Fit:
    """One fitted frame.

    Attributes:
        scene: Gaussians [N] of degree 0, or a field; on the CPU.
        scores: of the views it was fitted to, see `score_views`; their means.
        steps: steps taken.
        diverged: why the fit is unusable, or None.
        corrections: [V, 8] of the cameras, or None when they were taken as they are.
        curve: mean loss every `check_every` steps.
    """

    name: str
    scene: Scene
    scores: dict[str, float]
    steps: int
    diverged: str | None = None
    corrections: np.ndarray | None = None
    curve: tuple[float, ...] = ()

    @property
    def gaussians(self) -> Gaussians:
        """The scene as Gaussians."""
        return as_gaussians(self.scene)


def why_diverged(error: float, first: float, steps: int) -> str | None:
    """Why a fit with this held-out error at step `steps` is unusable, or None; `first` is the error at the start."""
    if error > DIVERGED_BY * first + DIVERGED_OVER:
        return f"error {error:.3f} at step {steps}, {first:.3f} at the start"
    return None


def score_fit(
    frame: FrameViews,
    scene: Scene,
    steps: int,
    unusable: str | None,
    curve: Sequence[float],
    device: str = "cpu",
    corrections: np.ndarray | None = None,
) -> Fit:
    """The fit of a frame with its scores; one that is unusable, or whose pictures are, has none."""
    means: dict[str, float] = {}
    if unusable is None:
        scores = score_views(scene, frame, device, corrections)
        means = {name: float(np.mean(values)) for name, values in scores.items()}
        if not all(np.isfinite(value) for value in means.values()):
            means, unusable = {}, "NaN in what was fitted"
        elif means["iou"] < LEAST_IOU:
            means, unusable = {}, f"IoU {means['iou']:.2f} on its own cameras at step {steps}"
    return Fit(frame.name, scene, means, steps, unusable, corrections, tuple(curve))
