"""A chunk of frames fitted in batches, resumable frame by frame, with outliers refitted and failures named.

An item folder holds the fit's `splat.npz` and, of a field, `field.npz` (see `scene.py`), `fit.json` (its record with
its cameras) and, if asked for, `splat.ply`. An item whose fit failed holds `fit.json` alone; its index row says why.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from mousefacelift.chunks import chunk_folder, read_index, run_chunk
from mousefacelift.config import config_hash
from mousefacelift.core.cameras import Camera
from mousefacelift.core.files import json_text, read_json, readable, relative_path
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.records import ItemRow, SampleFacts
from mousefacelift.core.samples import (
    Sample,
    read_document,
    read_sample,
    sample_facts,
    seen_views,
    view_facts,
)
from mousefacelift.core.splat_files import write_ply
from mousefacelift.errors import DataError, GateFailure
from mousefacelift.splats.config import FitConfig
from mousefacelift.splats.fit import fit_frames
from mousefacelift.splats.frames import FrameViews, frame_views
from mousefacelift.splats.methods import METHODS, more_tolerant
from mousefacelift.splats.result import Fit
from mousefacelift.splats.scene import SPLAT, Scene, read_scene, save_scene
from mousefacelift.splats.start import carve_frame, find_body
from mousefacelift.splats.warm import warm_start

OUTSIDE = 0.005  # share of a fit's alpha outside the dilated silhouettes that counts as none


def fit_chunk(
    capture_index: Path,
    out: Path,
    config: FitConfig,
    seed: int,
    limit: float,
    held_out: int | str | None = None,
    device: str = "cpu",
    method: str = "gaussians",
) -> dict:
    """Fit every sample of a capture chunk and write the chunk of fits.

    Args:
        limit: error on its own cameras from which a fit is an outlier of the recording (`Trust.limit`); the same for
            all chunks, so that it matters neither how frames are cut into chunks nor in which order they are fitted.
        held_out: number or name of a camera that no fit may see (the evaluation's), or None.
        method: one of `METHODS`.
    Raises:
        GateFailure: more than `config.max_failed` of the frames failed.
    """
    folder = Path(capture_index).parent
    items = [
        (item["name"], folder / item["name"])
        for item in read_index(capture_index)["items"]
        if ItemRow.from_row(item, str(capture_index)).has_sample
    ]
    parents = [view["hash"] for _, sample in items for view in read_document(sample)["frames"]]
    key = config_hash(
        {
            "config": asdict(config),
            "method": method,
            "seed": seed,
            "limit": limit,
            "held_out": held_out,
            "parents": parents,
        }
    )
    fitter = ChunkFitter([path for _, path in items], config, seed, limit, held_out, device, method)
    header = {
        "stage": "splats fit",
        "source": "splat",
        "config": config_hash(config),
        "held_out": held_out,
        "samples": relative_path(folder, chunk_folder(out)),
    }
    document = run_chunk(out, key, items, fitter.make, header, label="frames")
    failed = [item["name"] for item in document["items"] if item.get("failed")]
    for name in failed:
        print(
            f"no splat for frame {name}: {next(i['failed'] for i in document['items'] if i['name'] == name)}",
            file=sys.stderr,
        )
    if len(failed) > config.max_failed * max(1, len(items)):
        raise GateFailure(
            f"too many frames of chunk '{out.parent.name}' could not be fitted",
            got=f"{len(failed)} of {len(items)}",
            expected=f"at most {config.max_failed:.0%}",
            likely="cameras and images that do not belong together",
            hint="mousefacelift capture audit",
        )
    return document


class ChunkFitter:
    """Fits frames in batches as they are asked for one by one.

    Batches stand at fixed places of the chunk, and a warm start is read from the stored fit before it: a run that was
    killed inside a batch fits that batch again, whole, and so ends with the same bits as one that was not.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        config: FitConfig,
        seed: int,
        limit: float,
        held_out: int | str | None,
        device: str,
        method: str,
    ):
        self.folders, self.config, self.seed, self.held_out, self.device = list(folders), config, seed, held_out, device
        self.limit, self.method = limit, method
        self.ready: dict[Path, Fit | DataError] = {}
        self.warmth = 0  # fits since the last cold start, the one at work included

    def make(self, name: str, sample_folder: Path, folder: Path) -> dict:
        """One item of `run_chunk`."""
        document = read_document(sample_folder)
        facts = sample_facts(document, sample_folder)
        base = {"frame": facts.frame}
        try:
            if sample_folder not in self.ready:
                self._fit_batch(sample_folder, folder.parent)
            fitted = self.ready.pop(sample_folder)
            if isinstance(fitted, DataError):
                raise fitted
            fit, how = self._settle(sample_folder, fitted)
        except DataError as error:
            fit, how = None, str(error)
        record = self._record(sample_folder, document, facts, fit) | {"warmth": self.warmth}
        if fit is None or fit.diverged:
            record["failed"] = fit.diverged if fit is not None else how
            (folder / "fit.json").write_text(json_text(record, indent=1))
            return base | {"failed": record["failed"]}
        record |= {"hash": save_scene(fit.scene, folder), "how": how}
        if self.config.write_ply:
            write_ply(folder / "splat.ply", fit.gaussians)
        (folder / "fit.json").write_text(json_text(record, indent=1))
        return base | {key: record[key] for key in ("hash", "scores", "steps", "how")}

    def _load(self, sample_folder: Path) -> FrameViews:
        sample: Sample = read_sample(sample_folder)
        views = seen_views([view.facts for view in sample.views], self.held_out, str(sample_folder))
        return frame_views(sample_folder.name, sample, self.config.size, views)

    def _fit_batch(self, wanted: Path, done: Path) -> None:
        """Fit the whole batch in which `wanted` stands; frames of other image sizes are fitted apart."""
        start = self.folders.index(wanted) // self.config.batch * self.config.batch
        sizes: dict[tuple[int, ...], list[tuple[Path, FrameViews]]] = {}
        self.ready, self.warmth = {}, 0
        for path in self.folders[start : start + self.config.batch]:
            try:  # a bad frame is reported when its own turn comes
                frame = self._load(path)
                carve_frame(frame, self.config.hull)
                sizes.setdefault(frame.rgba.shape, []).append((path, frame))
            except DataError as error:
                self.ready[path] = error
        for batch in sizes.values():
            frames = [frame for _, frame in batch]
            seed = self._seed(frames[0])
            if warm := self._warm(frames[0], self.folders[start - 1] if start else None, done):
                fits = fit_frames([warm[0]], self.config, seed, self.device, [warm[1]])
            else:
                fits = METHODS[self.method](frames, self.config, seed, self.device)
            self.ready |= {path: fit for (path, _), fit in zip(batch, fits, strict=True)}

    def _warm(self, frame: FrameViews, previous: Path | None, done: Path) -> tuple[FrameViews, Gaussians] | None:
        """The frame ready for a fit and its start from the fit of the frame before, read from its finished item in
        `done`; None for a cold one."""
        if self.config.start != "warm" or previous is None:
            return None
        before, record = done / previous.name, read_json(done / previous.name / "fit.json", {"warmth": int}, "fit")
        if record["warmth"] >= self.config.cold_every or not (before / SPLAT).exists():
            return None
        self.warmth = record["warmth"] + 1
        body, rng = find_body(frame, self.config.hull), np.random.default_rng(self._seed(frame))
        return body.frame, warm_start(Gaussians.read(before / SPLAT), body.frame, body.hull, rng)

    def _settle(self, path: Path, fit: Fit) -> tuple[Fit, str]:
        """The fit, or a second, longer one from a fresh hull when the first is an outlier of the recording."""
        how = "first"
        if fit.diverged or fit.scores["error"] > self.limit:
            frame = self._load(path)
            fit_again = METHODS[self.method]
            again = fit_again([frame], more_tolerant(self.config), self._seed(frame) + 1, self.device)[0]
            if fit.diverged or (not again.diverged and _is_better(again.scores, fit.scores)):
                fit, how = again, "refitted"
            if not fit.diverged and fit.scores["error"] > self.limit:
                how = "flagged"
        return fit, how

    def _seed(self, frame: FrameViews) -> int:
        digits = "".join(c for c in frame.name if c.isdigit())
        return self.seed * 1_000_003 + int(digits or 0)

    def _record(self, folder: Path, document: dict, facts: SampleFacts, fit: Fit | None) -> dict:
        seen = seen_views(view_facts(document, folder), self.held_out, str(folder))
        kept = [document["frames"][index] for index in seen]
        record = {
            "name": folder.name,
            "frame": facts.frame,
            "sample": facts.to_json(),
            "seed": self.seed,
            "parents": [f["hash"] for f in kept],
            "cameras": [Camera.from_frame(f).to_frame(f["file_path"]) for f in kept],
            "held_out": self.held_out,
            "method": self.method,
        }
        if fit is not None:
            corrections = None if fit.corrections is None else fit.corrections.tolist()
            record |= {"scores": fit.scores, "steps": fit.steps, "curve": list(fit.curve), "corrections": corrections}
        return record


def _is_better(new: dict[str, float], old: dict[str, float]) -> bool:
    """Closer in colour, and not by alpha outside the silhouettes, which a more tolerant hull invites."""
    return new["error"] < old["error"] and new["outside"] <= max(old["outside"], OUTSIDE)


def read_fit(folder: Path) -> tuple[Scene, dict, list[Camera]]:
    """What was fitted, the record and the fitted cameras of an item folder."""
    record = read_json(Path(folder) / "fit.json", {"cameras": [dict], "parents": [str]}, "fit")
    with readable(Path(folder) / "fit.json", "fit"):
        cameras = [Camera.from_frame(frame) for frame in record["cameras"]]
    method = record.get("method", "gaussians")  # which fits from before there were fields do not say
    return read_scene(Path(folder), method), record, cameras
