"""The best turn about z and the best scale of a splat whose camera nobody knew, by the silhouettes of known views."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import Camera
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.images import resize_rgba
from mousefacelift.core.render import published_render, render
from mousefacelift.core.samples import View
from mousefacelift.core.similarity import Similarity

SIZE = 64  # pixels in which silhouettes are compared
VIEWS = 6
TURNS = 24  # tried around; then the best is refined
ROUNDS = 5


def turn_and_scale(turn: float, scale: float) -> Similarity:
    """The similarity that turns by `turn` degrees about +z and scales about the origin."""
    a = np.radians(turn)
    return Similarity(scale, np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1.0]]))


def seen_as(camera: Camera, move: Similarity) -> Camera:
    """The camera that sees the unmoved splat as `camera` sees it after `move`."""
    return move.inverse().apply_camera(camera)


def best_turn_and_scale(gaussians: Gaussians, truth: Sequence[View]) -> tuple[float, float]:
    """(degrees, factor) at which the splat's silhouettes overlap those of the truth best: its area is brought to
    theirs, 24 turns are tried, then a descent."""
    step = max(1, len(truth) // VIEWS)
    views = truth[::step][:VIEWS]
    masks = np.stack([resize_rgba(view.rgba, SIZE, SIZE)[..., 3] for view in views])
    cameras = [view.camera.scaled_to(SIZE, SIZE) for view in views]

    def silhouettes(moves: list[tuple[float, float]]) -> np.ndarray:
        shown = [seen_as(camera, turn_and_scale(turn, np.exp(log))) for turn, log in moves for camera in cameras]
        with torch.no_grad():
            alpha = render(
                gaussians, CameraTensors.from_cameras(shown), published_render(gaussians.means.device)
            ).alpha.numpy()
        return alpha.reshape(len(moves), *masks.shape)

    def overlap(moves: list[tuple[float, float]]) -> np.ndarray:
        alpha = silhouettes(moves)
        return (np.minimum(alpha, masks).sum((2, 3)) / np.maximum(alpha, masks).sum((2, 3))).mean(1)

    turns, log_scale = [360.0 * i / TURNS for i in range(TURNS)], 0.0
    for _ in range(2):  # to the truth's area; twice, because perspective makes the first guess a little wrong
        area = silhouettes([(turn, log_scale) for turn in turns]).sum((1, 2, 3)).mean()
        log_scale += 0.5 * float(np.log(masks.sum() / max(area, 1e-6)))
    starts = [(turn, log_scale) for turn in turns]
    scores = overlap(starts)
    at, best = starts[int(scores.argmax())], float(scores.max())
    turn_step, log_step = 360.0 / TURNS / 2, 0.15
    for _ in range(ROUNDS):
        around = [(at[0] + a, at[1] + b) for a in (-turn_step, 0, turn_step) for b in (-log_step, 0, log_step)]
        scores = overlap(around)
        if scores.max() > best:
            at, best = around[int(scores.argmax())], float(scores.max())
        turn_step, log_step = turn_step / 2, log_step / 2
    return float(at[0] % 360), float(np.exp(at[1]))
