"""The tolerant visual hull: the largest body that a set of silhouettes allows.

Pure functions shared by capture (where is the animal, do the cameras agree), splats (where a fit starts),
distill and dataset (are generated views silhouettes of one body). No file is read or written here; lengths are
in whatever unit the cameras use.

A voxel outside a frame is *unknown* to that view, never empty: an animal cut by the frame keeps its tail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from mousefacelift.core.cameras import Camera, project
from mousefacelift.core.hull_kernels import cast_depth, cast_votes, count_votes, draw_squares, find_near, find_surface
from mousefacelift.errors import DataError

MAX_VIEWS = 63  # one bit per view in an int64


@dataclass(frozen=True)
class Hull:
    """A boolean voxel grid: voxel [i, j, k] covers origin + voxel * ([i, j, k] .. [i+1, j+1, k+1]).

    Never written to once made: its surface is found once, for the many cameras that look at it.

    Attributes:
        occupancy: bool [X, Y, Z], true where the body may be.
        origin: float64 [3], the lowest corner of the grid.
        voxel: edge length of a voxel.
    """

    occupancy: np.ndarray
    origin: np.ndarray
    voxel: float

    @property
    def empty(self) -> bool:
        return not bool(self.occupancy.any())

    def points(self) -> np.ndarray:
        """Centres of the occupied voxels, float64 [P, 3]."""
        return self.origin + (np.argwhere(self.occupancy) + 0.5) * self.voxel

    def surface_points(self) -> np.ndarray:
        """Centres of the occupied voxels that touch an empty one by a face (or the edge of the grid), float64 [P,
        3]; not to be written to."""
        return self._surface_points

    @cached_property
    def _surface_points(self) -> np.ndarray:
        points = self.origin + (np.argwhere(self.surface()) + 0.5) * self.voxel
        points.setflags(write=False)
        return points

    @cached_property
    def body(self) -> tuple[np.ndarray, np.ndarray]:
        """The occupied part of the grid, bool and contiguous, and its lowest corner, float64 [3]."""
        spans = [np.flatnonzero(self.occupancy.any(other)) for other in ((1, 2), (0, 2), (0, 1))]
        part = self.occupancy[tuple(slice(span[0], span[-1] + 1) for span in spans)]
        return np.ascontiguousarray(part), self.origin + np.array([span[0] for span in spans]) * self.voxel

    def surface(self) -> np.ndarray:
        """The occupied voxels that touch an empty one by a face, bool [X, Y, Z]."""
        padded = np.pad(self.occupancy, 1)
        inner = padded[1:-1, 1:-1, 1:-1].copy()
        for axis in range(3):
            for step in (-1, 1):
                inner &= np.roll(padded, step, axis)[1:-1, 1:-1, 1:-1]
        return self.occupancy & ~inner

    def volume(self) -> float:
        """Volume of the occupied voxels, in cubed units of the cameras."""
        return float(np.count_nonzero(self.occupancy)) * self.voxel**3

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Whether each of `points` [..., 3] lies in an occupied voxel, bool [...]."""
        index = np.floor((np.asarray(points) - self.origin) / self.voxel).astype(np.int64)
        inside = np.all((index >= 0) & (index < self.occupancy.shape), axis=-1)
        clipped = np.clip(index, 0, np.array(self.occupancy.shape) - 1)
        return inside & self.occupancy[clipped[..., 0], clipped[..., 1], clipped[..., 2]]


@dataclass(frozen=True)
class Votes:
    """What every view says of every voxel, cast once and counted for many hulls.

    Attributes:
        seen, missed: int64 [X, Y, Z], a bit per view: is the voxel in frame, and is it outside the silhouette. A voxel
            that more than `limit` views miss may have more bits in `missed` and fewer in `seen` than are true.
        limit: largest number of views that may miss a voxel of a hull, the left-out one included.
    """

    seen: np.ndarray
    missed: np.ndarray
    origin: np.ndarray
    voxel: float
    limit: int

    def hull(self, tolerance: int, min_views: int, leave_out: Sequence[int] = ()) -> Hull:
        """The voxels that at least `min_views` views see and at most `tolerance` of those miss, without the views
        `leave_out`."""
        keep = ~np.int64(sum(1 << view for view in set(leave_out)))
        occupied = count_votes(self.seen, self.missed, keep, tolerance, min_views)
        return Hull(occupied, self.origin, self.voxel)

    def without_ghosts(self, hull: Hull) -> Hull:
        """The hull without its separate parts that lie outside the frame of a view which sees the body.

        A part no voxel of which is in as many frames as the best seen voxel of the hull is where rays cross by chance:
        nobody was there to refute it. A tail that the frame cuts hangs on the body, so it stays.
        """
        frames = np.where(hull.occupancy, np.bitwise_count(self.seen), 0)
        if (frames[hull.occupancy] == (most := frames.max(initial=0))).all():
            return hull
        from scipy.ndimage import label, maximum  # dear to import, and seldom asked for

        parts, count = label(hull.occupancy, np.ones((3, 3, 3)))
        best = maximum(frames, parts, np.arange(count + 1))
        return Hull(hull.occupancy & (best == most)[parts], hull.origin, hull.voxel)

    def surfaces(self, views: int, tolerance: int, min_views: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """Surface points [P, 3] of the hull of all views, and of each of the `views` hulls that leave one view out.

        The same points as `hull(...).surface_points()`, many times faster: only voxels near the hull are looked at.
        """
        seen_count, missed_count, near = find_near(self.seen, self.missed, self.limit, min_views)
        found = [
            find_surface(self.seen, self.missed, seen_count, missed_count, near, leave_out, tolerance, min_views)
            for leave_out in range(-1, views)
        ]
        points = [self.origin + (index + 0.5) * self.voxel for index in found]
        return points[0], points[1:]


def carve_hull(
    masks: np.ndarray | Sequence[np.ndarray],
    cameras: Sequence[Camera],
    center: np.ndarray,
    half_extent: float | np.ndarray,
    resolution: int,
    tolerance: int = 0,
    min_views: int = 2,
    margin: float = 0.0,
) -> Hull:
    """Carve the grid of voxels that the silhouettes allow.

    A voxel stays when at least `min_views` views have its centre in frame and at most `tolerance` of those have it
    outside their mask.

    Args:
        masks: [V, H, W], bool or soft (foreground above 0.5).
        cameras: V pinhole cameras of that size.
        center: [3], middle of the grid.
        half_extent: half the edge of the grid, one number or one per axis.
        resolution: voxels along the longest axis.
        tolerance: views that may disagree.
        min_views: views that must see a voxel for it to be kept.
        margin: a voxel also counts as inside a mask when it is this many voxels (at its depth) away from it; 0.5 keeps
            parts thinner than a voxel (tail) at the price of a hull half a voxel thicker.
    Returns:
        The hull; it is empty when the cameras see no common body.
    Raises:
        DataError: fewer than two views, masks and cameras that do not fit, non-finite values, a view without
        foreground.
    """
    votes = cast_silhouettes(masks, cameras, center, half_extent, resolution, margin, tolerance)
    return votes.hull(tolerance, min_views)


def carve_hull_tight(
    masks: np.ndarray | Sequence[np.ndarray],
    cameras: Sequence[Camera],
    center: np.ndarray,
    half_extent: float | np.ndarray,
    resolution: int,
    tolerance: int = 0,
    min_views: int = 2,
    margin: float = 0.0,
    coarse_resolution: int = 48,
) -> Hull:
    """Carve coarsely, then again at `resolution` inside the bounding box of what was found (same arguments as
    `carve_hull`).

    The coarse pass keeps everything within one voxel of a silhouette, so that thin parts are not lost with it. Both
    leave out ghosts, see `Votes.without_ghosts`.
    """

    def carve(center, half_extent, resolution, margin):
        votes = cast_silhouettes(masks, cameras, center, half_extent, resolution, margin, tolerance)
        return votes.without_ghosts(votes.hull(tolerance, min_views))

    coarse = carve(center, half_extent, coarse_resolution, 1.0)
    if coarse.empty:
        return coarse
    index = np.argwhere(coarse.occupancy)
    low = coarse.origin + index.min(0) * coarse.voxel
    high = coarse.origin + (index.max(0) + 1) * coarse.voxel
    return carve((low + high) / 2, (high - low) / 2, resolution, margin)


def project_hull(hull: Hull, camera: Camera) -> np.ndarray:
    """Silhouette of the hull in `camera`, bool [H, W]: each surface voxel is drawn as a square of its size at its
    depth, as in `silhouette_scores` (gaps between squares stay open; `hull_depth` closes them)."""
    return np.isfinite(draw_depth(hull.surface_points(), hull.voxel, camera))


def hull_depth(hull: Hull, camera: Camera) -> np.ndarray:
    """Depth (camera z) of the nearest surface voxel at each pixel, float64 [H, W]; infinity where there is none.

    Voxels are drawn as squares, which keeps what is thinner than a pixel; where squares seen from a corner leave a gap,
    through which the far side would show, a ray through the grid closes it.
    """
    if hull.empty:
        return np.full((camera.height, camera.width), np.inf)
    depth = draw_depth(hull.surface_points(), hull.voxel, camera)
    drawn = np.isfinite(depth)
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    if not len(rows):
        return depth
    part, corner = hull.body
    cast_depth(
        part,
        np.asarray(corner, np.float64),
        float(hull.voxel),
        np.ascontiguousarray(camera.R, np.float64),
        np.asarray(camera.center, np.float64),
        np.asarray(camera.fxfycxcy - [0, 0, columns[0], rows[0]], np.float64),
        depth[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1],
    )
    return depth


def draw_depth(points: np.ndarray, voxel: float, camera: Camera) -> np.ndarray:
    """Depth [H, W] of the nearest of `points` [P, 3], each drawn as a square of a voxel's size; infinity where none."""
    depth = np.full((camera.height, camera.width), np.inf)
    if len(points):
        pixels, z = project(camera, points)
        focal = 0.5 * float(camera.fxfycxcy[0] + camera.fxfycxcy[1])
        draw_squares(np.ascontiguousarray(pixels), np.ascontiguousarray(z), 0.5 * voxel * focal, depth)
    return depth


def check_masks(masks: np.ndarray | Sequence[np.ndarray], cameras: Sequence[Camera]) -> np.ndarray:
    """bool [V, H, W] of masks that fit their cameras and show something; DataError otherwise."""
    masks = np.asarray(masks)
    if len(cameras) < 2:
        raise DataError("a visual hull needs two views or more", got=f"{len(cameras)} view(s)")
    if len(cameras) > MAX_VIEWS:
        raise DataError("too many views for one visual hull", got=len(cameras), expected=f"at most {MAX_VIEWS}")
    shape = (len(cameras), cameras[0].height, cameras[0].width)
    if masks.shape != shape or any((c.height, c.width) != shape[1:] for c in cameras):
        raise DataError(
            "masks and cameras do not fit",
            got=f"masks {masks.shape}, cameras {[(c.height, c.width) for c in cameras]}",
            expected=f"[V, H, W] = {shape}",
            likely="masks of another resolution than the cameras",
        )
    if masks.dtype != bool:
        if not np.isfinite(masks).all():
            bad = [v for v in range(len(cameras)) if not np.isfinite(masks[v]).all()]
            raise DataError("masks hold NaN or infinite values", where=f"views {bad}")
        masks = masks > (127 if masks.dtype == np.uint8 else 0.5)
    blank = [v for v in range(len(cameras)) if not masks[v].any()]
    if blank:
        raise DataError(
            "no foreground in a mask",
            where=f"views {blank}",
            likely="the animal is outside the frame or the mask was lost",
            hint="exclude the frame or the view",
        )
    return masks


def cast_silhouettes(
    masks: np.ndarray | Sequence[np.ndarray],
    cameras: Sequence[Camera],
    center: np.ndarray,
    half_extent: float | np.ndarray,
    resolution: int,
    margin: float,
    limit: int,
) -> Votes:
    """Votes of all views on a grid (arguments as in `carve_hull`), good for hulls that at most `limit` views miss."""
    masks = check_masks(masks, cameras)
    half = np.broadcast_to(np.asarray(half_extent, np.float64), 3)
    voxel = 2 * float(half.max()) / int(resolution)
    cells = np.maximum(1, np.ceil(2 * half / voxel - 1e-9).astype(np.int64))
    origin = np.asarray(center, np.float64) - 0.5 * cells * voxel
    outside = np.stack([cv2.distanceTransform((~m).astype(np.uint8), cv2.DIST_L2, 5) for m in masks])
    w2c = np.stack([np.asarray(c.w2c, np.float64)[:3] for c in cameras])
    fxfycxcy = np.stack([np.asarray(c.fxfycxcy, np.float64) for c in cameras])
    seen, missed = np.zeros(cells, np.int64), np.zeros(cells, np.int64)
    cast_votes(outside, w2c, fxfycxcy, origin, voxel, float(margin), int(limit), seen, missed)
    return Votes(seen, missed, origin, voxel, int(limit))
