"""Posed views in any unit -> the canonical world, which the networks know: the animal at the origin, cameras about 2.7
away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mousefacelift.core.cameras import CANONICAL_DISTANCE, project
from mousefacelift.core.samples import Sample
from mousefacelift.core.similarity import Similarity
from mousefacelift.errors import CameraError

KNOWN_DISTANCE = (2.0, 3.65)  # mean camera distances, 2.7 times 0.74 to 1.35, that are left as they are


def canonical_views(sample: Sample, name: str) -> tuple[Sample, float]:
    """The sample with its world scaled so that its cameras are 2.7 from the origin on average, and the factor.

    One factor for all cameras leaves every pixel as it was. Means that are near 2.7 anyway keep their scale (factor 1).

    Raises:
        CameraError: the origin, where the animal must be, is not in every picture: no scale can mend that.
    """
    distances = []
    for number, camera in enumerate(sample.cameras):
        pixel, depth = project(camera, np.zeros(3))
        if depth <= 0:
            raise CameraError(
                "the animal is behind a camera",
                where=f"{name}, view {number}",
                got=f"origin at z = {float(depth):.3g}",
                expected="in front of the camera",
                likely="OpenGL axes, or a world that is not centred on the animal",
            )
        if not (0 <= pixel[0] <= camera.width and 0 <= pixel[1] <= camera.height):
            raise CameraError(
                "the world of the views is not centred on the animal",
                where=f"{name}, view {number}",
                got=f"origin at pixel {pixel[0]:.0f}, {pixel[1]:.0f} of {camera.width}x{camera.height}",
                expected="inside the picture",
                likely="world coordinates of the arena",
                hint="mousefacelift capture audit, locate and normalise make centred views of a recording",
            )
        distances.append(float(np.linalg.norm(camera.center)))
    mean = float(np.mean(distances))
    if KNOWN_DISTANCE[0] <= mean <= KNOWN_DISTANCE[1]:
        return sample, 1.0
    scale = CANONICAL_DISTANCE / mean
    grown = Similarity(scale)
    views = tuple(replace(view, camera=grown.apply_camera(view.camera)) for view in sample.views)
    facts = replace(sample.facts, details=sample.facts.details | {"world_scale": scale})
    return replace(sample, views=views, facts=facts), scale
