"""The geometry gate at the door: do the images of a sample and their cameras describe one body in the right place?

A pure function of a sample. Every check has one reason text, and all that fail are reported. What it is built to
refuse: swapped views, distances rescaled per camera, OpenGL axes, millimetres, an image cropped without its intrinsics,
a mirrored image.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mousefacelift.core.cameras import Camera, azimuth_elevation, project
from mousefacelift.core.hull import Hull, cast_silhouettes, project_hull
from mousefacelift.core.samples import Sample
from mousefacelift.core.silhouette_scores import score_silhouettes
from mousefacelift.core.sources import BY_NAME
from mousefacelift.dataset.config import GateConfig

DEFAULTS = GateConfig()


@dataclass(frozen=True)
class GateResult:
    """Verdict on a sample.

    Attributes:
        reasons: what fails, in words with numbers; empty when accepted.
        scores: containment_worst, containment_mean, hull_iou, outside_share, border_share (NaN where not measurable).
        containment: [V] of every view (NaN where not measurable), a per-view consistency score.
    """

    reasons: tuple[str, ...]
    scores: dict[str, float]
    containment: np.ndarray

    @property
    def accepted(self) -> bool:
        return not self.reasons


def check_sample(sample: Sample, config: GateConfig = DEFAULTS, context: Sample | None = None) -> GateResult:
    """Verdict of the gate on `sample`.

    Args:
        sample: two views or more (with those of `context`); its facts name the source.
        context: the real views of the same frame: distilled and splat views are judged together with them.
    """
    views = list(sample.views) + (list(context.views) if context is not None else [])
    cameras = [view.camera for view in views]
    masks = [foreground(view.rgba) for view in views]
    scores = dict.fromkeys(
        ("containment_worst", "containment_mean", "hull_iou", "outside_share", "border_share"), float("nan")
    )
    containment = np.full(len(sample.views), np.nan)
    reasons = [*_check_masks(masks, config, scores), *_check_cameras(cameras, config)]
    if not reasons and len(views) < 2:
        reasons.append("one view alone cannot be checked: a sample needs two or more")
    if not reasons:
        reasons = _check_hull(masks, cameras, sample.facts.source, config, scores, containment)
    return GateResult(tuple(reasons), scores, containment)


def foreground(rgba: np.ndarray) -> np.ndarray:
    """Mask [H, W] of rgba [H, W, 4], float or 8-bit: alpha above one half."""
    return rgba[..., 3] > (127 if rgba.dtype == np.uint8 else 0.5)


def _check_masks(masks: list[np.ndarray], config: GateConfig, scores: dict[str, float]) -> list[str]:
    empty = [index for index, mask in enumerate(masks) if not mask.any()]
    if empty:
        return [f"no foreground in views {empty}"]
    borders = []
    for mask in masks:
        border = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
        borders.append(border.mean())
    scores["border_share"] = float(max(borders))
    cut = [index for index, share in enumerate(borders) if share > config.border_share_max]
    return (
        [f"the animal is cut by the image border in views {cut} ({max(borders):.1%} of border pixels)"] if cut else []
    )


def _check_cameras(cameras: list[Camera], config: GateConfig) -> list[str]:
    reasons = []
    corners = config.half_extent * 0.5 * np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
    for index, camera in enumerate(cameras):
        fx, fy = camera.fxfycxcy[:2]
        distance = azimuth_elevation(camera)[2]
        if abs(fx / fy - 1) > config.focal_aspect_tolerance:
            reasons.append(
                f"view {index}: fx / fy = {fx / fy:.3f}, pixels are not square (resized without keeping the aspect)"
            )
        if not config.distance_min <= distance <= config.distance_max:
            reasons.append(
                f"view {index}: camera distance {distance:.4g} outside [{config.distance_min:g}, "
                f"{config.distance_max:g}] (millimetres, or a world that is not normalised)"
            )
        elif project(camera, corners)[1].min() <= config.z_min:
            reasons.append(f"view {index}: the origin lies behind or too near the camera (OpenGL axes?)")
    return reasons


def _check_hull(masks, cameras, source, config: GateConfig, scores: dict, containment: np.ndarray) -> list[str]:
    small_masks, small_cameras = _shrink(masks, cameras, config.mask_size)
    tolerance = 0 if len(cameras) < 12 else 1  # one silhouette of many may be wrong by a pixel
    extent = 1.5 * config.half_extent
    agree = max(2, len(cameras) // 2)  # a corner that few views see is not carved and must not count as body
    votes = cast_silhouettes(
        small_masks, small_cameras, np.zeros(3), extent, config.resolution, config.margin, tolerance + 1
    )
    found = score_silhouettes(votes, small_masks, small_cameras, tolerance, 2)
    worst, mean = float(found["containment"].min()), float(found["containment"].mean())
    containment[:] = found["containment"][: len(containment)]
    outside = _outside_share(votes.hull(tolerance, agree), small_masks, small_cameras, config.half_extent)
    scores |= {
        "containment_worst": worst,
        "containment_mean": mean,
        "hull_iou": float(found["hull_iou"].mean()),
        "outside_share": outside,
    }
    need_worst, need_mean = BY_NAME[source].containment
    reasons = []
    if worst < need_worst or mean < need_mean:
        view = int(found["containment"].argmin())
        reasons.append(
            f"silhouettes are not of one body: containment {worst:.2f} in view {view} (needs {need_worst:g}), "
            f"mean {mean:.2f} (needs {need_mean:g}): swapped or mirrored views, moved cameras, or a crop "
            "without its intrinsics"
        )
    if outside > config.outside_share_max:
        reasons.append(
            f"{outside:.1%} of a silhouette can only be a body outside [-{config.half_extent:g}, "
            f"{config.half_extent:g}]^3"
        )
    return reasons


def _outside_share(hull: Hull, masks: np.ndarray, cameras: list[Camera], half_extent: float) -> float:
    """Largest share of a silhouette that the hull explains only with points outside the cube.

    The hull itself may reach out: a ring of cameras at one elevation bounds nothing above and below. What must lie
    inside is a body that casts these silhouettes.
    """
    if hull.empty:
        return 1.0
    centres = hull.origin[:, None] + (np.arange(max(hull.occupancy.shape)) + 0.5) * hull.voxel
    x, y, z = (np.abs(centres[axis, :size]) <= half_extent for axis, size in enumerate(hull.occupancy.shape))
    if not (hull.occupancy[~x].any() or hull.occupancy[:, ~y].any() or hull.occupancy[:, :, ~z].any()):
        return 0.0
    within = Hull(hull.occupancy & x[:, None, None] & y[:, None] & z, hull.origin, hull.voxel)
    lost = [
        (mask & project_hull(hull, camera) & ~project_hull(within, camera)).sum() / mask.sum()
        for mask, camera in zip(masks, cameras)
    ]
    return float(max(lost))


def _shrink(masks: list[np.ndarray], cameras: list[Camera], size: int) -> tuple[np.ndarray, list[Camera]]:
    """Masks and cameras at `size` pixels a side (aspect not kept; the cameras follow)."""
    shrunk = [
        cv2.resize(mask.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA) > 0.5
        if mask.shape != (size, size)
        else mask
        for mask in masks
    ]
    for index, mask in enumerate(shrunk):
        if not mask.any():  # thinner than a pixel: keep every pixel that it touches
            shrunk[index] = cv2.resize(masks[index].astype(np.float32), (size, size), interpolation=cv2.INTER_AREA) > 0
    return np.stack(shrunk), [camera.scaled_to(size, size) for camera in cameras]
