"""The gate: can a view be of the body that the real silhouettes and photos of its frame show?

Scores are in [0, 1], higher is better. Thresholds are learnt from the same rig: every photo of train frames is scored
against the hull of the *other* photos of its instant, and a low quantile of those scores is the threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import cv2
import numpy as np

from mousefacelift.core.cameras import Camera, find_pixels, project, unproject
from mousefacelift.core.hull import carve_hull_tight, hull_depth
from mousefacelift.core.images import composite
from mousefacelift.core.samples import View
from mousefacelift.distill.config import GateConfig
from mousefacelift.errors import DataError

SCORES = ("inside_share", "hull_iou", "support", "colour")
DISAGREES, LEAST_DEVIATION = 5.0, 0.01  # robust deviations, and their least size, of scores in [0, 1]
HALF_EXTENT = 1.4  # world units: the animal with its tail is about 1.3 long
MEANING = {
    "inside_share": "share of the view's mask inside the visual hull of the photos",
    "hull_iou": "overlap of the view's mask with the silhouette of that hull",
    "support": "least share of a photo's mask that the hull, carved by the view too, still covers",
    "colour": "likeness to the photos' colours carried over the hull's surface",
}


@dataclass(frozen=True)
class Thresholds:
    """Least value of every score, and where they come from."""

    values: dict[str, float]
    facts: dict

    def to_dict(self) -> dict:
        return asdict(self)


class FrameJudge:
    """Judges views of one frame by its photos."""

    def __init__(self, photos: Sequence[View], config: GateConfig) -> None:
        if len(photos) < 2:
            raise DataError("the gate needs a rig with two cameras or more", got=f"{len(photos)} photo(s)")
        self.photos, self.config = list(photos), config
        self.masks = [view.rgba[..., 3] > 0.5 for view in photos]
        cameras = [view.camera for view in photos]
        self.hull = carve_hull_tight(np.stack(self.masks), cameras, np.zeros(3), HALF_EXTENT, config.voxels, margin=0.5)
        self.points = self.hull.points()
        self.cells = [_cells(camera, self.points) for camera in cameras]
        self.depths = [hull_depth(self.hull, camera) for camera in cameras]

    def scores(self, view: View) -> dict[str, float]:
        """Every score of a view, and the sanity numbers coverage, saturation and contrast."""
        mask = view.rgba[..., 3] > 0.5
        depth = hull_depth(self.hull, view.camera)
        silhouette = np.isfinite(depth)
        both = np.count_nonzero(mask & silhouette)
        area = max(1, np.count_nonzero(mask))
        pixels = view.rgba[..., :3][mask]
        return {
            "inside_share": both / area,
            "hull_iou": both / max(1, np.count_nonzero(mask | silhouette)),
            "support": self._support(view, mask),
            "colour": self._colour(view, mask, depth),
            "coverage": float(np.count_nonzero(mask) / max(1, np.count_nonzero(silhouette))),
            "saturation": float(((pixels <= 0.002) | (pixels >= 0.998)).any(-1).mean()) if len(pixels) else 1.0,
            "contrast": float(pixels.std(0).mean()) if len(pixels) else 0.0,
        }

    def _support(self, view: View, mask: np.ndarray) -> float:
        row, column, inside, depth = find_pixels(view.camera, self.points)
        outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
        reach = 0.75 * self.hull.voxel * view.camera.fxfycxcy[0] / np.maximum(depth, 1e-9) + 0.5
        keep = ~inside  # a voxel outside the frame is unknown to the view
        keep[inside] = outside[row[inside], column[inside]] <= reach[inside]
        shares = []
        for photo_mask, cells in zip(self.masks, self.cells, strict=True):
            left = np.bincount(cells[keep], minlength=photo_mask.size + 1)[:-1].reshape(photo_mask.shape) > 0
            covered = cv2.dilate(left.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0  # a voxel is about a pixel wide
            shares.append(np.count_nonzero(photo_mask & covered) / max(1, np.count_nonzero(photo_mask)))
        return float(min(shares))

    def _colour(self, view: View, mask: np.ndarray, depth: np.ndarray) -> float:
        rows, columns = np.nonzero(mask & np.isfinite(depth))
        if not len(rows):
            return 0.0
        points = unproject(view.camera, np.stack([columns, rows], -1) + 0.5, depth[rows, columns])
        total, weight = np.zeros((len(rows), 3)), np.zeros(len(rows))
        for photo, photo_depth, photo_mask in zip(self.photos, self.depths, self.masks, strict=True):
            pixels, z = project(photo.camera, points)
            x, y = (np.clip(np.floor(pixels[:, k]).astype(int), 0, photo_mask.shape[1 - k] - 1) for k in (0, 1))
            seen = photo_mask[y, x] & (np.abs(photo_depth[y, x] - z) < 2.5 * self.hull.voxel)
            total[seen] += photo.rgba[y[seen], x[seen], :3]
            weight += seen
        known = weight > 0
        if not known.any():
            return 0.0
        blurred = cv2.GaussianBlur(composite(view.rgba, (0, 0, 0)), (0, 0), 1.0)
        alpha = cv2.GaussianBlur(view.rgba[..., 3], (0, 0), 1.0)
        own = blurred[rows, columns] / np.maximum(alpha[rows, columns], 1e-3)[:, None]
        return float(1 - np.abs(own[known] - total[known] / weight[known, None]).mean())


def _cells(camera: Camera, points: np.ndarray) -> np.ndarray:
    """Flat pixel index [P] of every point in a camera; H * W for those outside the frame."""
    at = find_pixels(camera, points)
    return np.where(at.inside, at.rows * camera.width + at.columns, camera.width * camera.height)


def refusal(scores: dict[str, float], thresholds: Thresholds, config: GateConfig) -> list[str]:
    """Reasons why a view is refused; empty when it is kept."""
    reasons = [
        f"{name} {scores[name]:.3f} below {thresholds.values[name]:.3f}"
        for name in SCORES
        if scores[name] < thresholds.values[name]
    ]
    low, high = config.coverage
    if not low <= scores["coverage"] <= high:
        reasons.append(f"coverage {scores['coverage']:.2f} outside {low}..{high}")
    if scores["saturation"] > config.saturation:
        reasons.append(f"saturation {scores['saturation']:.2f} above {config.saturation}")
    if scores["contrast"] < config.contrast:
        reasons.append(f"contrast {scores['contrast']:.4f} below {config.contrast}")
    return reasons


def leave_one_out(photos: Sequence[View], config: GateConfig) -> list[dict[str, float]]:
    """Scores of every photo of a frame, judged by the others."""
    if len(photos) < 3:
        raise DataError(
            "held-out photos need a rig with three cameras or more",
            got=f"{len(photos)} photo(s)",
            expected="3 or more, so that two remain when one is held out",
        )
    return [
        FrameJudge([p for i, p in enumerate(photos) if i != v], config).scores(photo) for v, photo in enumerate(photos)
    ]


def learn_thresholds(frames: Sequence[Sequence[View]], config: GateConfig) -> Thresholds:
    """Thresholds from real frames (each a list of photos): a low quantile of every leave-one-out score, with slack.

    Frames whose photos contradict each other (one camera a frame late, say) are left out: one of them would be the
    quantile.
    """
    judged = [leave_one_out(photos, config) for photos in frames]
    if not judged:
        raise DataError("no real frame to learn gate thresholds from")
    kept = agreeing_frames(np.array([[min(row[name] for row in rows) for name in SCORES] for rows in judged]))
    rows = [row for rows, keep in zip(judged, kept, strict=True) if keep for row in rows]
    low, middle = (
        {name: float(np.quantile([row[name] for row in rows], q)) for name in SCORES} for q in (config.quantile, 0.5)
    )
    values = {
        name: low[name] - slack * (middle[name] - low[name]) for name, slack in zip(SCORES, config.slack, strict=True)
    }
    facts = {
        "views": len(rows),
        "frames": int(kept.sum()),
        "frames_left_out": int((~kept).sum()),
        "quantile": config.quantile,
        "slack": config.slack,
        "low": low,
        "median": middle,
        "meaning": MEANING,
    }
    return Thresholds(values, facts)


def agreeing_frames(worst: np.ndarray) -> np.ndarray:
    """Which frames are not outliers: none of their worst scores is DISAGREES robust deviations below the median
    frame's.

    Args:
        worst: [frames, scores] lowest score of each frame's photos.
    Returns:
        bool [frames].
    """
    middle = np.median(worst, axis=0)
    deviation = np.maximum(1.4826 * np.median(np.abs(worst - middle), axis=0), LEAST_DEVIATION)
    return (worst > middle - DISAGREES * deviation).all(axis=1)
