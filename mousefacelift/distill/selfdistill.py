"""6 x 6 self-distillation of a chunk of frames: generate, dedupe by angle, gate, and write the accepted views.

    mousefacelift distill views --frames INDEX.json --generator FOLDER --gate gate.json --out INDEX.json

Reads one capture chunk; writes {frame}/ sample folders (source "distilled", accepted views only), index.json and
candidates.json with every candidate: its scores, its cluster, who won and why, and the quarantine. Generated candidates
are kept photo by photo beside the chunk while it is being made, so a killed job repeats at most one generator call.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mousefacelift.chunks import run_chunk
from mousefacelift.config import config_hash
from mousefacelift.core.cameras import angle_between, azimuth_elevation, signed_degrees
from mousefacelift.core.files import json_text, write_text
from mousefacelift.core.images import write_png
from mousefacelift.core.provenance import code_version
from mousefacelift.core.records import ItemRow, ViewFacts
from mousefacelift.core.samples import Sample, View, read_document, read_sample, write_sample
from mousefacelift.distill.candidate_sheet import candidate_sheet
from mousefacelift.distill.config import DistillConfig
from mousefacelift.distill.dedupe import cluster_angles, consensus_scores, count_distinct, image_agreement, nearest_real
from mousefacelift.distill.gate import SCORES, FrameJudge, Thresholds, refusal
from mousefacelift.distill.generators.protocol import Generator, change_camera
from mousefacelift.distill.painting import FramesAhead, Painter, load_views, view_files
from mousefacelift.distill.photos import FrameItem, list_frames, usable_views
from mousefacelift.errors import DataError


@dataclass
class Candidate:
    """One generated view, and everything that is decided about it."""

    view: View
    row: dict  # JSON-able: input, output, azimuth, elevation, scores, cluster, status, reason ...


@dataclass(frozen=True)
class Distiller:
    """Everything that turns a frame's photos into accepted views."""

    generator: Generator
    thresholds: Thresholds
    config: DistillConfig
    seed: int
    held_out_camera: int | str | None

    def candidates(self, item: FrameItem, photos: Sequence[View], cache: Path) -> list[Candidate]:
        """All views that the generator paints from every photo; a call whose views are all in `cache` is not made
        again."""
        self.painter().paint([(item, photos, cache)])
        return [
            Candidate(view, self._describe(photos, source, output, view))
            for source, file in enumerate(view_files(cache, len(photos)))
            for output, view in enumerate(load_views(file))
        ]

    def painter(self) -> Painter:
        """The generator with as many photos a call as are asked for, or as it likes best."""
        batch = self.config.views.batch_inputs or getattr(self.generator, "photos_at_once", 1)
        return Painter(self.generator, batch, self.seed)

    def _describe(self, photos: Sequence[View], source: int, output: int, view: View) -> dict:
        azimuth, elevation, distance = azimuth_elevation(view.camera)
        return {
            "input": photos[source].facts.camera,
            "output": output,
            "azimuth": azimuth,
            "elevation": elevation,
            "distance": distance,
            "seed": view.facts.seed,
            "offset": signed_degrees(azimuth - azimuth_elevation(photos[source].camera)[0]),
            "angle_from_input": angle_between(photos[source].camera, view.camera),
        }

    def judge(self, candidates: Sequence[Candidate], photos: Sequence[View]) -> None:
        """Fill in status, reason, cluster and scores of every candidate of a frame.

        Status is "photo" (a real camera within the tolerance wins), "refused", "duplicate" or "accepted".
        """
        judge = FrameJudge(photos, self.config.gate)
        tolerance = self.config.views.dedupe.tolerance
        real = [azimuth_elevation(photo.camera)[:2] for photo in photos]
        for candidate in candidates:
            row = candidate.row
            row |= {"scores": judge.scores(candidate.view), "cluster": None, "consensus": None, "agreement": None}
            reasons = refusal(row["scores"], self.thresholds, self.config.gate)
            near = nearest_real(row["azimuth"], row["elevation"], real, tolerance)
            if near is not None:
                row |= {
                    "status": "photo",
                    "reason": f"photo of camera {photos[near].facts.camera} is at this angle",
                }
            elif reasons:
                row |= {"status": "refused", "reason": "; ".join(reasons)}
            else:
                row |= {"status": "duplicate", "reason": None}
        free = [c for c in candidates if c.row["status"] != "photo"]
        labels = cluster_angles(
            [c.row["azimuth"] for c in free], np.array([c.row["elevation"] for c in free]), tolerance
        )
        for label in range(int(labels.max()) + 1 if len(free) else 0):
            self._elect([c for c, own in zip(free, labels, strict=True) if own == label], label)

    def _elect(self, cluster: Sequence[Candidate], label: int) -> None:
        views = [c.view.rgba for c in cluster]
        agreement = np.array([[image_agreement(a, b) for b in views] for a in views])
        weights = self.config.views.dedupe.weights
        consensus = consensus_scores(
            agreement,
            np.array([c.row["scores"]["hull_iou"] for c in cluster]),
            np.array([c.row["angle_from_input"] for c in cluster]),
            weights,
        )
        for i, candidate in enumerate(cluster):
            others = np.delete(agreement[i], i)
            candidate.row |= {
                "cluster": label,
                "consensus": float(consensus[i]),
                "agreement": float(others.mean()) if len(others) else None,
            }
        standing = [c for c in cluster if c.row["status"] == "duplicate"]
        if standing:
            winner = max(standing, key=lambda c: c.row["consensus"])
            for candidate in standing:
                candidate.row["reason"] = f"input {winner.row['input']} output {winner.row['output']} won its angle"
            winner.row |= {"status": "accepted", "reason": None}

    def finish(self, candidate: Candidate, photo_size: int, parent: str | None) -> View:
        """The accepted view at the configured size, with its provenance."""
        camera, row = candidate.view.camera, candidate.row
        size = {0: photo_size, -1: camera.width}.get(self.config.views.output_size, self.config.views.output_size)
        new = replace(camera.scaled_to(size, size), height=size)
        rgba = change_camera(candidate.view.rgba, camera, new) if size != camera.width else candidate.view.rgba
        names = ("input", "output", "cluster", "agreement", "angle_from_input", "scores")
        facts = ViewFacts(
            parents=(parent,),
            generator=self.generator.name,
            offset=row["offset"],
            score=row["consensus"],
            seed=row["seed"],
            details={"view_set": self.generator.view_set.name, "painted_size": camera.width}
            | {name: row[name] for name in names},
        )
        return View(rgba, new, facts)


def distill_chunk(frames: Path, index: Path, distiller: Distiller) -> dict:
    """Distil every frame of the capture chunk `frames` into the chunk `index`; returns the index document."""
    items = list_frames([frames])
    if not items:
        raise DataError(f"capture chunk {frames} holds no frames", hint="look at its header for the reasons")
    facts = {
        "generator": distiller.generator.name,
        "weights": distiller.generator.weights,
        "licence": distiller.generator.licence,
        "view_set": vars(distiller.generator.view_set),
        "resolution": distiller.generator.resolution,
        "thresholds": distiller.thresholds.to_dict(),
        "held_out_camera": distiller.held_out_camera,
        "seed": distiller.seed,
    }
    config = distiller.config
    settings = [config.generator.sampler, replace(config.views, batch_inputs=1), config.gate]
    code = code_version((__name__,))  # the cache of candidates has this key too
    key = config_hash([code, facts, settings, json.loads(Path(frames).read_text())["key"]])
    header = {"recording": items[0].recording, "source": "distilled", **facts}
    cache = index.parent.with_name(f".{index.parent.name}.{key}.candidates")
    ahead = FramesAhead(distiller.painter(), items, cache, distiller.held_out_camera)

    def candidates(folder: Path, rows: list[dict]) -> str:
        frames = [json.loads((folder / row["name"] / "candidates.json").read_text()) for row in rows]
        summary = summarise(frames, distiller.config.views.dedupe.tolerance)
        return json_text({"header": header, "summary": summary, "frames": frames}, indent=1)

    document = run_chunk(
        index,
        key,
        [(f"{item.frame:06d}", item) for item in items],
        lambda name, item, folder: _distill_frame(distiller, item, folder, ahead, config_hash(settings)),
        header,
        "frames",
        {"candidates.json": candidates},
    )
    shutil.rmtree(cache, ignore_errors=True)
    return document


def _distill_frame(distiller: Distiller, item: FrameItem, folder: Path, ahead: FramesAhead, settings: str) -> dict:
    sample = read_sample(item.folder)
    photos = usable_views(sample, distiller.held_out_camera)
    document = read_document(item.folder)
    hash_of = {view.facts.camera: f["hash"] for view, f in zip(sample.views, document["frames"], strict=True)}
    shown = {photo.facts.camera: hash_of[photo.facts.camera] for photo in photos}  # the held-out one is no parent
    ahead.paint(item, photos)
    candidates = distiller.candidates(item, photos, ahead.folder(item))
    distiller.judge(candidates, photos)
    accepted = [c for c in candidates if c.row["status"] == "accepted"]
    accepted.sort(key=lambda c: c.row["cluster"])
    counts = Counter(c.row["status"] for c in candidates)
    views = [distiller.finish(c, photos[0].camera.width, shown[c.row["input"]]) for c in accepted]
    facts = sample.facts.derive(
        "distilled",
        parents=tuple(shown.values()),
        generator=distiller.generator.name,
        weight_files=distiller.generator.weights,
        seed=distiller.seed,
        licence=distiller.generator.licence,
        config_hash=settings,
    )
    hashes = write_sample(folder, Sample(tuple(views), facts), into=True) if views else []
    write_text(folder / "candidates.json", json_text({"frame": item.frame, "candidates": [c.row for c in candidates]}))
    write_png(folder / "candidates.png", candidate_sheet(candidates))
    statuses = {status: counts.get(status, 0) for status in ("accepted", "duplicate", "photo", "refused")}
    details = {"time_s": facts.time_s, "candidates": len(candidates)} | statuses
    return ItemRow(len(views), item.frame, hashes=tuple(hashes), details=details).to_row()


def summarise(frames: Sequence[dict], tolerance: float) -> dict:
    """Counts over all frames: statuses, distinct angles among candidates, histogram of accepted angles, score
    medians."""
    every = [row for frame in frames for row in frame["candidates"]]
    distinct = [
        count_distinct([r["azimuth"] for r in f["candidates"]], np.array([r["elevation"] for r in f["candidates"]]), t)
        for f in frames
        for t in (tolerance,)
    ]
    accepted = [row for row in every if row["status"] == "accepted"]
    histogram, _ = np.histogram([row["azimuth"] for row in accepted], bins=24, range=(0, 360))
    medians = {
        status: {
            name: float(np.median([row["scores"][name] for row in every if row["status"] == status])) for name in SCORES
        }
        for status in sorted({row["status"] for row in every})
    }
    reasons = Counter(
        part.split(" ")[0] for row in every if row["status"] == "refused" for part in row["reason"].split("; ")
    )
    return {
        "candidates": len(every),
        "status": dict(Counter(row["status"] for row in every)),
        "distinct_angles_median": float(np.median(distinct)) if distinct else 0.0,
        "tolerance": tolerance,
        "accepted_per_frame_median": float(
            np.median([sum(r["status"] == "accepted" for r in f["candidates"]) for f in frames])
        )
        if frames
        else 0.0,
        "accepted_azimuth_histogram_15deg": histogram.tolist(),
        "score_medians": medians,
        "refused_because": dict(reasons),
    }
