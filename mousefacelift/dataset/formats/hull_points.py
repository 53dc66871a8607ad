"""Points of a sample's visual hull with colours: the sparse cloud that readers of COLMAP models start from."""

from __future__ import annotations

import numpy as np

from mousefacelift.core.cameras import Camera, find_pixels
from mousefacelift.core.hull import carve_hull_tight
from mousefacelift.core.samples import Sample
from mousefacelift.core.spread import spread
from mousefacelift.errors import DataError

RESOLUTION, MOST = 48, 4000
EXTENT = 1.2  # half edge of the cube in which the animal of a canonical sample lies


def hull_points(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """[N, 3] points on the visual hull of the views' alpha and their mean colours [N, 3] in 0..1, at most MOST.

    Raises:
        DataError: the views see no common body.
    """
    width, height = (max(getattr(camera, side) for camera in sample.cameras) for side in ("width", "height"))
    masks = np.zeros((len(sample.views), height, width), bool)
    for mask, view in zip(masks, sample.views):
        mask[: view.camera.height, : view.camera.width] = view.rgba[..., 3] > 0.5
    cameras = [Camera(camera.w2c, camera.fxfycxcy, width, height) for camera in sample.cameras]
    hull = carve_hull_tight(masks, cameras, np.zeros(3), EXTENT, RESOLUTION, tolerance=0, margin=0.5)
    if hull.empty:
        raise DataError(
            "the views of a sample see no common body",
            likely="views that do not surround one thing at the origin",
            hint="export as nerfstudio, which needs no points",
        )
    points = hull.surface_points()
    points = points[spread(len(points), MOST)]
    return points, _colors(points, sample)


def _colors(points: np.ndarray, sample: Sample) -> np.ndarray:
    """Mean colour of each point over the views in whose silhouette it falls; no depth is tested."""
    total, weight = np.zeros((len(points), 3)), np.full((len(points), 1), 1e-9)
    for view in sample.views:
        rows, columns, inside, _ = find_pixels(view.camera, points)
        seen = view.rgba[rows, columns] * inside[:, None]
        scale = 255.0 if view.rgba.dtype == np.uint8 else 1.0
        total += seen[:, :3] / scale * (seen[:, 3:] / scale)
        weight += seen[:, 3:] / scale
    return np.clip(total / weight, 0, 1)
