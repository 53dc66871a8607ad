"""Points of a sample's visual hull with colours: the sparse cloud that readers of COLMAP models start from."""

from __future__ import annotations

import numpy as np

from mousefacelift.core.cameras import Camera, project
from mousefacelift.core.hull import carve_hull_tight
from mousefacelift.core.samples import Sample
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
    points = points[np.unique(np.linspace(0, len(points) - 1, MOST).round().astype(int))]
    return points, _colors(points, sample)


def _colors(points: np.ndarray, sample: Sample) -> np.ndarray:
    """Mean colour of each point over the views in whose silhouette it falls; no depth is tested."""
    total, weight = np.zeros((len(points), 3)), np.full((len(points), 1), 1e-9)
    for view in sample.views:
        pixels, depth = project(view.camera, points)
        columns, rows = np.floor(np.where(depth[:, None] > 0, pixels, -1)).astype(int).T
        inside = (columns >= 0) & (columns < view.camera.width) & (rows >= 0) & (rows < view.camera.height)
        seen = view.rgba[rows.clip(0, view.camera.height - 1), columns.clip(0, view.camera.width - 1)] * inside[:, None]
        scale = 255.0 if view.rgba.dtype == np.uint8 else 1.0
        total += seen[:, :3] / scale * (seen[:, 3:] / scale)
        weight += seen[:, 3:] / scale
    return np.clip(total / weight, 0, 1)
