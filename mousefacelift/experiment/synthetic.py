"""Synthetic views of photographed frames, made as the pipeline makes them: splat fits, and the single-picture prior."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mousefacelift.core.cameras import CANONICAL_DISTANCE, Camera, azimuth_elevation, orbit
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.render import render_pictures
from mousefacelift.experiment.bed import Views
from mousefacelift.prior.model import load_prior
from mousefacelift.prior.reconstruct import reconstruct
from mousefacelift.splats.config import FitConfig
from mousefacelift.splats.fit import fit_frames
from mousefacelift.splats.frames import FrameViews
from mousefacelift.splats.novel import gap_midpoints

COUNT, STEPS, TOGETHER = 500, 150, 4  # Gaussians, steps and frames of a splat fit at 64 px
GRID = 48  # voxels of its hull
OFFSET = 45.0  # degrees of azimuth to each side of a photo at which its guess is rendered


def splat_views(photos: Views, seed: int) -> Views:
    """Per frame a splat fitted to its photos [F, V], rendered midway between neighbouring cameras [F, V]; a fit that
    diverged is left out."""
    base = FitConfig()
    config = replace(
        base,
        count=COUNT,
        hull=replace(base.hull, grid=GRID),
        optimise=replace(base.optimise, steps=STEPS, between_views=0),
    )
    frames = [FrameViews(str(i), as_float(photos.rgba[i]), tuple(cameras_of(photos, i))) for i in range(len(photos))]
    made = []
    for first in range(0, len(frames), TOGETHER):
        group = frames[first : first + TOGETHER]
        for frame, fit in zip(group, fit_frames(group, config, seed + first), strict=True):
            if fit.diverged:
                continue
            size, lens = frame.cameras[0].width, frame.cameras[0].fxfycxcy
            cameras = [orbit(a, e, CANONICAL_DISTANCE, lens, size, size) for a, e in gap_midpoints(frame.cameras)]
            made.append(rendered(fit.gaussians, cameras))
    return join(made)


def distil_views(photos: Views, rng: np.random.Generator) -> Views:
    """Per frame what the shipped prior guesses from each photo alone [F, V], rendered to both sides [F, 2 V].

    First guesses, without render-and-compare: views of one frame come from V bodies that do not agree, as distilled
    views do.
    """
    network, made = load_prior(), []
    for i in range(len(photos)):
        parts = []
        for rgba, camera in zip(as_float(photos.rgba[i]), cameras_of(photos, i), strict=True):
            found = reconstruct(rgba, camera, network)
            azimuth, elevation, _ = azimuth_elevation(camera)
            turns = (rng.uniform(0, OFFSET), -rng.uniform(0, OFFSET))
            size, lens = camera.width, camera.fxfycxcy
            cameras = [orbit(azimuth + t, elevation, CANONICAL_DISTANCE, lens, size, size) for t in turns]
            parts.append(rendered(found.gaussians, cameras))
        made.append(tuple(np.concatenate(part) for part in zip(*parts)))
    return join(made)


def rendered(gaussians: Gaussians, cameras: list[Camera]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """rgba [V, H, W, 4] uint8, w2c and fxfycxcy of Gaussians seen by cameras."""
    pictures = np.round(np.clip(render_pictures(gaussians, cameras), 0, 1) * 255).astype(np.uint8)
    return pictures, np.stack([c.w2c for c in cameras]), np.stack([c.fxfycxcy for c in cameras])


def cameras_of(views: Views, frame: int) -> list[Camera]:
    """The cameras of one sample."""
    height, width = views.rgba.shape[2:4]
    pairs = zip(views.w2c[frame], views.fxfycxcy[frame], strict=True)
    return [Camera(w2c, lens, width, height) for w2c, lens in pairs]


def as_float(rgba: np.ndarray) -> np.ndarray:
    """float32 in [0, 1] of uint8 pictures."""
    return rgba.astype(np.float32) / np.float32(255)


def join(made: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Views:
    """Views of (rgba, w2c, fxfycxcy) of each sample."""
    return Views(*(np.stack(part) for part in zip(*made)))
