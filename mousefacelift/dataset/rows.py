"""Scanning: every sample of a finished chunk is read, hashed, judged by the gate and turned into manifest rows.

One call of `scan_index` handles one `index.json`; results are kept as a JSON part named by the hash of the
index and of the gate's configuration, so a rebuild reads only what changed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mousefacelift.chunks import read_index
from mousefacelift.config import canonical_json, config_hash
from mousefacelift.core.cameras import Camera, azimuth_elevation
from mousefacelift.core.samples import CAMERAS_FILE, SOURCES, Sample, View, read_document, view_hash
from mousefacelift.dataset.config import GateConfig
from mousefacelift.dataset.gate import check_sample
from mousefacelift.dataset.pixels import decode_png
from mousefacelift.dataset.schema import W2C_COLUMNS
from mousefacelift.errors import CameraError, DataError

SCAN_VERSION = 3  # raise when rows are made differently from the same files


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
    samples, views, damaged = [], [], []
    for item in read_index(index)["items"]:
        folder = index.parent / item["name"]
        if not (folder / CAMERAS_FILE).exists() and has_no_sample(item):
            continue
        try:
            sample_row, view_rows = scan_sample(folder, gate, real_folders or {})
        except (DataError, CameraError) as error:
            damaged.append(str(error))
            continue
        views += [row | {"sample": len(samples)} for row in view_rows]
        samples.append(sample_row)
    return Scan(samples, views, damaged)


def has_no_sample(item: dict) -> bool:
    """Whether an index row says that its stage accepted nothing for this item."""
    return item.get("views", 1) in (0, []) or item.get("status", "done") != "done" or bool(item.get("excluded"))


def scan_sample(folder: Path, gate: GateConfig, real_folders: dict[tuple[str, int], str]) -> tuple[dict, list[dict]]:
    """The sample row and the view rows of a sample folder; `folder` in the row is still the path given.

    Raises:
        DataError: a file is missing or broken, or differs from the hash recorded when it was written.
        CameraError: a camera is not one (mirrored, not rigid, not finite).
    """
    document = read_document(folder)
    meta = document.get("meta", {})
    _check_meta(folder, meta)
    views, sizes, digests = zip(*(_read_view(folder, index, frame) for index, frame in enumerate(document["frames"])))
    files = list(zip((frame["file_path"] for frame in document["frames"]), sizes, digests))
    sample = Sample(views, meta)
    real = real_folders.get((recording_of(meta), int(meta.get("frame", 0))))
    generated = meta["source"] in ("distilled", "splat")
    context = _read_context(Path(real)) if generated and real is not None else None
    result = check_sample(sample, gate, context)
    real_cameras = context.cameras if context is not None else (sample.cameras if meta["source"] == "real" else [])
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
    views = tuple(_read_view(folder, index, frame)[0] for index, frame in enumerate(document["frames"]))
    return Sample(views, document.get("meta", {}))


def recording_of(meta: dict) -> str:
    """Name of the filming, or of the asset for objects and scans."""
    return str(meta.get("recording") or meta.get("asset") or meta.get("subject") or "")


def part_key(index: Path, gate: GateConfig, context: str) -> str:
    """Hash naming the part of a chunk; `context` stands for the real samples it is judged with."""
    digest = hashlib.sha256(index.read_bytes()).hexdigest()
    return config_hash([SCAN_VERSION, str(index), digest, config_hash(gate), context])


def _check_meta(folder: Path, meta: dict) -> None:
    if meta.get("source") not in SOURCES:
        raise DataError(
            f"sample {folder} does not say where it came from",
            got=f"source {meta.get('source')!r}",
            expected=", ".join(SOURCES),
            hint="import foreign folders with mousefacelift dataset import",
        )
    if not recording_of(meta):
        raise DataError(f"sample {folder} names no recording and no asset", got=f"meta keys {sorted(meta)}")


def _read_view(folder: Path, index: int, frame: dict) -> tuple[View, int, str]:
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
    return View(decode_png(data, path), camera, frame.get("meta", {})), len(data), digest


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
    """Kind of a sample within its source: what its meta says, else the kinds of its views (splats: in-between or
    ring)."""
    kinds = sorted({str(view.meta["kind"]) for view in sample.views if "kind" in view.meta})
    return str(sample.meta.get("set") or "+".join(kinds))


def _sample_row(folder: Path, sample: Sample, result, views: list[dict]) -> dict:
    accepted, meta = result.accepted, sample.meta
    weight = float(np.mean([row["score"] for row in views])) * float(meta.get("weight", 1.0))
    return {
        "folder": str(folder),
        "source": meta["source"],
        "set": set_of(sample),
        "recording": recording_of(meta),
        "filmed": bool(meta.get("recording")),
        "frame": int(meta.get("frame", 0)),
        "subject": str(meta.get("subject") or meta.get("asset") or recording_of(meta)),
        "time_s": float(meta["time_s"]) if meta.get("time_s") is not None else float("nan"),
        "views": len(views),
        "weight": weight if accepted else 0.0,
        "decision": "accepted" if accepted else "refused",
        "reason": "; ".join(result.reasons),
        **{name: float(value) for name, value in result.scores.items()},
        "parents": _json(meta.get("parents")),
        "seeds": _json(meta.get("seeds", meta.get("seed"))),
        "config_hash": str(meta.get("config_hash", "")),
        "weight_files": _json(meta.get("weights")),
        "versions": _json(meta.get("versions")),
        "licence": str(meta.get("licence", "")),
    }


def _view_row(
    sample: Sample, index: int, file: tuple[str, int, str], containment: float, real_cameras: list[Camera]
) -> dict:
    view, source = sample.views[index], sample.meta["source"]
    camera, meta = view.camera, view.meta
    azimuth, elevation, distance = azimuth_elevation(camera)
    path, size, digest = file
    score = view_score(meta, source, containment)
    row = {
        "view": index,
        "index": index,
        "file": path,
        "source": meta.get("source", source),
        "camera": int(meta.get("camera", -1)) if isinstance(meta.get("camera", -1), int) else -1,
        "width": camera.width,
        "height": camera.height,
        **dict(zip(("fx", "fy", "cx", "cy"), camera.fxfycxcy.tolist())),
        **dict(zip(W2C_COLUMNS, camera.w2c[:3].ravel().tolist())),
        "azimuth": azimuth,
        "elevation": elevation,
        "distance": distance,
        "angle_to_real": _nearest_angle(camera, real_cameras),
        "parents": _json(meta.get("parents")),
        "generator": str(meta.get("generator", "")),
        "offset": declared_offset(meta),
        "score": score,
        "containment": float(containment),
        "weight": float(meta.get("weight", 1.0)) if score > 0 else 0.0,
        "seed": int(meta.get("seed", -1)),
        "bytes": size,
        "hash": bytes.fromhex(digest),
    }
    return row


def view_score(meta: dict, source: str, containment: float) -> float:
    """Consistency of a view in [0, 1]: 1 for photos and mesh renders; for others what their stage measured, else
    containment."""
    if source in ("real", "object", "scan"):
        return 1.0
    stated = meta.get("score", meta.get("consensus"))
    if stated is None:
        stated = containment if np.isfinite(containment) else 1.0
    return float(np.clip(stated, 0.0, 1.0))


def declared_offset(meta: dict) -> float:
    """Relative azimuth that a generator or a plan was asked for, degrees; NaN where none."""
    for key in ("offset", "relative_azimuth", "angle_from_input"):
        if meta.get(key) is not None:
            return float(meta[key])
    return float("nan")


def _nearest_angle(camera: Camera, others: list[Camera]) -> float:
    if not others:
        return float("nan")
    centers = np.stack([other.center for other in others])
    directions = centers / np.linalg.norm(centers, axis=1, keepdims=True)
    own = camera.center / np.linalg.norm(camera.center)
    return float(np.degrees(np.arccos(np.clip(directions @ own, -1, 1)).min()))


def _json(value) -> str:
    return "" if value in (None, {}, []) else (value if isinstance(value, str) else canonical_json(value))


def real_folders_of(samples: list[dict]) -> dict[tuple[str, int], str]:
    """(recording, frame) -> folder of the accepted real samples among sample rows."""
    return {
        (row["recording"], row["frame"]): row["folder"]
        for row in samples
        if row["source"] == "real" and row["decision"] == "accepted"
    }


def read_json_words(text: str) -> dict:
    """The object in a JSON column; {} where it is empty."""
    return json.loads(text) if text else {}
