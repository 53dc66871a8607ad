"""Several pictures of one moment, cameras known -> one mouse: what adaptation takes as the truth of a train frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.images import premultiply, resize_rgba
from mousefacelift.core.samples import View
from mousefacelift.prior.crop import Crop, cut_out
from mousefacelift.prior.fit import FitConfig, Fitted, fit_mouse, measure
from mousefacelift.prior.model import Guess, guess_mouse
from mousefacelift.prior.network import PriorNetwork
from mousefacelift.prior.reconstruct import cameras_in_view, points_in_world


@dataclass(frozen=True)
class Moment:
    """One fitted moment.

    Args:
        points: [N, 3] world. colours: [N, 3]. heading: radians, world. residual: of the fit. crops: of the pictures.
    """

    points: Tensor
    colours: Tensor
    heading: float
    residual: float
    crops: list[Crop]


def fit_moment(network: PriorNetwork, views: Sequence[View], fit: FitConfig) -> Moment:
    """The mouse that explains all pictures of one moment, started from the guess, of any picture, that explains them
    best."""
    crops = [cut_out(view.rgba, view.camera, network.config.size) for view in views]
    size = fit.size_for(crops)
    pictures = stack_pictures(crops, size)
    small = [crop.camera.scaled_to(size, size) for crop in crops]
    best: tuple[float, Crop, Guess, CameraTensors] | None = None
    for crop in crops:
        guess, cameras = guess_mouse(network, crop, hypotheses=2), cameras_in_view(crop, small)
        error = measure(network, guess, pictures, cameras)
        row = int(error.argmin())
        if best is None or float(error[row]) < best[0]:
            best = (float(error[row]), crop, guess.select([row]), cameras)
    _, crop, guess, cameras = best
    fitted = fit_mouse(network, guess, pictures, cameras, fit)
    return Moment(
        points_in_world(fitted.points, crop), fitted.colours, _heading_in_world(fitted, crop), fitted.residual, crops
    )


def stack_pictures(crops: Sequence[Crop], size: int) -> Tensor:
    """[V, S, S, 4] premultiplied pictures of crops."""
    return torch.stack(
        [torch.from_numpy(premultiply(resize_rgba(c.rgba, size, size)).astype(np.float32)) for c in crops]
    )


def _heading_in_world(fitted: Fitted, crop: Crop) -> float:
    forward = crop.camera.R[2]
    return fitted.heading + float(np.arctan2(forward[1], forward[0]))
