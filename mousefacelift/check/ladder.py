"""The baseline ladder: what a prediction must beat before it means anything. Always printed beside the result.

    white            nothing at all
    mean_image       the mean training image of the same rig camera: what a collapsed network predicts
    nearest_input    the input photo nearest in angle, unchanged: what a copying network predicts
    visual_hull      the silhouettes' visual hull, coloured from the inputs that see each point
    one_silhouette   the same of a single picture (protocol S): its cone, as deep as the animal is seen to be wide

Each baseline answers with the RGBA image that it would show for a target camera.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mousefacelift.core.cameras import Camera, angle_between, find_pixels, project, unproject
from mousefacelift.core.hull import Hull, carve_hull_tight, hull_depth
from mousefacelift.core.images import premultiply, unpremultiply
from mousefacelift.core.samples import View

HULL_RESOLUTION = 96
HALF_EXTENT = 1.0


def white(camera: Camera) -> np.ndarray:
    """Fully transparent rgba [H, W, 4] (shows the background)."""
    return np.zeros((camera.height, camera.width, 4), np.float32)


class RunningMean:
    """Mean rgba [H, W, 4] of one camera's training images, averaged premultiplied, one image at a time."""

    def __init__(self) -> None:
        self.total, self.count = np.zeros(0), 0

    def add(self, rgba: np.ndarray) -> None:
        """Take in one image."""
        part = premultiply(rgba).astype(np.float64)
        self.total, self.count = self.total + part if self.count else part, self.count + 1

    def image(self) -> np.ndarray:
        """The mean of the images so far."""
        return unpremultiply((self.total / self.count).astype(np.float32))


def silhouette_cone(view: View) -> Hull:
    """What one silhouette allows about the origin: its cone, cut by the sphere that the silhouette itself reaches.

    Nothing is known along the rays, so the body is taken to be at most as deep as it is seen to be wide.
    """
    rows, columns = np.nonzero(view.rgba[..., 3] > 0.5)
    pixels = np.stack([columns + 0.5, rows + 0.5], -1)
    distance = float(np.linalg.norm(view.camera.center))
    near = unproject(view.camera, pixels, np.full(len(pixels), distance))
    along = near - view.camera.center
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    offset = -view.camera.center
    reach = float(np.linalg.norm(offset - (along @ offset)[:, None] * along, axis=1).max())
    voxel = 2 * reach / HULL_RESOLUTION
    axis = (np.arange(HULL_RESOLUTION) + 0.5) * voxel - reach
    squares = axis * axis
    occupied = np.sqrt(squares[:, None, None] + squares[:, None] + squares) <= reach
    points = axis[np.stack(np.nonzero(occupied), -1)]
    row, column, inside, _ = find_pixels(view.camera, points)
    occupied[occupied] = inside & (view.rgba[row, column, 3] > 0.5)
    return Hull(occupied, np.full(3, -reach), voxel)


def spread_colours(view: View) -> View:
    """The view with every transparent pixel in the colour of the nearest foreground pixel, so that a body that reaches
    a pixel beyond the silhouette is not coloured by the background."""
    from scipy.ndimage import distance_transform_edt  # of single pictures alone

    outside = view.rgba[..., 3] <= 0.5
    rows, columns = distance_transform_edt(outside, return_distances=False, return_indices=True)
    return replace(view, rgba=np.dstack([view.rgba[rows, columns, :3], view.rgba[..., 3]]))


def nearest_input(inputs: Sequence[View], camera: Camera) -> np.ndarray:
    """rgba [H, W, 4] of the input whose camera is nearest in angle to `camera`."""
    return min(inputs, key=lambda view: angle_between(view.camera, camera)).rgba


def input_hull(inputs: Sequence[View]) -> Hull:
    """Visual hull of the input silhouettes in [-1, 1]^3; of a single one, its cone (`silhouette_cone`)."""
    if len(inputs) == 1:
        return silhouette_cone(inputs[0])
    return carve_hull_tight(
        [view.rgba[..., 3] for view in inputs],
        [view.camera for view in inputs],
        np.zeros(3),
        HALF_EXTENT,
        HULL_RESOLUTION,
        margin=0.5,
    )


def visual_hull(
    hull: Hull, inputs: Sequence[View], camera: Camera, depths: Sequence[np.ndarray] | None = None
) -> np.ndarray:
    """rgba [H, W, 4] of the hull seen by `camera`, coloured from the inputs.

    Every pixel's hull point takes the mean colour of the inputs that see it (depth agrees with the hull's within two
    voxels), weighted toward small angles between input and target; points that no input sees take the weighted mean of
    all. `depths` are the hull's from the inputs (`hull_depth`), where many cameras ask about one hull.
    """
    depths = [hull_depth(hull, view.camera) for view in inputs] if depths is None else depths
    depth = hull_depth(hull, camera)
    inside = np.isfinite(depth) & (depth > 0)
    rgba = np.zeros((camera.height, camera.width, 4), np.float32)
    if not inside.any():
        return rgba
    rows, columns = np.nonzero(inside)
    points = unproject(camera, np.stack([columns + 0.5, rows + 0.5], -1), depth[inside])
    colours, weights = zip(
        *(_seen_colour(hull, near, view, camera, points) for view, near in zip(inputs, depths, strict=True))
    )
    colours, weights = np.stack(colours), np.stack(weights)
    total = weights.sum(0)
    rgba[rows, columns, :3] = (colours * weights[..., None]).sum(0) / np.maximum(total, 1e-9)[:, None]
    rgba[rows, columns, 3] = 1.0
    return rgba


def _seen_colour(
    hull: Hull, depth: np.ndarray, view: View, camera: Camera, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Colour [P, 3] of the points in one input, and weight [P]: by angle, tiny where the point is hidden or off the
    mask."""
    pixels, z = project(view.camera, points)
    column = np.clip(pixels[:, 0].astype(int), 0, view.camera.width - 1)
    row = np.clip(pixels[:, 1].astype(int), 0, view.camera.height - 1)
    sample = view.rgba[row, column]
    seen = (z < depth[row, column] + 2 * hull.voxel) & (sample[:, 3] > 0.5)
    closeness = np.exp(-((angle_between(view.camera, camera) / 45.0) ** 2)) + 1e-3
    return sample[:, :3], np.where(seen, closeness, 1e-6 * sample[:, 3] + 1e-9)


@dataclass(frozen=True)
class Question:
    """What a rung may look at for one target: its camera, the inputs, their hull, the camera's mean image, and the
    hull's depth from every input."""

    camera: Camera
    inputs: Sequence[View]
    hull: Hull
    mean: np.ndarray
    depths: Sequence[np.ndarray] | None = None


RUNGS: dict[str, Callable[[Question], np.ndarray]] = {  # in the order shown; a new rung is a row here
    "white": lambda asked: white(asked.camera),
    "mean_image": lambda asked: asked.mean,
    "nearest_input": lambda asked: nearest_input(asked.inputs, asked.camera),
    "visual_hull": lambda asked: visual_hull(asked.hull, asked.inputs, asked.camera, asked.depths),
}
