"""Render-and-compare: move a guessed mouse until its render agrees with the picture, or with several pictures of one
moment.

What moves: heading, size and place; the shape's code, held near the guess; a small shift of every point, held near its
neighbours; colours. Hypotheses start together and the worse half is dropped on the way.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.render import render
from mousefacelift.prior.crop import Crop
from mousefacelift.prior.model import Guess
from mousefacelift.prior.network import PriorNetwork
from mousefacelift.prior.surface import Disks, make_gaussians, neighbour_mean, shape_disks

RATES = {"code": 0.03, "heading": 0.015, "size": 0.01, "offset": 0.012, "shift": 0.0025, "colours": 0.02}
BETAS, DECAY = (0.8, 0.95), 0.97  # of Adam, and of the rates per step
RESHAPE_EVERY = 6  # steps between new orientations and sizes of the disks, the slowest part of a step
CODE_WEIGHT, SHIFT_WEIGHT, COLOUR_WEIGHT = 0.1, 40.0, 0.5
# One picture hardly tells depth from size: both are held near the guess, per squared crop unit (size: logarithm).
PLACE_WEIGHT = 0.2
# Residual that a hypothesis e times less likely must gain: silhouettes alone mistake front for back.
ODDS_WEIGHT = 0.001
LEAST_SIZE = 24  # pixels of a compared render, for animals of a few pixels


@dataclass(frozen=True)
class FitConfig:
    """How long and at what size; `keep` hypotheses go on after `trial` steps.

    Args:
        steps: of Adam. trial: steps after which only the best hypothesis goes on. size: most pixels of the compared
            renders.
    """

    steps: int = 60
    trial: int = 12
    size: int = 64

    def size_for(self, crops: Sequence[Crop]) -> int:
        """Edge of the compared renders: their pixels are as wide as the pictures', because renderers blur every disk by
        half a pixel of theirs. A mouse compared in finer pixels is too wide in the picture's own (coverage 1.08)."""
        return int(np.clip(round(float(np.median([crop.picture_edge for crop in crops]))), LEAST_SIZE, self.size))


@dataclass
class Fitted:
    """A mouse that explains its pictures.

    Args:
        points: [N, 3] and colours [N, 3] in the view's frame. code: [C]. heading: radians. residual: mean squared error
            of premultiplied colours and alpha over the crop, after the fit. residuals: [H] of the hypotheses after the
            trial.
    """

    points: Tensor
    colours: Tensor
    code: Tensor
    heading: float
    residual: float
    residuals: list[float]


class _State:
    """Leaves of the optimisation for H hypotheses."""

    def __init__(self, guess: Guess, points: int) -> None:
        self.guess = guess
        count = len(guess.heading)
        self.leaves = {
            "code": guess.code.clone(),
            "heading": guess.heading.clone(),
            "size": torch.zeros_like(guess.size),
            "offset": guess.offset.clone(),
            "shift": torch.zeros(count, points, 3),
            "colours": guess.colours.clone(),
        }
        self.disks: Disks | None = None
        for leaf in self.leaves.values():
            leaf.requires_grad_(True)
        self.moments = {name: (torch.zeros_like(leaf), torch.zeros_like(leaf)) for name, leaf in self.leaves.items()}
        self.taken = 0

    @torch.no_grad()
    def descend(self, loss: Tensor) -> None:
        """One step of Adam. (torch.optim's first optimiser loads torch's compiler, a quarter of a cold start.)"""
        gradients = torch.autograd.grad(loss, list(self.leaves.values()))
        self.taken += 1
        for (name, leaf), gradient in zip(self.leaves.items(), gradients):
            mean, square = self.moments[name]
            mean.lerp_(gradient, 1 - BETAS[0])
            square.lerp_(gradient * gradient, 1 - BETAS[1])
            size = (square / (1 - BETAS[1] ** self.taken)).sqrt_().add_(1e-8)
            rate = RATES[name] * DECAY**self.taken / (1 - BETAS[0] ** self.taken)
            leaf.addcdiv_(mean, size, value=-rate)
        self.leaves["colours"].clamp_(0, 1)

    def points(self, network: PriorNetwork) -> Tensor:
        leaf = self.leaves
        return (
            network.place(leaf["code"], leaf["heading"], self.guess.size * leaf["size"].exp(), leaf["offset"])
            + leaf["shift"]
        )

    def penalty(self, network: PriorNetwork) -> Tensor:
        """[H] distance from what the prior finds likely."""
        leaf, around = self.leaves, network.neighbours
        rough = leaf["shift"] - neighbour_mean(leaf["shift"], around)
        tint = leaf["colours"] - self.guess.colours
        moved = leaf["size"].square().sum(1) + (leaf["offset"] - self.guess.offset).square().sum(1)
        return (
            CODE_WEIGHT * (leaf["code"] - self.guess.code).square().mean(1)
            + SHIFT_WEIGHT * (rough.square().sum(-1).mean(1) + 0.02 * leaf["shift"].square().sum(-1).mean(1))
            + PLACE_WEIGHT * moved
            + COLOUR_WEIGHT * 0.02 * tint.square().mean((1, 2))
        )


@dataclass(frozen=True)
class Task:
    """A mouse to be fitted.

    Args:
        guess: H hypotheses. pictures: [V, S, S, 4] premultiplied rgba. cameras: V, of the same size, in the view's
            frame of `guess`.
    """

    guess: Guess
    pictures: Tensor
    cameras: CameraTensors


class _Pictures:
    """The pictures of several tasks, on the canvas of the largest; what a row of the optimisation is compared with.

    A smaller picture lies in the upper left corner, pixel for pixel as on its own, and the rest weighs nothing.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        edge = max(task.pictures.shape[1] for task in tasks)
        self.rgba = torch.stack([_on_canvas(task.pictures, edge) for task in tasks])
        ones = [torch.full_like(task.pictures[..., 0], 1.0 / task.pictures[..., 0].numel()) for task in tasks]
        self.weight = torch.stack([_on_canvas(one[..., None], edge)[..., 0] for one in ones])
        w2c = torch.stack([task.cameras.w2c for task in tasks])
        fxfycxcy = torch.stack([task.cameras.fxfycxcy for task in tasks])
        self.cameras = CameraTensors(w2c, fxfycxcy, edge, edge)
        self.pixel = torch.tensor([pixel_size(task.cameras) for task in tasks])[:, None]

    def of_rows(self, owner: Tensor) -> _Pictures:
        """One set of pictures a row, `owner` [H] the task of each."""
        chosen, cameras = copy.copy(self), self.cameras
        chosen.rgba, chosen.weight, chosen.pixel = self.rgba[owner], self.weight[owner], self.pixel[owner]
        chosen.cameras = replace(cameras, w2c=cameras.w2c[owner], fxfycxcy=cameras.fxfycxcy[owner])
        return chosen


def _on_canvas(pictures: Tensor, edge: int) -> Tensor:
    """Pictures [V, S, S, C] in the upper left corners of empty ones [V, edge, edge, C]."""
    canvas = pictures.new_zeros(len(pictures), edge, edge, pictures.shape[-1])
    canvas[:, : pictures.shape[1], : pictures.shape[2]] = pictures
    return canvas


def fit_mouse(
    network: PriorNetwork, guess: Guess, pictures: Tensor, cameras: CameraTensors, config: FitConfig
) -> Fitted:
    """The mouse among the hypotheses, and near them, that explains V pictures best; see `Task`."""
    return fit_mice(network, [Task(guess, pictures, cameras)], config)[0]


def fit_mice(network: PriorNetwork, tasks: Sequence[Task], config: FitConfig) -> list[Fitted]:
    """The mice of several tasks of equally many pictures, as `fit_mouse` finds each but for rounding.

    A step costs little more for many than for one, whose products wait for the network's weights.
    """
    found: dict[int, Fitted] = {}
    for several in (False, True):  # where there is one hypothesis nothing starts anew after the trial
        chosen = [k for k, task in enumerate(tasks) if (len(task.guess.heading) > 1) == several]
        if chosen:
            found |= zip(chosen, _fit_together(network, [tasks[k] for k in chosen], config), strict=True)
    return [found[k] for k in range(len(tasks))]


def _fit_together(network: PriorNetwork, tasks: Sequence[Task], config: FitConfig) -> list[Fitted]:
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    every = _Pictures(tasks)
    owner = torch.cat([torch.full((len(task.guess.heading),), k) for k, task in enumerate(tasks)])
    guesses = [vars(task.guess).values() for task in tasks]
    state = _State(Guess(*map(torch.cat, zip(*guesses, strict=True))), network.config.points)
    pictures, residuals = every.of_rows(owner), [[] for _ in tasks]
    for step in range(config.steps):
        if step == min(config.trial, config.steps - 1) and len(owner) > len(tasks):
            with torch.no_grad():
                error = _compare(network, state, pictures)
            residuals = [error[owner == k].tolist() for k in range(len(tasks))]
            state = _keep_best(state, error - ODDS_WEIGHT * state.guess.probability.log(), owner)
            owner = torch.arange(len(tasks))
            pictures = every
        if step % RESHAPE_EVERY == 0:
            state.disks = None
        loss = (_compare(network, state, pictures) + state.penalty(network)).sum()
        state.descend(loss)
    state.disks = None
    with torch.no_grad():
        last, points = _compare(network, state, pictures).tolist(), state.points(network)
    leaf = {name: value.detach() for name, value in state.leaves.items()}
    return [
        Fitted(points[k], leaf["colours"][k], leaf["code"][k], float(leaf["heading"][k]), last[k], tried or [last[k]])
        for k, tried in enumerate(residuals)
    ]


@torch.no_grad()
def measure(network: PriorNetwork, guess: Guess, pictures: Tensor, cameras: CameraTensors) -> Tensor:
    """[H] how badly each hypothesis, as it stands, explains the pictures (see `fit_mouse`)."""
    rows = torch.zeros(len(guess.heading), dtype=torch.long)
    shown = _Pictures([Task(guess, pictures, cameras)]).of_rows(rows)
    return _compare(network, _State(guess, network.config.points), shown)


def _keep_best(state: _State, badness: Tensor, owner: Tensor) -> _State:
    """The least bad row [H] of every task, without what the optimiser remembers."""
    rows = [torch.where(owner == k, badness, torch.inf).argmin() for k in range(int(owner.max()) + 1)]
    best = torch.stack(rows)
    kept = _State(state.guess.select(best), state.leaves["shift"].shape[1])
    with torch.no_grad():
        for name, leaf in kept.leaves.items():
            leaf.copy_(state.leaves[name][best])
    return kept


def _compare(network: PriorNetwork, state: _State, pictures: _Pictures) -> Tensor:
    """[H] mean squared error of rgb over black and of alpha, weighted so that outlines and colours both count."""
    points = state.points(network)
    if state.disks is None:
        with torch.no_grad():
            state.disks = shape_disks(points, network.neighbours, network.group)
    colours = state.leaves["colours"]
    gaussians = make_gaussians(points, colours, network.neighbours, network.group, pictures.pixel, state.disks)
    shown = render(gaussians, pictures.cameras)
    alpha = (shown.alpha - pictures.rgba[..., 3]).square()
    colour = (shown.rgb - pictures.rgba[..., :3]).square().sum(-1)
    return ((alpha + colour) * pictures.weight).sum((1, 2, 3))


def pixel_size(cameras: CameraTensors) -> float:
    """Length that a pixel spans at the origin, mean over the cameras."""
    return float((cameras.centers.norm(dim=-1) / cameras.fxfycxcy[..., 0]).mean())


def to_gaussians(network: PriorNetwork, points: Tensor, colours: Tensor, pixel: float) -> Gaussians:
    """The Gaussians of one mouse, points [N, 3] in any frame; `pixel` as in `make_gaussians`."""
    return make_gaussians(points, colours, network.neighbours, network.group, pixel)
