"""Silhouettes of the audit's frames: convex outlines as rays for epipolar tangency, small masks for visual hulls.

A mask is read once; what is kept of it is small (an outline of at most OUTLINE points and a WORKING_WIDTH px picture),
so that thousands of hypotheses can be scored without touching a video again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mousefacelift.capture.growth import grow_mask, mask_level
from mousefacelift.capture.lens import Lens
from mousefacelift.capture.sources.picture import Picture
from mousefacelift.core.cameras import Camera

OUTLINE = 96
WORKING_WIDTH = 288
MIN_COMPONENT = 0.02  # of the largest component's area; smaller specks are codec noise


@dataclass(frozen=True)
class Silhouettes:
    """Silhouettes of T frames in V views.

    Attributes:
        frames: [T] common frame numbers.
        outlines: [T, V, OUTLINE, 2] undistorted points on the plane z = 1; unused places repeat the last point.
        area: [T, V] px of the original mask; 0 where there is none.
        border: [T, V] share of the outline that lies on the picture's border.
        center: [T, V, 2] undistorted centroid on the plane z = 1 (NaN without mask).
        masks: [T, V, h, w] bool, undistorted, on the `working_camera` grid.
    """

    frames: np.ndarray
    outlines: np.ndarray
    area: np.ndarray
    border: np.ndarray
    center: np.ndarray
    masks: np.ndarray

    @property
    def usable(self) -> np.ndarray:
        """[T, V] whether the view has a whole silhouette."""
        return (self.area > 0) & (self.border == 0)

    def select(self, keep: np.ndarray) -> Silhouettes:
        """The frames at positions `keep`."""
        return Silhouettes(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))

    def views(self, keep: Sequence[int]) -> Silhouettes:
        """The views `keep`."""
        keep = list(keep)
        return Silhouettes(self.frames, *(getattr(self, name)[:, keep] for name in list(self.__dataclass_fields__)[1:]))


def clean_mask(picture: Picture, growth: float = 0.0) -> np.ndarray:
    """uint8 0/1 [H, W]: luma above the threshold after the edge moved outward by `growth` px, codec specks removed."""
    return drop_specks(cv2.threshold(grow_mask(picture, growth).y, mask_level(picture), 1, cv2.THRESH_BINARY)[1])


def drop_specks(mask: np.ndarray) -> np.ndarray:
    """The mask without components smaller than MIN_COMPONENT of the largest."""
    x, y, w, h = cv2.boundingRect(mask)
    if w == 0:
        return mask
    box = mask[y : y + h, x : x + w]
    hierarchy = cv2.findContours(box, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)[1]
    if (hierarchy[0, :, 3] < 0).sum() == 1:  # one outer boundary, one component; far cheaper than labelling
        return mask
    count, labels, stats, _ = cv2.connectedComponentsWithStats(box, connectivity=8)
    if count > 2:
        areas = stats[:, cv2.CC_STAT_AREA].copy()
        areas[0] = 0
        mask = mask.copy()
        mask[y : y + h, x : x + w] = (areas >= MIN_COMPONENT * areas.max())[labels] & (labels > 0)
    return mask


class SilhouetteMaker:
    """Silhouettes of one camera's masks; holds the undistortion map."""

    def __init__(self, lens: Lens, width: int, height: int) -> None:
        self.lens, self.width, self.height = lens, width, height
        self.working = working_size(width, height)
        self._map = None if lens.is_pinhole else self._undistortion_map()

    def _undistortion_map(self) -> np.ndarray:
        w, h = self.working
        u, v = np.meshgrid((np.arange(w) + 0.5) * self.width / w, (np.arange(h) + 0.5) * self.height / h)
        fx, fy, cx, cy = self.lens.fxfycxcy
        plane = np.stack([(u - cx) / fx, (v - cy) / fy], -1)
        pixels = self.lens.distort(plane)
        pixels[np.linalg.norm(plane, axis=-1) > self.lens.valid_radius(self.width, self.height)] = -10
        # the map addresses the mask after its reduction to the working size; remap puts pixel centres at whole numbers
        return (pixels * [w / self.width, h / self.height] - 0.5).astype(np.float32)

    def make(self, mask: np.ndarray) -> dict:
        """Outline, area, border share, centre and small mask of a uint8 0/1 mask [H, W]."""
        small = self.small_mask(mask)
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        if not contours:
            return {
                "outline": np.full((OUTLINE, 2), np.nan),
                "area": 0,
                "border": 0.0,
                "center": np.full(2, np.nan),
                "mask": small,
            }
        points = np.concatenate(contours)[:, 0].astype(np.float64)
        edge = (points <= 0).any(1) | (points[:, 0] >= self.width - 1) | (points[:, 1] >= self.height - 1)
        outline = self._outline(points + 0.5)
        left, top, width, height = cv2.boundingRect(mask)
        moments = cv2.moments(mask[top : top + height, left : left + width], binaryImage=True)
        area = moments["m00"]
        first = np.array([moments["m10"] + left * area, moments["m01"] + top * area])  # whole numbers
        center = self.lens.undistort(first / area + 0.5)
        return {
            "outline": outline,
            "area": int(area),
            "border": float(edge.mean()),
            "center": center,
            "mask": small,
        }

    def _outline(self, points: np.ndarray) -> np.ndarray:
        """Undistorted convex outline, half a pixel outside the boundary pixels' centres, padded to OUTLINE points."""
        middle = points.mean(0)
        hull = cv2.convexHull(points.astype(np.float32))[:, 0].astype(np.float64)
        away = hull - middle
        hull = hull + 0.5 * away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
        plane = self.lens.undistort(hull)
        plane = plane[np.isfinite(plane).all(1)]
        if len(plane) > OUTLINE:
            plane = plane[np.linspace(0, len(plane) - 1, OUTLINE).round().astype(int)]
        return (
            np.pad(plane, ((0, OUTLINE - len(plane)), (0, 0)), mode="edge")
            if len(plane)
            else np.full((OUTLINE, 2), np.nan)
        )

    def small_mask(self, mask: np.ndarray) -> np.ndarray:
        """Undistorted mask at the working size, bool."""
        small = cv2.resize(mask * np.uint8(255), self.working, interpolation=cv2.INTER_AREA)
        if self._map is not None:
            small = cv2.remap(small, self._map, None, cv2.INTER_LINEAR)
        return small > 127


def working_size(width: int, height: int) -> tuple[int, int]:
    """Size of the small masks: WORKING_WIDTH wide at most."""
    w = min(width, WORKING_WIDTH)
    return w, max(1, round(height * w / width))


def working_cameras(cameras: Sequence[Camera]) -> tuple[list[Camera], tuple[int, int]]:
    """The cameras on their small grids, padded at the right and bottom to one common size."""
    sizes = [working_size(c.width, c.height) for c in cameras]
    width, height = max(w for w, _ in sizes), max(h for _, h in sizes)
    small = [c.scaled_to(w, h) for c, (w, h) in zip(cameras, sizes)]
    return [Camera(c.w2c, c.fxfycxcy, width, height) for c in small], (width, height)


def stack_silhouettes(frames: Sequence[int], rows: Sequence[Sequence[dict]]) -> Silhouettes:
    """Silhouettes of T rows of V dicts as `SilhouetteMaker.make` returns them; masks are padded to one size."""
    height = max(item["mask"].shape[0] for item in rows[0])
    width = max(item["mask"].shape[1] for item in rows[0])
    masks = np.zeros((len(rows), len(rows[0]), height, width), bool)
    for t, row in enumerate(rows):
        for v, item in enumerate(row):
            h, w = item["mask"].shape
            masks[t, v, :h, :w] = item["mask"]

    def gather(key: str) -> np.ndarray:
        return np.array([[item[key] for item in row] for row in rows])

    return Silhouettes(np.asarray(frames), gather("outline"), gather("area"), gather("border"), gather("center"), masks)
