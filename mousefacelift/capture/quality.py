"""Quality of every stored view, measured while samples are made; `quality_table` gathers it over a recording."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from mousefacelift.capture.agreement import silhouette_agreement
from mousefacelift.capture.sources.picture import Picture
from mousefacelift.core.cameras import Camera

AGREEMENT_SIZE = 256  # px; larger images are halved before their silhouettes are compared


def measure_view(
    rgba: np.ndarray,
    box: tuple[int, int, int, int],
    mask: np.ndarray,
    place: tuple[int, int, int, int],
    picture: Picture,
) -> dict:
    """Numbers of one canonical view.

    Args:
        rgba: uint8 [S, S, 4] canonical image, transparent outside `box` (x0, y0, x1, y1).
        mask: uint8 0/1 [h, w] of its bounding box `place` (x, y, w, h) in the full picture.
    Returns:
        center_offset (px from the middle to the silhouette's centroid), area_share, extent_share (largest half extent
        over half the size), border_share (of the outermost pixels covered; 0 means not clipped), blur (variance of the
        Laplacian of luma inside the animal at full resolution; small is unsharp), exposure (mean luma 0..1),
        saturated (share of luma at 0 or 255).
    """
    size = rgba.shape[0]
    x0, y0, x1, y1 = box
    inside = (rgba[y0:y1, x0:x1, 3] > 127).view(np.uint8)
    left, top, width, height = cv2.boundingRect(inside) if inside.size else (0, 0, 0, 0)
    moments = cv2.moments(inside[top : top + height, left : left + width], binaryImage=True) if width else {"m00": 0.0}
    row = {
        "center_offset": None,
        "area_share": moments["m00"] / size**2,
        "extent_share": 0.0,
        "border_share": _border(rgba[..., 3]),
        "blur": None,
        "exposure": None,
        "saturated": None,
    }
    x, y, w, h = place
    if not moments["m00"] or not w:
        return row
    corner = np.array([x0 + left, y0 + top])
    middle = np.array([moments["m10"], moments["m01"]]) / moments["m00"] + corner + 0.5 - size / 2
    row["center_offset"] = float(np.hypot(*middle))
    edges = np.concatenate([corner, corner + [width, height]]) - size / 2
    row["extent_share"] = float(np.abs(edges).max() / (size / 2))
    return row | _measure_light(picture.luma(slice(y, y + h), slice(x, x + w)), mask)


def _measure_light(luma: np.ndarray, mask: np.ndarray) -> dict:
    """blur, exposure and saturated of the full-resolution luma inside a mask 0/1 of the same box."""
    core = cv2.erode(mask, np.ones((5, 5), np.uint8))
    core = core if core.any() else mask
    spread = cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_16S), mask=core)[1]
    counts = cv2.calcHist([luma], [0], mask, [256], [0, 256]).ravel()
    total = counts.sum()
    return {
        "blur": float(spread[0, 0] ** 2),
        "exposure": float(counts @ np.arange(256) / total / 255),
        "saturated": float((counts[0] + counts[255]) / total),
    }


def _border(alpha: np.ndarray) -> float:
    edge = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    return float((edge > 127).mean())


def measure_sample(images: Sequence[np.ndarray], cameras: Sequence[Camera]) -> dict[str, list]:
    """hull_iou and ray_agreement per view of the stored images under the stored cameras (None without a silhouette)."""
    size = images[0].shape[0]
    small = min(size, AGREEMENT_SIZE)
    masks = np.stack([_shrink(image[..., 3], small) > 127 for image in images])
    scaled = [camera.scaled_to(small, small) for camera in cameras]
    center = np.zeros(3)
    reach = max(0.5 * small / c.fxfycxcy[0] * np.linalg.norm(c.center) for c in scaled)
    iou, ray_agreement = silhouette_agreement(
        masks, scaled, center, 1.2 * reach, stride=max(1, small // 128), depths=96
    )
    return {"hull_iou": _listed(iou), "ray_agreement": _listed(ray_agreement)}


def _shrink(alpha: np.ndarray, size: int) -> np.ndarray:
    return alpha if alpha.shape[0] == size else cv2.resize(alpha, (size, size), interpolation=cv2.INTER_AREA)


def _listed(values: np.ndarray) -> list:
    return [None if np.isnan(value) else float(value) for value in values]
