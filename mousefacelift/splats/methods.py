"""The ways to fit a frame, by the name that `splats.method` gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mousefacelift.splats.bake import field_start
from mousefacelift.splats.config import FitConfig
from mousefacelift.splats.field_fit import fit_fields
from mousefacelift.splats.fit import fit_frames
from mousefacelift.splats.frames import FrameViews
from mousefacelift.splats.result import Fit, score_fit
from mousefacelift.splats.scene import Blend
from mousefacelift.splats.start import find_body

FitMethod = Callable[[Sequence[FrameViews], FitConfig, int, str], list[Fit]]


def fit_gaussians(frames: Sequence[FrameViews], config: FitConfig, seed: int, device: str = "cpu") -> list[Fit]:
    """Gaussians that start on the rounded hull, or with `start: field` on the surface of a field fitted first."""
    if config.start != "field":
        return fit_frames(frames, config, seed, device)
    fields, rng = fit_fields(frames, config, seed, device), np.random.default_rng(seed)
    good = [index for index, fit in enumerate(fields) if fit.diverged is None]
    starts = [field_start(fields[index].scene, config.count, rng) for index in good]
    ready = [find_body(frames[index], config.hull).frame for index in good]
    made = fit_frames(ready, config, seed, device, starts) if good else []
    return [made.pop(0) if index in good else fit for index, fit in enumerate(fields)]


def fit_blends(frames: Sequence[FrameViews], config: FitConfig, seed: int, device: str = "cpu") -> list[Fit]:
    """Gaussians and a field of every frame, whose pictures are averaged; a frame needs both."""
    pairs = zip(
        frames, fit_gaussians(frames, config, seed, device), fit_fields(frames, config, seed, device), strict=True
    )
    return [
        score_fit(frame, Blend(one.scene, two.scene), one.steps, one.diverged or two.diverged, one.curve, device)
        for frame, one, two in pairs
    ]


METHODS: dict[str, FitMethod] = {"gaussians": fit_gaussians, "field": fit_fields, "blend": fit_blends}


def more_tolerant(config: FitConfig) -> FitConfig:
    """The settings of a second try: one view more may contradict a voxel of the hull, and twice the steps."""
    return replace(
        config,
        hull=replace(config.hull, tolerance=config.hull.tolerance + 1),
        optimise=replace(config.optimise, steps=2 * config.optimise.steps),
        field=replace(config.field, steps=2 * config.field.steps),
    )
