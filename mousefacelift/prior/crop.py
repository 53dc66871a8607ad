"""The crop that the network sees: a camera of no roll aimed at the middle of the silhouette, the animal filling it.

Training pictures are painted straight into such a camera; a picture with its own camera is warped into one, which is
exact because turning a camera about its centre is a homography.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mousefacelift.core.cameras import Camera, look_at
from mousefacelift.core.images import mask_bbox, premultiply, unpremultiply
from mousefacelift.errors import DataError

MARGIN = 1.12  # the crop's edge over the longer side of the silhouette's box
MASK_LEVEL = 0.5


@dataclass(frozen=True)
class Crop:
    """A cut-out picture and where it lies.

    Args:
        rgba: [S, S, 4] float32, straight alpha. camera: its camera, roll 0, principal point in the middle.
        anchor: [3] world point that the camera looks at, as deep as the origin of the world.
        unit: world length that half the crop spans at the anchor; predictions are in this unit about the anchor.
        picture_edge: pixels of the picture that the crop's edge spans.
    """

    rgba: np.ndarray
    camera: Camera
    anchor: np.ndarray
    unit: float
    picture_edge: float

    @property
    def facts(self) -> np.ndarray:
        """[3] float32: sine and cosine of the elevation of the view axis, and unit over distance times 5."""
        return view_facts(self.camera.center - self.anchor, self.unit)


def view_facts(offset: np.ndarray, unit: float) -> np.ndarray:
    """[3] facts of a camera that sits at `offset` from the anchor it looks at (see `Crop.facts`)."""
    distance = float(np.linalg.norm(offset))
    sine = float(offset[2]) / distance
    return np.array([sine, np.sqrt(max(1 - sine * sine, 0.0)), 5.0 * unit / distance], np.float32)


def camera_of_crop(
    center: np.ndarray, direction: np.ndarray, depth: float, half_tangent: float, size: int
) -> tuple[Camera, np.ndarray, float]:
    """The crop's camera at `center` looking along `direction` [3], its anchor `depth` away, and its unit.

    Args:
        half_tangent: tangent of half the angle that the crop spans. depth: world units along `direction`.
    """
    anchor = center + direction / np.linalg.norm(direction) * depth
    focal = size / 2 / half_tangent
    camera = Camera(look_at(center, anchor), np.array([focal, focal, size / 2, size / 2]), size, size)
    return camera, anchor, depth * half_tangent


def span_of_points(local: np.ndarray) -> tuple[np.ndarray, float]:
    """Direction [3] through the middle of the box of camera-frame points [N, 3], and half its longer side's tangent."""
    plane = local[:, :2] / local[:, 2:]
    low, high = plane.min(0), plane.max(0)
    return np.append((low + high) / 2, 1.0), float((high - low).max() / 2)


def cut_out(rgba: np.ndarray, camera: Camera, size: int, depth: float | None = None) -> Crop:
    """The crop of a picture [H, W, 4] in [0, 1] with its camera.

    Args:
        depth: of the animal along the view, world units; by default that of the world's origin.
    Raises:
        DataError: no silhouette, or the origin of the world is not in front of the camera.
    """
    box = mask_bbox(rgba[..., 3] > MASK_LEVEL)
    if box is None:
        raise DataError(
            "the picture shows no animal", got=f"alpha of at most {rgba[..., 3].max():.2f}", expected="an RGBA cut-out"
        )
    x0, y0, x1, y1 = box
    fx, fy, cx, cy = camera.fxfycxcy
    depth = float(camera.t[2]) if depth is None else depth
    if depth <= 0:
        raise DataError(
            "the camera does not look at the animal",
            got=f"depth {depth:.3f} of the world's origin",
            likely="a camera of another world",
        )
    direction = camera.R.T @ [((x0 + x1) / 2 - cx) / fx, ((y0 + y1) / 2 - cy) / fy, 1.0]
    half = MARGIN * max((x1 - x0) / fx, (y1 - y0) / fy) / 2
    crop_camera, anchor, unit = camera_of_crop(
        camera.center, direction, depth * float(np.linalg.norm(direction)), half, size
    )
    edge = size * fx / float(crop_camera.fxfycxcy[0])
    return Crop(warp_picture(rgba, camera, crop_camera), crop_camera, anchor, unit, edge)


def warp_picture(rgba: np.ndarray, camera: Camera, target: Camera) -> np.ndarray:
    """The picture as `target` sees it; both cameras share one centre. Shrinks through a larger image, to average."""
    over = int(np.clip(np.ceil(camera.fxfycxcy[0] / target.fxfycxcy[0]), 1, 8))
    fine = target.scaled_to(target.width * over, target.height * over)
    shift = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1.0]])  # cv2 counts from pixel centres
    homography = shift @ fine.K @ fine.R @ camera.R.T @ np.linalg.inv(camera.K) @ np.linalg.inv(shift)
    warped = cv2.warpPerspective(
        premultiply(rgba).astype(np.float32), homography, (fine.width, fine.height), flags=cv2.INTER_LINEAR
    )
    if over > 1:
        warped = cv2.resize(warped, (target.width, target.height), interpolation=cv2.INTER_AREA)
    return unpremultiply(warped)


def relative_heading(heading: float, camera: Camera) -> float:
    """Heading (radians, world) relative to the direction from the camera to what it looks at, in [-pi, pi)."""
    forward = camera.R[2]
    return float((heading - np.arctan2(forward[1], forward[0]) + np.pi) % (2 * np.pi) - np.pi)
