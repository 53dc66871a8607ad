"""Adaptation of the shipped network to a recording, from train frames and seen cameras only.

Every train frame is fitted with all its pictures (`multiview`): exact points for every one of them. The network then
learns these pictures, renders of the fitted mice from cameras that the rig does not have, and, so that it forgets
nothing, fresh pictures of procedural mice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import Camera, orbit
from mousefacelift.core.parallel import one_torch_thread
from mousefacelift.core.render import render
from mousefacelift.core.samples import View
from mousefacelift.core.training import guarded_step, set_rate, warm_up
from mousefacelift.prior.batches import make_batch
from mousefacelift.prior.config import AdaptConfig
from mousefacelift.prior.crop import Crop, cut_out, relative_heading
from mousefacelift.prior.fit import FitConfig, pixel_size, to_gaussians
from mousefacelift.prior.individuals import draw_individual
from mousefacelift.prior.multiview import Moment, fit_moment
from mousefacelift.prior.network import PriorNetwork
from mousefacelift.prior.paint import make_pose, paint_view
from mousefacelift.prior.template import build_template
from mousefacelift.prior.training import prior_loss

REPLAY = 500_000  # individuals from this index on are replayed; training draws lower ones, tests higher ones


@dataclass(frozen=True)
class Adaptation:
    """What came of it.

    Args:
        residuals: of the fitted train frames. losses: points loss at the first and the last tenth of the updates.
    """

    residuals: list[float]
    losses: tuple[float, float]


@one_torch_thread()
def adapt_network(
    network: PriorNetwork, frames: Sequence[Sequence[View]], config: AdaptConfig, seed: int
) -> Adaptation:
    """Adapt `network` in place to the frames' pictures; frames that no mouse explains are left out.

    Args:
        frames: seen views of each train frame.
    """
    moments = [fit_moment(network, views, FitConfig(config.fit_steps, 0, config.fit_size)) for views in frames]
    limit = config.worst * float(np.median([moment.residual for moment in moments]))
    good = [moment for moment in moments if moment.residual <= limit]
    rng = np.random.default_rng([seed, 61])
    real = [_row(crop, moment) for moment in good for crop in moment.crops]
    turned = [_turned_row(network, moment, rng) for moment in good for _ in range(config.renders)]
    replay = _replay_rows(config.replay, network.config.size)
    losses = _fine_tune(network, (real, turned, replay), config, rng)
    tenth = max(len(losses) // 10, 1)
    return Adaptation([m.residual for m in moments], (float(np.mean(losses[:tenth])), float(np.mean(losses[-tenth:]))))


def _row(crop: Crop, moment: Moment) -> dict[str, np.ndarray]:
    """A training row (see `shards`) of a picture whose mouse is known; its points turned so that the animal heads along
    +x."""
    c, s = np.cos(-moment.heading), np.sin(-moment.heading)
    turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]])
    return {
        "rgba": np.rint(np.clip(crop.rgba, 0, 1) * 255).astype(np.uint8),
        "facts": crop.facts,
        "heading": np.float32(relative_heading(moment.heading, crop.camera)),
        "anchor": (crop.anchor @ turn).astype(np.float32),
        "unit": np.float32(crop.unit),
        "points": (moment.points.numpy() @ turn).astype(np.float32),
        "colours": np.rint(np.clip(moment.colours.numpy(), 0, 1) * 255).astype(np.uint8),
    }


def _turned_row(network: PriorNetwork, moment: Moment, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The fitted mouse as a camera sees it that the rig does not have."""
    like = moment.crops[int(rng.integers(len(moment.crops)))].camera
    size = 2 * network.config.size
    focal = (
        float(like.fxfycxcy[0]) * size / like.width * 0.6
    )  # wide enough to hold the animal; `cut_out` closes in on it
    intrinsics = np.array([focal, focal, size / 2, size / 2])
    distance = float(np.linalg.norm(like.center))
    camera = orbit(rng.uniform(0, 360), rng.uniform(-5, 55), distance, intrinsics, size, size)
    return _row(cut_out(_render_rgba(network, moment, camera), camera, network.config.size), moment)


@torch.no_grad()
def _render_rgba(network: PriorNetwork, moment: Moment, camera: Camera) -> np.ndarray:
    cameras = CameraTensors.from_cameras([camera])
    shown = render(to_gaussians(network, moment.points, moment.colours, pixel_size(cameras)), cameras)
    alpha = shown.alpha[0].clamp(0, 1).numpy()[..., None]
    return np.concatenate([np.clip(shown.rgb[0].numpy() / np.maximum(alpha, 1e-3), 0, 1), alpha], -1)


def _replay_rows(count: int, size: int) -> list[dict[str, np.ndarray]]:
    """`count` fresh pictures of procedural mice, eight of each."""
    template, rows = build_template(), []
    for index in range(REPLAY, REPLAY + -(-count // 8)):
        individual = draw_individual(index, 3000)
        for number in range(2):
            pose, rng = make_pose(individual, number, template), np.random.default_rng([REPLAY, index, number])
            for _ in range(4):
                view = paint_view(pose, rng, size, (-10.0, 60.0))
                rows.append(
                    {
                        "rgba": view.rgba,
                        "facts": view.facts,
                        "heading": np.float32(view.heading),
                        "anchor": view.anchor.astype(np.float32),
                        "unit": np.float32(view.unit),
                        "points": pose.points.astype(np.float32),
                        "colours": np.rint(pose.colours * 255).astype(np.uint8),
                    }
                )
    return rows[:count]


def _fine_tune(
    network: PriorNetwork, pools: tuple[list, ...], config: AdaptConfig, rng: np.random.Generator
) -> list[float]:
    """Updates on batches that take `shares` of each pool; batch statistics stay those of the prior."""
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    network.eval()
    optimiser = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=0.0)
    counts = [round(share * config.batch) for share in config.shares]
    losses = []
    for step in range(config.steps):
        chosen = [pool[i] for pool, count in zip(pools, counts) if pool for i in rng.integers(0, len(pool), count)]
        rows = {name: np.stack([row[name] for row in chosen]) for name in chosen[0]}
        batch = make_batch(rows, network.mirror, rng, known=0.8)
        jitter = torch.from_numpy(np.radians(rng.uniform(-12, 12, len(chosen))).astype(np.float32))
        found, _ = prior_loss(network, batch, jitter)
        set_rate(optimiser, config.learning_rate * min(warm_up(step, 10), 2 * (1 - step / config.steps)))
        found.total.backward()
        guarded_step(optimiser, network.parameters(), 1.0)
        losses.append(found.points.item())
    return losses


def save_adapted(network: PriorNetwork, path: Path) -> None:
    """Write an adapted network in the layout of the shipped one."""
    from mousefacelift.prior.training import export_weights

    export_weights(network, network.state_dict(), path)
