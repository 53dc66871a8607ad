"""Where a fit starts: Gaussians on the surface of the (rounded) visual hull, in the colours that the views see
there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from mousefacelift.core.cameras import find_pixels
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.hull import Hull, carve_hull_tight, cast_silhouettes, hull_depth
from mousefacelift.errors import DataError
from mousefacelift.splats.colors import VISIBLE_WITHIN, camera_offsets
from mousefacelift.splats.config import HullConfig
from mousefacelift.splats.frames import FrameViews
from mousefacelift.splats.rounding import round_hull

START_OPACITY = 0.5
NORMAL_BLUR = 1.5  # voxels
THICKNESS = 0.3  # of a disk, as a share of its radius
SURFACE_OPACITY = 0.97  # of the hull drawn as it is, the baseline of every fit
MENDING_VIEWS = 3  # of two, each alone would be "all but one"
MENDING_BARE = 0.05  # of a silhouette: masks that differ by a pixel or two leave 0.02 bare, lost parts 0.05 to 0.24
MENDING_REACH = 0.35  # of the hull's longest side: how far beyond it a lost part may lie


def carve_frame(frame: FrameViews, config: HullConfig) -> Hull:
    """The visual hull of a frame in a grid around the animal.

    Raises:
        DataError: the silhouettes have no common body.
    """
    views = len(frame.cameras)
    hull = carve_hull_tight(
        frame.masks,
        frame.cameras,
        np.zeros(3),
        config.half_extent,
        config.grid,
        tolerance=min(config.tolerance, max(0, views - 2)),
        min_views=min(config.min_views, views),
        margin=config.margin,
    )
    if hull.empty:
        raise DataError(
            f"frame '{frame.name}': the views see no common volume",
            got=f"an empty hull of {views} silhouettes within {config.half_extent} units of the origin",
            likely="cameras that do not belong to these images, not in canonical units, or from different frames",
            hint="mousefacelift capture audit",
        )
    return hull


def carve_body(frame: FrameViews, config: HullConfig) -> Hull:
    """The body that a fit starts from: the hull without its corners (`round_hull`), mended where a mask lacks parts.

    The plain hull loses whatever one mask lacks: lit fur under a threshold, a part behind a post. What a silhouette
    claims and the hull leaves bare is put back where all views but one agree on it.
    """
    hull = carve_frame(frame, config)
    views, masks = len(frame.cameras), frame.masks
    if config.rounding <= 0:
        return hull
    if views < MENDING_VIEWS or max(_bare(hull, frame)) < MENDING_BARE:
        return round_hull(hull, masks, frame.cameras, config.rounding, config.rounds)
    index = np.argwhere(hull.occupancy)
    low, high = hull.origin + index.min(0) * hull.voxel, hull.origin + (index.max(0) + 1) * hull.voxel
    reach = MENDING_REACH * float((high - low).max())
    tolerance, least = min(config.tolerance, views - 2), min(config.min_views, views)
    votes = cast_silhouettes(
        masks, frame.cameras, (low + high) / 2, (high - low) / 2 + reach, config.grid, config.margin, tolerance + 1
    )
    strict = votes.without_ghosts(votes.hull(tolerance, least))
    allowed = votes.hull(tolerance + 1, least)
    return round_hull(allowed, masks, frame.cameras, config.rounding, config.rounds, strict.occupancy)


@dataclass(frozen=True)
class Body:
    """A frame ready for a fit.

    Attributes:
        frame: with `sure` and `offsets` as the body tells them.
        hull: the body, see `carve_body`.
        depths: of `see_body`.
    """

    frame: FrameViews
    hull: Hull
    depths: list[np.ndarray]


def find_body(frame: FrameViews, config: HullConfig) -> Body:
    """The body of a frame, and the frame with what the body tells about its masks and colours.

    Raises:
        DataError: the silhouettes have no common body.
    """
    hull = carve_body(frame, config)
    depths = see_body(frame, hull)
    doubted = doubt_masks(frame, hull, depths)
    return Body(replace(doubted, offsets=camera_offsets(frame, hull, depths)), hull, depths)


def see_body(frame: FrameViews, body: Hull) -> list[np.ndarray]:
    """Depth [H, W] of the body in every camera of a frame."""
    return [hull_depth(body, camera) for camera in frame.cameras]


def doubt_masks(frame: FrameViews, body: Hull, depths: Sequence[np.ndarray] | None = None) -> FrameViews:
    """The frame with `sure` false where a view's own mask denies the body that the others claim.

    The rim is believed, as wide as a pixel and the body's own coarseness.

    Args:
        depths: of `see_body`, where they are known already.
    """
    sure = []
    for mask, camera, depth in zip(frame.masks, frame.cameras, depths or see_body(frame, body), strict=True):
        covered = np.isfinite(depth)
        voxel = body.voxel * camera.fxfycxcy[0] / np.median(depth[covered]) if covered.any() else 0.0
        reach = 1 + int(np.ceil(1.5 * voxel))
        near = cv2.dilate(mask.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)) > 0
        sure.append(~covered | near)
    return replace(frame, sure=np.stack(sure))


def _bare(hull: Hull, frame: FrameViews) -> list[float]:
    """Share of each silhouette that the hull leaves bare."""
    shown = [np.isfinite(hull_depth(hull, camera)) for camera in frame.cameras]
    return [float((mask & ~covered).sum() / mask.sum()) for mask, covered in zip(frame.masks, shown, strict=True)]


def hull_start(
    frame: FrameViews,
    hull: Hull,
    count: int,
    rng: np.random.Generator,
    depths: Sequence[np.ndarray] | None = None,
) -> Gaussians:
    """`count` Gaussians on the shell of the hull, see `shell_disks`, in visible colours (`depths`: of `see_body`)."""
    return shell_disks(hull, visible_colors(frame, hull, hull.surface_points(), depths), count, rng)


def shell_disks(hull: Hull, colors: np.ndarray, count: int, rng: np.random.Generator) -> Gaussians:
    """`count` Gaussians on the shell of the hull: flat disks along it, jittered by a voxel, as wide as their spacing.

    Flat, because the cameras see a surface and not its thickness: what they do not correct stays thin, and is sharp at
    the rim of a view that no camera took.

    Args:
        colors: [P, 3] of `hull.surface_points()`.
    """
    from scipy.spatial import cKDTree  # fits alone ask for it; who renders them is spared the import

    shell = hull.surface_points()
    picked = rng.choice(len(shell), count, replace=count > len(shell))
    points = shell[picked] + rng.uniform(-0.5, 0.5, (count, 3)) * hull.voxel
    colors = colors[picked]
    spacing = cKDTree(points).query(points, k=min(4, count))[0][:, 1:] if count > 1 else np.full((1, 1), hull.voxel)
    scales = np.clip(np.sqrt((spacing**2).mean(1)), 0.2 * hull.voxel, None)
    return disks(points, surface_normals(hull, points), scales, START_OPACITY, colors)


def disks(points: np.ndarray, normals: np.ndarray, radii: np.ndarray, opacity: float, colors: np.ndarray) -> Gaussians:
    """Flat Gaussians [P] across unit normals [P, 3], of standard deviations `radii` [P] and `THICKNESS` of them."""
    return _gaussians(points, _facing(normals), radii[:, None] * [1.0, 1.0, THICKNESS], opacity, colors)


def surface_normals(hull: Hull, points: np.ndarray) -> np.ndarray:
    """Unit normals [P, 3] (sign left open) of the hull near `points`, from its blurred occupancy; +z where it has
    none."""
    from scipy.ndimage import gaussian_filter

    pad = 4
    field = gaussian_filter(np.pad(hull.occupancy, pad).astype(np.float32), NORMAL_BLUR)
    index = np.floor((points - hull.origin) / hull.voxel).astype(np.int64) + pad
    place = tuple(np.clip(index, 0, np.array(field.shape) - 1).T)
    slope = np.stack([axis[place] for axis in np.gradient(field)], -1)
    length = np.linalg.norm(slope, axis=1, keepdims=True)
    return np.where(length > 1e-6, slope / np.maximum(length, 1e-6), [0.0, 0.0, 1.0])


def _facing(normals: np.ndarray) -> np.ndarray:
    """Quaternions wxyz [P, 4] that turn the z axis onto unit normals, by the shortest way."""
    upper = np.where(normals[:, 2:] < 0, -normals, normals)  # a disk has two faces
    quats = np.stack([1 + upper[:, 2], -upper[:, 1], upper[:, 0], np.zeros(len(upper))], 1)
    return quats / np.linalg.norm(quats, axis=1, keepdims=True)


def hull_surface(frame: FrameViews, hull: Hull) -> Gaussians:
    """The whole shell of the hull as opaque Gaussians in visible colours: what a fit must beat."""
    shell = hull.surface_points()
    identity = np.tile([1.0, 0, 0, 0], (len(shell), 1))
    scales = np.full((len(shell), 3), 0.5 * hull.voxel)
    return _gaussians(shell, identity, scales, SURFACE_OPACITY, visible_colors(frame, hull, shell))


def visible_colors(
    frame: FrameViews, hull: Hull, points: np.ndarray, depths: Sequence[np.ndarray] | None = None
) -> np.ndarray:
    """Mean colour of each point over the views that see it (coarse z-buffer of the hull), [P, 3] in [0, 1].

    A point that no view sees takes the mean of all views in whose mask it falls, and failing that the mean colour of
    the foreground.

    Args:
        depths: of `see_body`, where they are known already.
    """
    seen, near = np.zeros((len(points), 4)), np.zeros((len(points), 4))
    for rgba, camera, depth in zip(frame.even_rgba, frame.cameras, depths or see_body(frame, hull), strict=True):
        row, column, inside, z = find_pixels(camera, points)
        sample = rgba[row, column]
        weight = np.where(inside, sample[:, 3], 0.0) * (sample[:, 3] > 0.5)
        visible = z <= depth[row, column] + VISIBLE_WITHIN * hull.voxel
        weighted = np.concatenate([sample[:, :3] * weight[:, None], weight[:, None]], 1)
        near += weighted
        seen += weighted * visible[:, None]
    foreground = frame.even_rgba[frame.masks][:, :3].mean(0)
    colors = np.where(near[:, 3:] > 0, near[:, :3] / np.maximum(near[:, 3:], 1e-9), foreground)
    return np.where(seen[:, 3:] > 0, seen[:, :3] / np.maximum(seen[:, 3:], 1e-9), colors)


def _gaussians(points, quats, scales, opacity: float, colors) -> Gaussians:
    def tensor(array):
        return torch.from_numpy(np.ascontiguousarray(array, np.float32))

    opacities = np.full(len(points), opacity)
    return Gaussians.from_rgb(tensor(points), tensor(quats), tensor(scales), tensor(opacities), tensor(colors))
