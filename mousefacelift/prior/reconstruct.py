"""One picture -> Gaussians in the world: crop, guess, render-and-compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import CANONICAL_DISTANCE, Camera, canonical_fxfycxcy, orbit
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.images import premultiply, resize_rgba
from mousefacelift.core.parallel import one_torch_thread
from mousefacelift.errors import DataError
from mousefacelift.prior.crop import MASK_LEVEL, Crop, cut_out
from mousefacelift.prior.fit import FitConfig, Fitted, Task, fit_mice, to_gaussians
from mousefacelift.prior.model import Guess, estimate_elevation, guess_mice
from mousefacelift.prior.network import PriorNetwork


@dataclass(frozen=True)
class Reconstruction:
    """A mouse in the world of the camera (Z up, animal near the origin).

    Args:
        gaussians: N disks. camera: the one given, or the one assumed. elevation: degrees, of the view axis at the
            animal.
        camera_known: whether it was given. heading: degrees from +x toward +y in the world.
        residual: of render-and-compare, mean squared over the crop. hypotheses: headings (world, degrees),
            probabilities and residuals of what was tried. code: [C] of the shape. points: [N, 3] template points.
            colours: [N, 3].
    """

    gaussians: Gaussians
    camera: Camera
    camera_known: bool
    elevation: float
    heading: float
    residual: float
    hypotheses: list[dict]
    code: Tensor
    points: Tensor
    colours: Tensor


def reconstruct(
    rgba: np.ndarray,
    camera: Camera | None,
    model: PriorNetwork,
    fit: FitConfig | None = None,
    elevation: float | None = None,
    hypotheses: int = 4,
) -> Reconstruction:
    """The mouse of one picture; see `reconstruct_many`."""
    return reconstruct_many([(rgba, camera)], model, fit, elevation, hypotheses)[0]


@one_torch_thread()
def reconstruct_many(
    pictures: Sequence[tuple[np.ndarray, Camera | None]],
    model: PriorNetwork,
    fit: FitConfig | None = None,
    elevation: float | None = None,
    hypotheses: int = 4,
) -> list[Reconstruction]:
    """The mice of pictures that have nothing to do with each other, fitted side by side.

    Args:
        pictures: rgba [H, W, 4] float in [0, 1], straight alpha; its camera, or None when it is unknown.
        fit: None takes the network's first guess as it is.
        elevation: degrees of unknown cameras; None estimates it.
    Raises:
        DataError: no silhouette, or a camera that looks away from the world's origin.
    """
    cameras = [assume_camera(rgba, model, elevation) if camera is None else camera for rgba, camera in pictures]
    known = [camera is not None for _, camera in pictures]
    crops = [cut_out(rgba, camera, model.config.size) for (rgba, _), camera in zip(pictures, cameras, strict=True)]
    guesses = guess_mice(model, crops, hypotheses, [told or elevation is not None for told in known])
    if fit is None:
        fitted = [_unfitted(model, guess) for guess in guesses]
    else:
        tasks = [_task(guess, crop, fit.size_for([crop])) for guess, crop in zip(guesses, crops, strict=True)]
        fitted = fit_mice(model, tasks, fit)
    return [_in_world(model, *parts) for parts in zip(fitted, guesses, crops, cameras, known, strict=True)]


def _task(guess: Guess, crop: Crop, size: int) -> Task:
    """A crop at `size` pixels as what a fit is compared with."""
    small = crop.camera.scaled_to(size, size)
    picture = torch.from_numpy(premultiply(resize_rgba(crop.rgba, size, size)).astype(np.float32))
    return Task(guess, picture[None], cameras_in_view(crop, [small]))


def assume_camera(rgba: np.ndarray, model: PriorNetwork, elevation: float | None) -> Camera:
    """The canonical camera at azimuth 0 that the picture is taken to come from, at the given or the estimated
    elevation.

    The picture's longer side spans the canonical field of view, so that a tight picture shows a large animal.
    """
    height, width = rgba.shape[:2]
    if not (rgba[..., 3] > MASK_LEVEL).any():
        raise DataError(
            "the picture shows no animal", got=f"alpha of at most {rgba[..., 3].max():.2f}", expected="an RGBA cut-out"
        )
    focal = canonical_fxfycxcy(max(height, width))[0]
    intrinsics = np.array([focal, focal, width / 2, height / 2])
    level = orbit(0.0, 15.0 if elevation is None else elevation, CANONICAL_DISTANCE, intrinsics, width, height)
    if elevation is None:
        elevation = estimate_elevation(model, cut_out(rgba, level, model.config.size).rgba)
        level = orbit(0.0, float(np.clip(elevation, -60, 85)), CANONICAL_DISTANCE, intrinsics, width, height)
    return level


def view_frame(crop: Crop) -> np.ndarray:
    """[3, 3] rows: world axes turned about z so that the crop's camera looks along +x (see `network`)."""
    forward = crop.camera.R[2]
    angle = np.arctan2(forward[1], forward[0])
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]])


def cameras_in_view(crop: Crop, cameras: list[Camera]) -> CameraTensors:
    """World cameras of one size, expressed in the view's frame of a crop."""
    turn, moved = view_frame(crop), []
    for camera in cameras:
        w2c = np.eye(4)
        w2c[:3, :3] = camera.R @ turn.T
        w2c[:3, 3] = (camera.R @ crop.anchor + camera.t) / crop.unit
        moved.append(Camera(w2c, camera.fxfycxcy, camera.width, camera.height))
    return CameraTensors.from_cameras(moved)


def _unfitted(model: PriorNetwork, guess: Guess) -> Fitted:
    with torch.no_grad():
        points = model.place(guess.code[:1], guess.heading[:1], guess.size[:1], guess.offset[:1])[0]
    return Fitted(points, guess.colours[0], guess.code[0], float(guess.heading[0]), float("nan"), [])


def points_in_world(points: Tensor, crop: Crop) -> Tensor:
    """World points of points [N, 3] in the view's frame."""
    turn = torch.from_numpy(view_frame(crop)).float()
    return crop.unit * points @ turn + torch.from_numpy(crop.anchor).float()


def _in_world(
    model: PriorNetwork, fitted: Fitted, guess: Guess, crop: Crop, camera: Camera, known: bool
) -> Reconstruction:
    points = points_in_world(fitted.points, crop)
    forward = crop.camera.R[2]
    facing = float(np.degrees(np.arctan2(forward[1], forward[0])))
    tried = [
        {"heading": round((float(np.degrees(h)) + facing) % 360, 1), "probability": round(float(p), 4)}
        for h, p in zip(guess.heading, guess.probability)
    ]
    for entry, residual in zip(tried, fitted.residuals):
        entry["residual"] = round(residual, 5)
    elevation = float(np.degrees(np.arcsin(crop.facts[0])))
    heading = (np.degrees(fitted.heading) + facing) % 360
    return Reconstruction(
        to_gaussians(
            model, points, fitted.colours, float(np.linalg.norm(camera.center - crop.anchor)) / camera.fxfycxcy[0]
        ),
        camera,
        known,
        elevation,
        float(heading),
        fitted.residual,
        tried,
        fitted.code,
        points,
        fitted.colours,
    )
