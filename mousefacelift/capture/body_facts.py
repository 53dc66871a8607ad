"""The animal's body from silhouettes in the audit: ray agreement, hull IoU, size, and where the cameras
stand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mousefacelift.capture.agreement import silhouette_agreement
from mousefacelift.capture.rig import RigCamera
from mousefacelift.capture.silhouettes import Silhouettes, working_cameras
from mousefacelift.capture.tangency import triangulate
from mousefacelift.capture.upright import upright
from mousefacelift.core.cameras import Camera, azimuth_elevation, project
from mousefacelift.core.hull import carve_hull_tight
from mousefacelift.errors import CalibrationError

FRAMES = 6
RESOLUTION = 72


def describe_volume(cameras: Sequence[RigCamera], silhouettes: Silhouettes, up: Sequence[float] = (0, 0, 1)) -> dict:
    """Ray agreement and hull IoU per view (medians over frames); the animal's centre, length, volume in camera units;
    azimuth and elevation (degrees) of the cameras about it where `up` [3] points to the zenith.

    Raises:
        CalibrationError: the views see no common body.
    """
    small, _ = working_cameras([camera.pinhole() for camera in cameras])
    whole = np.flatnonzero(silhouettes.usable.all(1))
    if len(whole) == 0:
        whole = np.flatnonzero((silhouettes.area > 0).all(1))
    if len(whole) == 0:
        raise CalibrationError(
            "no frame of the audit has a mask in every view",
            likely="animal outside some views, or masks that were lost",
        )
    picked = whole[np.linspace(0, len(whole) - 1, min(FRAMES, len(whole))).round().astype(int)]
    rows = [_describe_frame(small, silhouettes.masks[t], silhouettes.center[t]) for t in picked]
    rows = [row for row in rows if row is not None]
    if not rows:
        raise CalibrationError("the views see no common body", likely="wrong calibration")
    center = np.median([row["center"] for row in rows], axis=0)
    turn = upright(np.asarray(up, np.float64))
    places = [azimuth_elevation(turn @ (camera.center - center)) for camera in cameras]
    return {
        "ray_agreement": np.median([row["ray_agreement"] for row in rows], axis=0),
        "hull_iou": np.median([row["hull_iou"] for row in rows], axis=0),
        "center": center,
        "length": float(np.median([row["length"] for row in rows])),
        "volume": float(np.median([row["volume"] for row in rows])),
        "azimuth": [p[0] for p in places],
        "elevation": [p[1] for p in places],
        "distance": [p[2] for p in places],
    }


def rough_center(cameras: Sequence[Camera], plane_centers: np.ndarray) -> np.ndarray:
    """Point [3] where the rays through the silhouettes' centroids (on z = 1, [V, 2]; NaN allowed) nearly meet."""
    seen = np.flatnonzero(np.isfinite(plane_centers).all(1))
    rays = np.stack([cameras[v].R.T @ np.append(plane_centers[v], 1.0) for v in seen])
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    return triangulate(np.stack([cameras[v].center for v in seen]), rays)


def rough_extent(cameras: Sequence[Camera], masks: np.ndarray, center: np.ndarray) -> float:
    """Half edge of a cube about `center` that holds the body, from the masks' boxes and depths, camera units."""
    reach = []
    for camera, mask in zip(cameras, masks):
        if mask.any():
            pixel, depth = project(camera, center)
            rows, columns = np.nonzero(mask)
            far = np.sqrt((columns + 0.5 - pixel[0]) ** 2 + (rows + 0.5 - pixel[1]) ** 2).max()
            reach.append(far * abs(depth) / camera.fxfycxcy[0])
    return 1.1 * float(np.median(reach)) if reach else 0.0


def _describe_frame(cameras: list[Camera], masks: np.ndarray, plane_centers: np.ndarray) -> dict | None:
    center = rough_center(cameras, plane_centers)
    if any(project(camera, center)[1] <= 0 for camera in cameras):
        return None
    extent = rough_extent(cameras, masks, center)
    hull = carve_hull_tight(masks, cameras, center, extent, RESOLUTION, tolerance=0, margin=0.5)
    if hull.empty:
        return None
    points = hull.points()
    middle = points.mean(0)
    hull_iou, ray_agreement = silhouette_agreement(
        masks, cameras, middle, 1.2 * np.linalg.norm(points - middle, axis=1).max()
    )
    _, _, axes = np.linalg.svd(points - middle, full_matrices=False)
    along = (points - middle) @ axes[0]
    return {
        "center": middle,
        "length": float(np.ptp(along)),
        "volume": hull.volume(),
        "hull_iou": hull_iou,
        "ray_agreement": ray_agreement,
    }
