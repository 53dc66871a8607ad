"""Toy animals as splats: a long body, a head, a thin tail at an angle; and their rings on disk."""

import json

import numpy as np
import torch

from mousefacelift.core.cameras import CANONICAL_DISTANCE, canonical_fxfycxcy, orbit, ring
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.records import SampleFacts, ViewFacts
from mousefacelift.core.render import render_pictures
from mousefacelift.core.samples import Sample, View, write_sample
from mousefacelift.core.splits import Splits


def toy_animal(tail: float, rear: float = 0.0, grey: float = 0.3) -> Gaussians:
    """An animal along +x whose tail bends by `tail` degrees and whose head is raised by `rear` world units."""
    t, bend = np.linspace(0, 1, 60), np.radians(tail)
    body = np.stack([0.5 * t - 0.25, 0 * t, rear * t**2], -1)
    tail_points = [-0.25, 0, 0] - 0.4 * t[:, None] * [np.cos(bend), np.sin(bend), 0]
    head = [0.36, 0.0, rear] + 0 * t[:20, None]
    means = np.concatenate([body, tail_points, head])
    radius = np.concatenate([0.09 + 0 * t, 0.018 + 0 * t, 0.07 + 0 * t[:20]])
    colour = np.concatenate([np.full(60, grey), np.full(60, 0.6), np.full(20, 0.1)])
    count = len(means)
    return Gaussians.from_rgb(
        torch.from_numpy(means).float(),
        torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1),
        torch.from_numpy(np.repeat(radius[:, None], 3, 1)).float(),
        torch.full((count,), 0.9),
        torch.from_numpy(np.repeat(colour[:, None], 3, 1)).float(),
    )


TAILS = (-70.0, -20.0, 30.0, 80.0)


def seen(gaussians, azimuth, elevation=20.0, size=96, zoom=1.3):
    """One view of a splat."""
    camera = orbit(azimuth, elevation, CANONICAL_DISTANCE, canonical_fxfycxcy(size) * [zoom, zoom, 1, 1], size, size)
    return View(render_pictures(gaussians, [camera])[0], camera)


def write_rings(folder, tails=TAILS, size=64, views=16):
    """Ring chunk with its fits and a splits.json in which the last frame is a test frame; returns (index, splits)."""
    items = []
    for frame, tail in enumerate(tails):
        gaussians, name = toy_animal(tail), f"{frame:06d}"
        (folder / "fits" / name).mkdir(parents=True)
        gaussians.save(folder / "fits" / name / "splat.npz")
        cameras = ring(views, size)
        images = render_pictures(gaussians, cameras)
        sample = Sample(
            tuple(View(rgba, camera, ViewFacts(score=1.0)) for rgba, camera in zip(images, cameras, strict=True)),
            SampleFacts("splat", "m", frame=frame, config_hash="toy"),
        )
        (folder / "ring").mkdir(exist_ok=True)
        write_sample(folder / "ring" / name, sample)
        items.append({"name": name, "views": views})
    index = {"key": "", "header": {"fits": "../fits"}, "items": items}
    (folder / "ring/index.json").write_text(json.dumps(index))
    labels = {frame: "train" for frame in range(len(tails) - 1)} | {len(tails) - 1: "test"}
    facts = {"m": {"fps": 1.0, "guard_s": 0.5, "correlation_time_s": 0.5}}
    Splits({"m": labels}, facts=facts).write(folder / "splits.json")
    return folder / "ring/index.json", folder / "splits.json"
