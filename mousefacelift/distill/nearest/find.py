"""From a picture to the filmed pose that explains it best, moved to where the picture shows it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mousefacelift.core.cameras import Camera
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.distill.config import NearestConfig
from mousefacelift.distill.nearest.library import Found, Library, Pose
from mousefacelift.distill.nearest.match import (
    GUESSES,
    Fit,
    Target,
    first_guess,
    fit_splat,
    library_turn,
    moved_gaussians,
    raised_camera,
)

TILTS = (-25.0, -10.0, 5.0, 20.0, 35.0)  # degrees about the assumed elevation that are tried for an unknown camera


@dataclass(frozen=True)
class NearestPose:
    """The answer to one picture.

    Args:
        gaussians: of the pose, moved, in the world of `camera`. camera: the picture's own, or the estimated one.
        pose: which splat. fit: how it was moved.
        distance: of the picture's code to the nearest view of the library.
        usual: `Library.how_usual` of that distance: near 1 the pose is unlike anything filmed.
    """

    gaussians: Gaussians
    camera: Camera
    pose: Pose
    fit: Fit
    distance: float
    usual: float

    @property
    def facts(self) -> dict:
        """What is worth writing down, JSON-able."""
        return {
            "pose": f"{self.pose.recording}/{self.pose.frame}",
            "residual": round(self.fit.residual, 4),
            "iou": round(self.fit.iou, 4),
            "usual": round(self.usual, 3),
        }


def find_nearest(
    library: Library, rgba: np.ndarray, camera: Camera, config: NearestConfig, knows_camera: bool = True
) -> NearestPose:
    """The filmed pose that explains straight-alpha rgba [H, W, 4] best after render-and-compare.

    Args:
        camera: of the picture; where `knows_camera` is False its azimuth is taken as it is, its elevation estimated.
    Raises:
        DataError: a picture without foreground, or a splat of the library that cannot be read.
    """
    target, tilts = Target(rgba, camera), (0.0,) if knows_camera else TILTS
    found = library.find(rgba, config.candidates)
    guessed = []
    for one in found:
        gaussians = library.gaussians(one.pose)
        turns = [library_turn(camera, one.azimuth) + guess for guess in GUESSES]
        start, error = first_guess(target, gaussians, turns, tilts)
        guessed.append((error, one, gaussians, start))
    guessed.sort(key=lambda entry: entry[0])
    free = (True, True, True, True, not knows_camera)
    fits = [
        (fit_splat(target, gaussians, start, config.steps, free), one, gaussians)
        for _, one, gaussians, start in guessed[: config.refined]
    ]
    fit, one, gaussians = min(fits, key=lambda entry: entry[0].residual)
    return _answer(library, found, fit, one, gaussians, camera)


def _answer(
    library: Library, found: list[Found], fit: Fit, one: Found, gaussians: Gaussians, camera: Camera
) -> NearestPose:
    moved = moved_gaussians(gaussians, fit, camera)
    fit = replace(fit, turn=(fit.turn + 180) % 360 - 180)
    distance = found[0].distance
    eye = raised_camera(camera, fit.tilt)
    return NearestPose(moved, eye, library.poses[one.pose], fit, distance, library.how_usual(distance))
