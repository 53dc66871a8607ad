"""Declared view sets: which cameras a generator paints, relative to its input, and who says so.

The angles are a fact about a generator's weights, never a constant in the code that uses them: the `pose` generator
takes any set, the published ones have their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mousefacelift.core.cameras import CANONICAL_DISTANCE, Camera, azimuth_elevation, canonical_fxfycxcy, orbit
from mousefacelift.errors import ConfigError

FAR = 1.5  # cameras of one rig are within a third of their mean distance, which is 2.7 unless lenses are long


@dataclass(frozen=True)
class ViewSet:
    """Cameras relative to an input camera.

    Args:
        name: for messages and provenance.
        relative_azimuths: degrees to add to the input camera's azimuth.
        elevations: degrees, one per view.
        reference: what elevations count from: the horizon (absolute) or the input camera.
        distance: of every view from the animal; None takes the input camera's.
        field_of_view: degrees across the image; None takes the input camera's focal length, and with a telephoto lens
            (farther than FAR times `distance`) its distance too, or the view would be filled by a patch of fur.
        source: where these numbers come from.
    """

    name: str
    relative_azimuths: tuple[float, ...]
    elevations: tuple[float, ...]
    reference: Literal["horizon", "input"]
    distance: float | None
    field_of_view: float | None
    source: str

    def cameras(self, source: Camera, size: int) -> list[Camera]:
        """The absolute cameras (world = rig), square images of `size` pixels, for an input camera."""
        azimuth, elevation, distance = azimuth_elevation(source)
        if self.field_of_view is None:
            focal = source.fxfycxcy[0] * size / source.width
        else:
            focal = size / 2 / np.tan(np.radians(self.field_of_view / 2))
        intrinsics = np.array([focal, focal, size / 2, size / 2])
        away = self.distance or distance
        if self.field_of_view is None and distance > FAR * away:
            away = distance
        base = 0.0 if self.reference == "horizon" else elevation
        return [
            orbit((azimuth + turn) % 360.0, base + up, away, intrinsics, size, size)
            for turn, up in zip(self.relative_azimuths, self.elevations, strict=True)
        ]


CANONICAL_FOV = float(np.degrees(2 * np.arctan(0.5 / canonical_fxfycxcy(1)[0])))  # 50 degrees

VIEW_SETS = {
    "facelift": ViewSet(
        "facelift",
        (0.0, -45.0, -90.0, 180.0, 90.0, 45.0),
        (0.0,) * 6,
        "horizon",
        CANONICAL_DISTANCE,
        CANONICAL_FOV,
        "inference cameras shipped with the published weights: front, front_right, right, back, left, front_left; "
        "elevation 0, radius 2.7, field of view 50 degrees",
    ),
    "zero123plus_v1.2": ViewSet(
        "zero123plus_v1.2",
        (30.0, 90.0, 150.0, 210.0, 270.0, 330.0),
        (20.0, -10.0) * 3,
        "horizon",
        4.0,
        30.0,
        "Zero123++ v1.2 model card: absolute elevations 20/-10, field of view 30 degrees; radius 4.0 as InstantMesh "
        "uses",
    ),
    "zero123plus_v1.1": ViewSet(
        "zero123plus_v1.1",
        (30.0, 90.0, 150.0, 210.0, 270.0, 330.0),
        (30.0, -20.0) * 3,
        "horizon",
        4.0,
        30.0,
        "Zero123++ v1.1 report: absolute elevations 30/-20; the field of view was not fixed in training, 30 degrees "
        "assumed",
    ),
    "sixty_between": ViewSet(
        "sixty_between",
        (30.0, 90.0, 150.0, 210.0, 270.0, 330.0),
        (15.0,) * 6,
        "horizon",
        CANONICAL_DISTANCE,
        None,
        "asked of the pose generator: between the cameras of a six-camera ring, at the middle of its two tiers",
    ),
    "sixty": ViewSet(
        "sixty",
        (0.0, 60.0, 120.0, 180.0, 240.0, 300.0),
        (0.0,) * 6,
        "input",
        CANONICAL_DISTANCE,
        None,
        "asked of the pose generator: a ring of 60-degree steps that starts at the input",
    ),
}


def wanted_views(name: str, azimuths: tuple[float, ...], elevation: float | None) -> ViewSet:
    """The declared set `name`, or for "custom" the given relative azimuths at one elevation (None: the input's own).

    Raises:
        ConfigError: no such set.
    """
    if name == "custom":
        return ViewSet(
            "custom",
            tuple(azimuths),
            (0.0 if elevation is None else elevation,) * len(azimuths),
            "input" if elevation is None else "horizon",
            CANONICAL_DISTANCE,
            None,
            "asked for in config.yaml",
        )
    if name not in VIEW_SETS:
        raise ConfigError(f"view set '{name}' is not declared", expected=f"one of {', '.join([*VIEW_SETS, 'custom'])}")
    return VIEW_SETS[name]
