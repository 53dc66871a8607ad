"""Canonical samples: each camera re-aimed at the animal by a pure rotation, image, alpha and camera warped once,
together.

Reads `rig.json`, `track.json` and the videos, writes a chunk of sample folders (source "real") beside an `index.json`;
run by `mousefacelift capture normalise`. The world becomes canonical by one similarity (one scale per recording, one
translation per frame); pixels change only through a rotation about each optical centre, so the stored camera is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from mousefacelift.capture.config import CaptureConfig
from mousefacelift.capture.frames import read_in_step
from mousefacelift.capture.growth import grow_mask, mask_level
from mousefacelift.capture.mask_crop import CropReader, MaskCrop
from mousefacelift.capture.quality import measure_sample, measure_view
from mousefacelift.capture.rig import Rig
from mousefacelift.capture.silhouettes import drop_specks
from mousefacelift.capture.sources import open_film
from mousefacelift.capture.sources.picture import Picture
from mousefacelift.capture.track import Track
from mousefacelift.capture.warp import covered_box, warp_view
from mousefacelift.chunks import run_chunk
from mousefacelift.config import config_hash
from mousefacelift.core.cameras import CANONICAL_DISTANCE, Camera, aim_at, canonical_fxfycxcy, look_at, project
from mousefacelift.core.records import ItemRow, SampleFacts, ViewFacts
from mousefacelift.core.samples import Sample, View, write_sample
from mousefacelift.errors import GateFailure
from mousefacelift.inputs import describe

GATE = 0.75  # median hull IoU of a chunk's stored images under their stored cameras; below it nothing is kept


@dataclass(frozen=True)
class CanonicalView:
    """What the warp of one view needs: the re-aimed camera, the rotation back to the old axes, the camera to store."""

    warp: Camera
    rotation: np.ndarray
    stored: Camera


def canonical_views(rig: Rig, track: Track, frame: int, size: int, mode: str = "exact") -> list[CanonicalView]:
    """Views of `frame` in the canonical world: animal at the origin, Z up, mean distance 2.7, square images.

    In exact mode `stored` is `warp`. In approximate mode every stored camera stands at distance 2.7 and the picture is
    enlarged to match at the origin; points nearer or farther are then off, by what `approximation_error` measures.
    """
    similarity = track.canonical(frame)
    intrinsics = canonical_fxfycxcy(size) * [track.zoom, track.zoom, 1, 1]
    views = []
    for camera in rig.cameras:
        moved = similarity.apply_camera(camera.pinhole())
        exact, _ = aim_at(moved, np.zeros(3), intrinsics, size, size)
        rotation = moved.R @ exact.R.T
        if mode == "exact":
            views.append(CanonicalView(exact, rotation, exact))
            continue
        far = float(np.linalg.norm(exact.center)) / CANONICAL_DISTANCE
        enlarged = Camera(exact.w2c, intrinsics * [far, far, 1, 1], size, size)
        views.append(
            CanonicalView(enlarged, rotation, Camera(look_at(exact.center / far, np.zeros(3)), intrinsics, size, size))
        )
    return views


def approximation_error(views: Sequence[CanonicalView], radius: float) -> dict[str, float]:
    """p50 and p95 of the distance in pixels between where stored cameras put a point and where the picture has it.

    Measured on a ball of `radius` (canonical units) about the origin, the animal's size; zero in exact mode.
    """
    rng = np.random.default_rng(0)
    points = rng.normal(size=(512, 3))
    points *= radius * rng.uniform(size=(512, 1)) ** (1 / 3) / np.linalg.norm(points, axis=1, keepdims=True)
    errors = [np.linalg.norm(project(v.stored, points)[0] - project(v.warp, points)[0], axis=1) for v in views]
    return {"p50_px": float(np.percentile(errors, 50)), "p95_px": float(np.percentile(errors, 95))}


class Normaliser:
    """Turns frames of one recording into samples; decodes ahead of the warp, warps and measures the views in
    threads."""

    def __init__(self, rig: Rig, track: Track, config: CaptureConfig, threads: int = 2) -> None:
        self.rig, self.track, self.config, self.threads = rig, track, config, threads
        self.views = len(rig.cameras)
        self._pool = ThreadPoolExecutor(threads)
        self._stream: Iterator | None = None

    def close(self) -> None:
        """Stop decoding and give the threads back."""
        if self._stream is not None:
            self._stream.close()
        self._pool.shutdown()

    def pictures(self, frame: int, remaining: Sequence[int]) -> list:
        """Pictures and mask crops of `frame` (V and V); decoding runs ahead over the rising `remaining` frames."""
        if self._stream is None:
            numbers = ((f, [self.rig.file_frame(v, f) for v in range(self.views)] * 2) for f in remaining)
            masks = [CropReader(m, camera.mask_growth) for m, camera in zip(self.rig.masks, self.rig.cameras)]
            films = [open_film(path) for path in self.rig.videos]
            self._stream = read_in_step([*films, *masks], numbers, threads=self.threads)
        for found, pictures in self._stream:
            if found == frame:
                return pictures
        raise ValueError(f"frame {frame} is not among the remaining frames")

    def sample(self, frame: int, pictures: Sequence) -> tuple[Sample, list[dict]]:
        """The canonical sample of a frame, and the quality of its views.

        Args:
            pictures: V pictures and V mask crops.
        """
        views = canonical_views(self.rig, self.track, frame, self.config.size, self.config.mode)
        jobs = [
            self._pool.submit(self._view, v, views[v], pictures[v], pictures[self.views + v]) for v in range(self.views)
        ]
        made = [job.result() for job in jobs]
        row = measure_sample([rgba for rgba, _ in made], [view.stored for view in views])
        records = []
        for v, (rgba, numbers) in enumerate(made):
            numbers |= {name: values[v] for name, values in row.items()}
            facts = ViewFacts(v, self.rig.cameras[v].name, details={"quality": numbers})
            records.append(View(rgba, views[v].stored, facts))
        return Sample(tuple(records), self._facts(frame, views)), [numbers for _, numbers in made]

    def _view(self, v: int, view: CanonicalView, picture: Picture, mask: MaskCrop) -> tuple[np.ndarray, dict]:
        grown, level = grow_mask(mask.picture(), self.rig.cameras[v].mask_growth).y, mask_level(mask.picture())
        binary = cv2.threshold(grown, level, 1, cv2.THRESH_BINARY)[1]
        clean = drop_specks(binary)
        soft = grown if clean is binary else np.where(clean >= binary, grown, 0)
        x, y, w, h = cv2.boundingRect(clean)
        place = (mask.left + x, mask.top + y, w, h)
        box = covered_box(place, self.rig.cameras[v], view.warp, view.rotation)
        crop = replace(mask, luma=soft)
        rgba = warp_view(picture, crop, level + 0.5, self.rig.cameras[v], view.warp, view.rotation, box)
        return rgba, measure_view(rgba, box, clean[y : y + h, x : x + w], place, picture)

    def _facts(self, frame: int, views: Sequence[CanonicalView]) -> SampleFacts:
        similarity = self.track.canonical(frame)
        details = {
            "segment": sum(frame >= cut for cut in self.track.cuts),
            "mode": self.config.mode,
            "zoom": self.track.zoom,
            "similarity": {
                "scale": similarity.scale,
                "rotation": similarity.rotation.tolist(),
                "translation": similarity.translation.tolist(),
                "from": "rig world, mm",
            },
        }
        if self.config.mode == "approximate":
            details["approximation"] = approximation_error(views, 0.5)
        return SampleFacts(
            "real",
            self.rig.recording,
            frame=frame,
            time_s=frame / self.rig.fps,
            licence=self.rig.licence,
            config_hash=config_hash(self.config),
            details=details,
        )


def normalise_chunk(
    index: str | Path,
    rig: Rig,
    track: Track,
    frames: Sequence[int],
    config: CaptureConfig,
    threads: int = 2,
) -> dict:
    """Write the samples of `frames` that the track keeps; returns the index.

    Raises:
        GateFailure: the stored images do not agree under their stored cameras.
    """
    kept = set(track.frames.tolist())
    wanted = [frame for frame in frames if frame in kept]
    header = {
        "recording": rig.recording,
        "source": "real",
        "fps": rig.fps,
        "size": config.size,
        "mode": config.mode,
        "zoom": track.zoom,
        "scale": track.scale,
        "cameras": [camera.name for camera in rig.cameras],
        "cuts": track.cuts,
        "png_compression": config.png_compression,
        "excluded": {str(f): track.excluded[f] for f in frames if f in track.excluded},
    }
    sources = {path.rsplit("#", 1)[0] for path in (*rig.videos, *rig.masks) if path}
    files = {path: describe([Path(path)]) for path in sorted(sources)}
    key = config_hash(
        [header, rig.to_key(), [(f, track.centers[np.searchsorted(track.frames, f)].tolist()) for f in wanted]]
    )
    normaliser = Normaliser(rig, track, config, threads)

    def make(name: str, frame: int, folder: Path) -> dict:
        sample, quality = normaliser.sample(frame, normaliser.pictures(frame, [f for f in wanted if f >= frame]))
        hashes = tuple(write_sample(folder, sample, config.png_compression, into=True))
        facts = sample.facts
        details = {"time_s": facts.time_s, "segment": facts.details["segment"], "quality": quality}
        return ItemRow(len(hashes), frame, hashes=hashes, details=details).to_row()

    try:
        document = run_chunk(
            index, key, [(f"{frame:06d}", frame) for frame in wanted], make, header, "frames", sources=files
        )
    finally:
        normaliser.close()
    _gate(document, rig, index)
    return document


def _gate(document: dict, rig: Rig, index: str | Path) -> None:
    values = [
        view["hull_iou"] for item in document["items"] for view in item["quality"] if view["hull_iou"] is not None
    ]
    if values and np.median(values) < GATE:
        raise GateFailure(
            f"samples of {rig.recording} do not agree with their own cameras",
            where=str(index),
            got=f"median hull IoU {np.median(values):.2f}",
            expected=f"at least {GATE}",
            likely="masks of another recording, or a rig.json that was edited",
            hint="mousefacelift capture audit",
        )
