"""Under what circumstances a view was judged: how far it lies from a picture that was given, and how the animal stood.

A score without them hides where it holds: errors grow away from the cameras and with poses that are rarely filmed.
Pose is read off the visual hull of the true silhouettes, so it is the same for every method.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mousefacelift.core.cameras import Camera, angle_between
from mousefacelift.core.hull import Hull, carve_hull_tight
from mousefacelift.core.samples import View

COLUMNS = ("angle", "stretch", "pitch")  # of the tables of judged views; no scores, never averaged as such
HULL_RESOLUTION, HALF_EXTENT = 48, 1.0
CARVED = 8  # views at most that a pose is carved from


def pose_of_hull(hull: Hull) -> dict[str, float]:
    """How the body stands.

    Returns:
        stretch: length over width, the ratio of the standard deviations of the two longest axes (1 is curled up).
        pitch: degrees of the longest axis from the ground, 0 to 90 (rearing is steep). NaN for an empty hull.
    """
    points = hull.points()
    if len(points) < 4:
        return {"stretch": float("nan"), "pitch": float("nan")}
    values, axes = np.linalg.eigh(np.cov(points.T))
    longest = axes[:, 2]
    return {
        "stretch": float(np.sqrt(values[2] / max(values[1], 1e-12))),
        "pitch": float(np.degrees(np.arcsin(np.clip(abs(longest[2]), 0, 1)))),
    }


def pose_of_views(views: Sequence[View]) -> dict[str, float]:
    """`pose_of_hull` of the silhouettes of true views of one moment (at most CARVED of them, evenly chosen)."""
    chosen = [views[int(i)] for i in np.unique(np.linspace(0, len(views) - 1, min(CARVED, len(views))).round())]
    hull = carve_hull_tight(
        [view.rgba[..., 3] for view in chosen],
        [view.camera for view in chosen],
        np.zeros(3),
        HALF_EXTENT,
        HULL_RESOLUTION,
        margin=0.5,
    )
    return pose_of_hull(hull)


def nearest_angles(given: Sequence[Camera], targets: Sequence[Camera]) -> list[float]:
    """Degrees from each target camera to the nearest camera whose picture was given."""
    return [min(angle_between(camera, other) for other in given) for camera in targets]
