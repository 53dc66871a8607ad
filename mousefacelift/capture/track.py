"""The track: from per-frame places to smoothed centres, excluded frames, cuts, and one canonical similarity.

`track.json` is written by `mousefacelift capture locate` and read by `normalise`, `quality` and `dataset split`
(docs/capture.md lists its fields).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from mousefacelift.capture.config import LocateConfig, RecordingSource
from mousefacelift.capture.exclusions import exclude_frames, exclude_outliers, find_cuts
from mousefacelift.capture.place import Place
from mousefacelift.capture.rig import Rig
from mousefacelift.capture.upright import cameras_up, fits_cameras, upright
from mousefacelift.core.cameras import CANONICAL_DISTANCE, CANONICAL_FOCAL_512, look_at
from mousefacelift.core.files import check_shape, json_text, read_json, readable, write_text
from mousefacelift.core.similarity import Similarity
from mousefacelift.errors import DataError

TRACK_VERSION = 1
ZOOM_STEP = 0.05
USUAL_ZOOM = 1.3  # of the real rig: the animal is then about one unit long, as models learnt it
FLOOR_FRAMES = 20  # a track of fewer does not tell the floor
TILTED = 12.0  # degrees: a plane walked in that far from the floor is worth a word; rearing tilts it by less
DISTANT_ZOOM = 2.0  # beyond it the animal would be less than about half as long

SHAPE = {
    "recording": str,
    "fps": float,
    "frames": [int],
    "centers_raw": [[float]],
    "centers": [[float]],
    "excluded": dict,
    "cuts": [int],
    "scale": float,
    "rotation": [[float]],
    "zoom": float,
    "correlation_time_s": float,
    "views?": dict,
}


@dataclass(frozen=True)
class Track:
    """Where the animal is in every frame, and how the calibration's world becomes the canonical one.

    Attributes:
        recording, fps: from the rig.
        frames: [T] common frame numbers that may be used, excluded ones left out.
        centers_raw, centers: [T, 3] mm in the calibration's world, measured and smoothed.
        excluded: frame -> reason.
        cuts: first frames after a cut.
        scale: canonical units per mm. rotation: [3, 3], floor normal to +z.
        zoom: focal length over the canonical 548.99 px at 512 px.
        correlation_time_s: time after which the animal's place has forgotten half of itself.
        views: per-view medians (hull IoU, ray agreement ...), by name.
    """

    recording: str
    fps: float
    frames: np.ndarray
    centers_raw: np.ndarray
    centers: np.ndarray
    excluded: dict[int, str]
    cuts: list[int]
    scale: float
    rotation: np.ndarray
    zoom: float
    correlation_time_s: float
    views: dict = field(default_factory=dict)

    def canonical(self, frame: int) -> Similarity:
        """The similarity that puts the animal of `frame` at the origin of the canonical world."""
        position = int(np.searchsorted(self.frames, frame))
        if position >= len(self.frames) or self.frames[position] != frame:
            raise DataError(
                f"frame {frame} of {self.recording} is not in the track", got=self.excluded.get(frame, "never located")
            )
        return Similarity(self.scale, self.rotation, -self.scale * self.rotation @ self.centers[position])

    def write(self, path: str | Path) -> None:
        """Write `track.json` in one rename."""
        document = {"version": TRACK_VERSION} | {
            key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in asdict(self).items()
        }
        document["excluded"] = {str(frame): reason for frame, reason in self.excluded.items()}
        write_text(path, json_text(document, indent=1))

    @classmethod
    def read(cls, path: str | Path) -> Track:
        """The track of a `track.json`.

        Raises:
            DataError: missing or broken, or written by another version.
        """
        document = read_json(path, dict, "track")
        if document.pop("version", None) != TRACK_VERSION:
            raise DataError(f"track {path} was written by another version", hint="mousefacelift capture locate")
        with readable(path, "track"):
            check_shape(document, SHAPE)
            frames = document["frames"] = np.asarray(document["frames"], np.int64)
            for key, count in (("centers_raw", len(frames)), ("centers", len(frames)), ("rotation", 3)):
                document[key] = np.asarray(document[key], np.float64).reshape(count, 3)
            document["excluded"] = {int(frame): reason for frame, reason in document["excluded"].items()}
            return cls(**document)


def make_track(rig: Rig, places: Sequence[Place], source: RecordingSource, config: LocateConfig) -> Track:
    """The track of all places of a recording, in rising frame order.

    Raises:
        DataError: no frame is usable.
    """
    excluded = exclude_frames(places, source, config)
    excluded |= exclude_outliers([place for place in places if place.frame not in excluded], source, config)
    kept = [place for place in places if place.frame not in excluded]
    if not kept:
        reasons = sorted(set(excluded.values()))
        raise DataError(
            f"no frame of recording {rig.recording} is usable",
            got="; ".join(reasons[:4]),
            hint="look at rig.png, or list frames under include",
        )
    frames = np.array([place.frame for place in kept])
    raw = np.stack([place.center for place in kept])
    cuts = find_cuts(places, frames, raw, source, config, rig.fps)
    centers = smooth(frames, raw, cuts, config.smooth_s * rig.fps)
    distances = np.stack([np.linalg.norm(centers - camera.center, axis=1) for camera in rig.cameras])
    rotation = upright(_up(rig, raw, source))
    zoom = config.zoom if config.zoom != "auto" else find_zoom(rig, kept, centers, rotation, config.margin)
    views = {
        name: [_median([getattr(p, name)[v] for p in kept]) for v in range(len(rig.cameras))]
        for name in ("hull_iou", "ray_agreement", "area", "border")
    }
    return Track(
        rig.recording,
        rig.fps,
        frames,
        raw,
        centers,
        excluded,
        cuts,
        CANONICAL_DISTANCE / float(distances.mean()) * (distant_factor(zoom) if config.scale == "auto" else 1.0),
        rotation,
        float(zoom),
        correlation_time(frames, centers, cuts, rig.fps),
        views,
    )


def smooth(frames: np.ndarray, values: np.ndarray, cuts: Sequence[int], sigma: float) -> np.ndarray:
    """Gaussian mean of values [T, 3] over frames, `sigma` frames wide, never across a cut; gaps are handled by
    weights."""
    if sigma <= 0:
        return values.copy()
    segment = np.searchsorted(np.asarray(sorted(cuts)), frames, side="right")
    out = np.empty_like(values)
    reach = 4 * sigma
    for t, frame in enumerate(frames):
        near = slice(np.searchsorted(frames, frame - reach), np.searchsorted(frames, frame + reach, side="right"))
        weight = np.exp(-0.5 * ((frames[near] - frame) / sigma) ** 2) * (segment[near] == segment[t])
        mean = (weight @ frames[near]) / weight.sum() - frame
        slope = _slope(frames[near] - frame, values[near], weight)
        out[t] = (weight @ values[near]) / weight.sum() - slope * mean
    return out


def _slope(x: np.ndarray, values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted slope [3]: without it a centre at the end of a segment would lag behind a walking animal."""
    x = x - (weight @ x) / weight.sum()
    spread = weight @ x**2
    return (weight * x) @ values / spread if spread > 1e-9 else np.zeros(values.shape[1])


def walked_plane(centers: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """Unit normal [3] of the plane in which centers [T, 3] lie, of either sign, and their spread along its axes; None
    where they are few or lie on a line."""
    spread, axes = np.linalg.svd(centers - centers.mean(0), full_matrices=False)[1:]
    flat = len(centers) >= FLOOR_FRAMES and spread[1] >= 5 * spread[2]
    return (axes[2] if flat else None), spread


def say_tilt(track: Track) -> str:
    """A warning where the animal walked in a plane that is not the floor of the stated up; "" where it did, or where
    its track does not tell."""
    normal, _ = walked_plane(track.centers)
    if normal is None:
        return ""
    normal = normal * np.sign(normal @ track.rotation[2])
    tilt = float(np.degrees(np.arccos(min(1.0, normal @ track.rotation[2]))))
    if tilt < TILTED:
        return ""
    return (
        f"the animal walked in a plane that is {tilt:.0f} degrees from the floor that the recording's up states: if it "
        f"did not climb, set up: track, or up: {np.round(normal, 3).tolist()}"
    )


def _up(rig: Rig, centers: np.ndarray, source: RecordingSource) -> np.ndarray:
    """Floor normal; checked against the cameras' own up, so that a world with another axis up is noticed.

    Raises:
        DataError: most cameras would hang upside down or lie on their side.
    """
    camera_up = cameras_up(rig.cameras)
    up, own = rig.up, f"up: {np.round(camera_up, 2).tolist()} (the cameras' own, roughly)"
    if source.up == "track":
        normal, spread = walked_plane(centers)
        if normal is None:
            raise DataError(
                f"the floor of recording {rig.recording} cannot be told from the animal's track",
                got=f"{len(centers)} usable frames, spread {spread.round(1).tolist()} mm",
                expected=f"{FLOOR_FRAMES} frames or more of a walk in two directions",
                hint=f"give up as a vector in the recording's config: {own}",
            )
        up = normal * np.sign(normal @ camera_up)
    if not fits_cameras(up, camera_up):
        raise DataError(
            f"floor normal of recording {rig.recording} does not fit its cameras",
            got=f"up {np.round(up, 2).tolist()}, cameras' mean up {np.round(camera_up, 2).tolist()}",
            likely="a calibration whose z is not up",
            hint=f"set for this recording up: track, the normal of the floor, or {own}",
        )
    return up


def find_zoom(rig: Rig, places: Sequence[Place], centers: np.ndarray, rotation: np.ndarray, margin: float) -> float:
    """Largest zoom, a multiple of ZOOM_STEP, at which every outline stays inside every frame with `margin` to spare."""
    reach = max(
        reaches(rig, place.outlines(), place.area > 0, center, rotation).max() for place, center in zip(places, centers)
    )
    half = 256.0 * (1 - 2 * margin)
    return max(ZOOM_STEP, float(np.floor(half / (CANONICAL_FOCAL_512 * reach) / ZOOM_STEP) * ZOOM_STEP))


def distant_factor(zoom: float) -> float:
    """How many times larger than at a mean camera distance of 2.7 the world is made for an animal of usual length.

    Telephoto cameras need a large zoom, which says how small the animal would be. A similarity changes no pixel and no
    intrinsics, so all that is larger is the cameras' distance.
    """
    return zoom / USUAL_ZOOM if zoom > DISTANT_ZOOM else 1.0


def reaches(rig: Rig, outlines: np.ndarray, have: np.ndarray, center: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """[V] largest |x|, |y| on the plane z = 1 of each view's outline after the camera is aimed at `center`."""
    out = np.zeros(len(rig.cameras))
    for v in np.flatnonzero(have):
        camera = rig.cameras[v]
        aimed = look_at(rotation @ camera.center, rotation @ center)[:3, :3] @ rotation
        rays = np.concatenate([outlines[v], np.ones((len(outlines[v]), 1))], 1) @ (aimed @ camera.R.T).T
        out[v] = np.nanmax(np.abs(rays[:, :2] / rays[:, 2:]))
    return out


def correlation_time(frames: np.ndarray, centers: np.ndarray, cuts: Sequence[int], fps: float) -> float:
    """Seconds until the autocorrelation of the centre falls below one half, the longest segment's; its length at
    most."""
    segment = np.searchsorted(np.asarray(sorted(cuts)), frames, side="right")
    longest = np.flatnonzero(segment == np.bincount(segment).argmax())
    values, times = centers[longest] - centers[longest].mean(0), frames[longest] / fps
    if len(longest) < 4:
        return float(np.ptp(times)) if len(longest) else 0.0
    variance = (values**2).sum(1).mean()
    for lag in range(1, len(longest) - 1):
        if (values[lag:] * values[:-lag]).sum(1).mean() < 0.5 * variance:
            return float(np.median(times[lag:] - times[:-lag]))
    return float(np.ptp(times))


def _median(values: list) -> float | None:
    values = np.asarray(values, np.float64)
    return float(np.nanmedian(values)) if np.isfinite(values).any() else None
