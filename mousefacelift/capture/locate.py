"""Where the animal is: its 3D centre per frame, cuts, excluded frames, scale and zoom of the canonical world.

Reads `rig.json` and the mask videos, writes `track.json`; run by `mousefacelift capture locate`. Per frame a tolerant
visual hull (a view may disagree) is carved; its voxels are weighted by how thick the body is there, so that tail and
paws do not pull. The centre is smoothed over time within cuts; the scale is one number per recording.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import cv2
import numpy as np
from tqdm import tqdm

from mousefacelift.capture.agreement import silhouette_agreement
from mousefacelift.capture.body_facts import rough_center, rough_extent
from mousefacelift.capture.config import LocateConfig, RecordingSource
from mousefacelift.capture.frames import read_in_step
from mousefacelift.capture.place import Place, Shelf
from mousefacelift.capture.rig import Rig
from mousefacelift.capture.silhouettes import SilhouetteMaker, clean_mask, working_cameras
from mousefacelift.capture.track import Track, make_track
from mousefacelift.core.cameras import Camera, find_pixels, project
from mousefacelift.core.hull import Hull, cast_silhouettes
from mousefacelift.errors import ConfigError

MIN_VIEWS = 3  # masks needed to place the animal
STRICT_SHARE = 0.5  # of the tolerant hull's volume; below it a mask is broken


class Locator:
    """Finds the animal in the masks of one frame after the other."""

    def __init__(self, rig: Rig, config: LocateConfig) -> None:
        self.rig, self.config = rig, config
        self.makers = [SilhouetteMaker(c.lens, c.width, c.height) for c in rig.cameras]
        self.cameras, (self.width, self.height) = working_cameras([c.pinhole() for c in rig.cameras])
        self._previous: np.ndarray | None = None
        self._shelf = Shelf()

    def close(self) -> None:
        """Throw away the outlines of the places that were found."""
        self._shelf.close()

    def places(self, frames: Sequence[int], threads: int = 2) -> Iterator[Place]:
        """Places of rising common frames, read from the mask videos in step."""
        wanted = ((f, [self.rig.file_frame(v, f) for v in range(len(self.rig.cameras))]) for f in frames)
        with ThreadPoolExecutor(threads) as pool:
            for frame, pictures in read_in_step(self.rig.masks, wanted, threads=threads):
                jobs = [
                    pool.submit(lambda m, p, c: m.make(clean_mask(p, c.mask_growth)), *job)
                    for job in zip(self.makers, pictures, self.rig.cameras)
                ]
                yield self.place(frame, [job.result() for job in jobs])

    def place(self, frame: int, found: list[dict]) -> Place:
        """The place of one frame from its silhouettes (dicts of `SilhouetteMaker.make`)."""
        masks = np.zeros((len(found), self.height, self.width), bool)
        for v, item in enumerate(found):
            h, w = item["mask"].shape
            masks[v, :h, :w] = item["mask"]
        change, self._previous = _change(self._previous, masks), masks
        area = np.array([item["area"] for item in found])
        border = np.array([item["border"] for item in found])
        outlines = self._shelf.keep(np.stack([item["outline"] for item in found]))
        unknown = np.full(len(found), np.nan)
        have = [v for v in range(len(found)) if masks[v].any()]
        if len(have) < MIN_VIEWS:
            return Place(frame, None, unknown, unknown, area, border, outlines, change)
        center, reach = locate_body(
            masks[have], [self.cameras[v] for v in have], np.stack([found[v]["center"] for v in have]), self.config
        )
        if center is None:
            return Place(frame, None, unknown, unknown, area, border, outlines, change)
        stride = 2 if self.width > 160 else 1
        hull_iou, ray_agreement = silhouette_agreement(masks, self.cameras, center, 1.5 * reach, stride)
        return Place(frame, center, hull_iou, ray_agreement, area, border, outlines, change)


def locate_body(
    masks: np.ndarray, cameras: Sequence[Camera], plane_centers: np.ndarray, config: LocateConfig
) -> tuple[np.ndarray | None, float]:
    """Centre [3] of the body (thin parts count little) and its reach from there, camera units; (None, 0) if none is
    seen."""
    rough = rough_center(cameras, plane_centers)
    if any(project(camera, rough)[1] <= 0 for camera in cameras):
        return None, 0.0
    extent = rough_extent(cameras, masks, rough)
    hull = _tolerant_hull(masks, cameras, rough, extent, config)
    if hull.empty:
        return None, 0.0
    points, weights = hull.points(), thickness(hull, masks, cameras)
    center = (points * weights[:, None]).sum(0) / weights.sum()
    return center, float(np.linalg.norm(points - center, axis=1).max())


def _tolerant_hull(masks, cameras, center: np.ndarray, extent: float, config: LocateConfig) -> Hull:
    """The hull that all views allow, unless it lacks much of what is left when `tolerance` views may disagree.

    The tolerant hull is fatter and less well centred, so it is used only where a mask misses a part of the animal.
    """
    tolerance = min(config.tolerance, max(0, len(cameras) - 3))
    votes = cast_silhouettes(masks, cameras, center, extent, config.resolution, margin=0.5, limit=tolerance)
    strict, tolerant = (votes.hull(t, min(MIN_VIEWS, len(cameras))) for t in (0, tolerance))
    return strict if strict.volume() >= STRICT_SHARE * tolerant.volume() else tolerant


def thickness(hull: Hull, masks: np.ndarray, cameras: Sequence[Camera]) -> np.ndarray:
    """Weight [P] of every hull voxel: how deep it lies inside the masks, relative to the thickest place, cut at half.

    The depth is the smallest over the views of the distance to the mask's edge in length units; a tail is thin in
    every view and weighs next to nothing, while the trunk's outer voxels weigh alike on all sides.
    """
    points = hull.points()
    depths = np.full((len(cameras), len(points)), np.inf)
    for v, (mask, camera) in enumerate(zip(masks, cameras)):
        rows, columns, seen, z = find_pixels(camera, points)
        depths[v, seen] = _insideness(mask)[rows[seen], columns[seen]] * z[seen] / camera.fxfycxcy[0]
    depth = np.sort(depths, axis=0)[min(1, len(cameras) - 1)]
    relative = depth / max(np.percentile(depth[np.isfinite(depth)], 98), 1e-9)
    return np.clip(relative / 0.5, 1e-6, 1.0) ** 2


def _insideness(mask: np.ndarray) -> np.ndarray:
    """Distance [H, W] of every pixel of a mask to its edge; looked for in the box of the mask alone."""
    mask, depth = mask.astype(np.uint8), np.zeros(mask.shape, np.float32)
    x, y, w, h = cv2.boundingRect(mask)
    box = np.s_[max(0, y - 2) : y + h + 2, max(0, x - 2) : x + w + 2]  # the transform steps two pixels at a time
    depth[box] = cv2.distanceTransform(mask[box], cv2.DIST_L2, 5)
    return depth


def _change(before: np.ndarray | None, now: np.ndarray) -> float:
    if before is None or not now.any():
        return np.nan
    union = (before | now).sum((1, 2))
    shares = (before & now).sum((1, 2))[union > 0] / union[union > 0]
    return float(1 - shares.mean()) if len(shares) else np.nan


def locate_recording(rig: Rig, source: RecordingSource, config: LocateConfig, threads: int = 2) -> Track:
    """The track of the frames that the configuration asks for; those that a camera did not film are excluded and say
    so.

    Raises:
        ConfigError: the whole range lies beyond the end, or nobody says how many frames a second there are.
    """
    if not rig.fps > 0:
        raise ConfigError(
            f"frames per second of recording {rig.recording} are not known",
            got=f"{rig.fps:g} in rig.json",
            likely="picture files or arrays, which state no rate",
            hint=f"set recordings.{rig.recording}.fps in config.yaml and run capture audit again",
        )
    start, stop, step = source.span
    asked = range(start, stop, step)
    frames = [frame for frame in asked if rig.is_filmed(frame)]
    if not frames:
        raise ConfigError(
            f"recording {rig.recording} has none of the frames asked for",
            got=f"frames {list(source.frames)}",
            expected=f"0 to {rig.frames}",
        )
    with closing(Locator(rig, config)) as locator:
        places = locator.places(frames, threads)
        bar = tqdm(places, total=len(frames), desc="locate", unit="frame", mininterval=1.0)
        track = make_track(rig, list(bar), source, config)
    missing = {
        frame: f"beyond the end: {rig.frames} common frames"
        if frame >= rig.frames
        else "before a camera's first picture"
        for frame in asked
        if not rig.is_filmed(frame)
    }
    return replace(track, excluded=track.excluded | missing)
