"""Scanning: every sample of a finished chunk is read, hashed, judged by the gate and turned into manifest rows.

One call of `scan_index` handles one `index.json`; results are kept as a JSON part named by the hash of the
index and of the gate's configuration, so a rebuild reads only what changed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mousefacelift.chunks import read_index
from mousefacelift.config import canonical_json, config_hash
from mousefacelift.core.cameras import Camera, azimuth_elevation
from mousefacelift.core.images import decode_rgba8
from mousefacelift.core.records import ItemRow, SampleFacts, ViewFacts
from mousefacelift.core.samples import (
    CAMERAS_FILE,
    Sample,
    View,
    read_document,
    sample_facts,
    view_facts,
    view_hash,
)
from mousefacelift.core.sources import GENERATED_SOURCES, SOURCES
from mousefacelift.dataset.config import GateConfig
from mousefacelift.dataset.gate import check_sample
from mousefacelift.dataset.schema import W2C_COLUMNS
from mousefacelift.errors import CameraError, DataError

SCAN_VERSION = 4  # raise when rows are made differently from the same files


@dataclass(frozen=True)
class Scan:
    """Rows of one chunk: dicts with the columns of the schema that do not depend on other chunks, and what was broken.

    In a view row `sample` is the position in `samples`; `damaged` holds the messages of samples that could not be read.
    """

    samples: list[dict]
    views: list[dict]
    damaged: list[str]


def scan_index(index: Path, gate: GateConfig, real_folders: dict[tuple[str, int], str] | None = None) -> Scan:
    """Rows of every sample of a chunk. Items without a sample folder content (nothing accepted) are passed over.

    Args:
        real_folders: (recording, frame) -> folder of the real sample: context of the gate for generated samples.
    """
    samples: list[dict] = []
    views: list[dict] = []
    damaged = []
    for item in read_index(index)["items"]:
        folder = index.parent / item["name"]
        if not ItemRow.from_row(item, str(index)).has_sample:
            continue
        try:
            sample_row, view_rows = scan_sample(folder, gate, real_folders or {})
        except (DataError, CameraError) as error:
            damaged.append(str(error))
            continue
        views += [row | {"sample": len(samples)} for row in view_rows]
        samples.append(sample_row)
    return Scan(samples, views, damaged)


def scan_sample(folder: Path, gate: GateConfig, real_folders: dict[tuple[str, int], str]) -> tuple[dict, list[dict]]:
    """The sample row and the view rows of a sample folder; `folder` in the row is still the path given.

    Raises:
        DataError: a file is missing or broken, or differs from the hash recorded when it was written.
        CameraError: a camera is not one (mirrored, not rigid, not finite).
    """
    document = read_document(folder)
    facts = sample_facts(document, folder)
    _check_facts(folder, facts)
    views, sizes, digests = zip(*_read_views(folder, document))
    files = list(zip((frame["file_path"] for frame in document["frames"]), sizes, digests))
    sample = Sample(views, facts)
    real = real_folders.get((facts.name, facts.frame))
    generated = facts.source in GENERATED_SOURCES
    context = _read_context(Path(real)) if generated and real is not None else None
    result = check_sample(sample, gate, context)
    real_cameras = context.cameras if context is not None else (sample.cameras if facts.source == "real" else [])
    rows = [
        _view_row(sample, index, files[index], result.containment[index], real_cameras) for index in range(len(views))
    ]
    data = (folder / CAMERAS_FILE).read_bytes()
    row = _sample_row(folder, sample, result, rows) | {
        "document_hash": hashlib.sha256(data).hexdigest()[:32],
        "document_bytes": len(data),
    }
    return row, rows


def _read_context(folder: Path) -> Sample:
    """The real sample in `folder` as scanned: 8-bit images."""
    document = read_document(folder)
    return Sample(tuple(view for view, _, _ in _read_views(folder, document)), sample_facts(document, folder))


def part_key(index: Path, gate: GateConfig, context: str) -> str:
    """Hash naming the part of a chunk; `context` stands for the real samples it is judged with."""
    digest = hashlib.sha256(index.read_bytes()).hexdigest()
    return config_hash([SCAN_VERSION, str(index), digest, config_hash(gate), context])


def _check_facts(folder: Path, facts: SampleFacts) -> None:
    if facts.source not in SOURCES:
        raise DataError(
            f"sample {folder} does not say where it came from",
            got=f"source {facts.source!r}",
            expected=", ".join(SOURCES),
            hint="import foreign folders with mousefacelift dataset import",
        )
    if not facts.name:
        raise DataError(f"sample {folder} names no recording and no asset")


def _read_views(folder: Path, document: dict) -> list[tuple[View, int, str]]:
    known = view_facts(document, folder)
    return [_read_view(folder, i, frame, known[i]) for i, frame in enumerate(document["frames"])]


def _read_view(folder: Path, index: int, frame: dict, facts: ViewFacts) -> tuple[View, int, str]:
    path = folder / frame["file_path"]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"image {path} cannot be read", got=str(error), hint="rerun the stage that made the sample"
        ) from error
    check_png(data, path)
    try:
        camera = Camera.from_frame(frame)
    except CameraError as error:
        raise CameraError(
            f"camera {index} of {folder / CAMERAS_FILE}: {error.what}",
            got=error.got,
            expected=error.expected,
            likely=error.likely,
        ) from error
    digest = view_hash(data, frame)
    if frame.get("hash", digest) != digest:
        raise DataError(
            f"image {path} and its camera are not those that were written",
            got=digest,
            expected=frame["hash"],
            likely="one of the two was edited or copied without the other",
            hint="rerun the stage that made it",
        )
    return View(decode_rgba8(data, str(path)), camera, facts), len(data), digest


def check_png(data: bytes, path: Path) -> None:
    """Raise DataError unless `data` is an 8-bit PNG with alpha and an end (header and trailer only, nothing is
    decoded)."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 45:
        raise DataError(
            f"image {path} is not a PNG file", got=f"{len(data)} bytes", likely="truncated or another format"
        )
    depth, colour = data[24], data[25]
    if depth != 8:
        raise DataError(
            f"image {path} is a {depth}-bit PNG",
            expected="8 bits a channel",
            likely="copied from a published data set",
            hint="mousefacelift dataset import converts it",
        )
    if colour not in (4, 6):
        raise DataError(
            f"image {path} has no alpha channel",
            expected="RGBA",
            likely="exported on a white background; alpha is never guessed from colours",
        )
    if data[-8:-4] != b"IEND":
        raise DataError(
            f"image {path} is cut short",
            got=f"{len(data)} bytes without an end mark",
            hint="delete the sample folder and rerun the stage that made it",
        )


def set_of(sample: Sample) -> str:
    """Kind of a sample within its source: what it says, else the kinds of its views (splats: in-between or ring)."""
    return sample.facts.set or "+".join(sorted({view.facts.kind for view in sample.views if view.facts.kind}))


def _sample_row(folder: Path, sample: Sample, result, views: list[dict]) -> dict:
    accepted, facts = result.accepted, sample.facts
    weight = float(np.mean([row["score"] for row in views])) * facts.weight
    return {
        "folder": str(folder),
        "source": facts.source,
        "set": set_of(sample),
        "recording": facts.name,
        "filmed": bool(facts.recording),
        "frame": facts.frame,
        "subject": facts.subject or facts.asset or facts.recording,
        "time_s": facts.time_s if facts.time_s is not None else float("nan"),
        "views": len(views),
        "weight": weight if accepted else 0.0,
        "decision": "accepted" if accepted else "refused",
        "reason": "; ".join(result.reasons),
        **{name: float(value) for name, value in result.scores.items()},
        "parents": _json(facts.parents),
        "seed": -1 if facts.seed is None else facts.seed,
        "config_hash": facts.config_hash,
        "weight_files": _json(facts.weight_files),
        "code": facts.code,
        "versions": _json(facts.versions),
        "licence": facts.licence,
    }


def _view_row(
    sample: Sample, index: int, file: tuple[str, int, str], containment: float, real_cameras: list[Camera]
) -> dict:
    view, source = sample.views[index], sample.facts.source
    camera, facts = view.camera, view.facts
    azimuth, elevation, distance = azimuth_elevation(camera)
    path, size, digest = file
    score = view_score(facts, source, path)
    return {
        "view": index,
        "index": index,
        "file": path,
        "source": facts.source or source,
        "camera": -1 if facts.camera is None else facts.camera,
        "camera_name": facts.camera_name,
        "width": camera.width,
        "height": camera.height,
        **dict(zip(("fx", "fy", "cx", "cy"), camera.fxfycxcy.tolist())),
        **dict(zip(W2C_COLUMNS, camera.w2c[:3].ravel().tolist())),
        "azimuth": azimuth,
        "elevation": elevation,
        "distance": distance,
        "angle_to_real": _nearest_angle(camera, real_cameras),
        "parents": _json(facts.parents),
        "generator": facts.generator,
        "offset": float("nan") if facts.offset is None else facts.offset,
        "score": score,
        "containment": float(containment),
        "weight": facts.weight * score,
        "seed": -1 if facts.seed is None else facts.seed,
        "bytes": size,
        "hash": bytes.fromhex(digest),
    }


def view_score(facts: ViewFacts, source: str, where: str) -> float:
    """How far a view may be believed, [0, 1] (`core.records`): 1 for photos and renders of the thing itself.

    Raises:
        DataError: a generated view without a score.
    """
    if (facts.source or source) not in GENERATED_SOURCES:
        return 1.0
    if facts.score is None:
        raise DataError(f"view {where} of a {source} sample has no score", hint="rerun the stage that made it")
    return facts.score


def _nearest_angle(camera: Camera, others: list[Camera]) -> float:
    if not others:
        return float("nan")
    centers = np.stack([other.center for other in others])
    directions = centers / np.linalg.norm(centers, axis=1, keepdims=True)
    own = camera.center / np.linalg.norm(camera.center)
    return float(np.degrees(np.arccos(np.clip(directions @ own, -1, 1)).min()))


def _json(value: tuple[str, ...] | dict[str, str]) -> str:
    return canonical_json(value) if value else ""


def real_folders_of(samples: list[dict]) -> dict[tuple[str, int], str]:
    """(recording, frame) -> folder of the accepted real samples among sample rows."""
    return {
        (row["recording"], row["frame"]): row["folder"]
        for row in samples
        if row["source"] == "real" and row["decision"] == "accepted"
    }
