"""Building the manifest: parts of all chunks scanned in parallel, joined with the splits, written in one stroke.

Reads chunk indexes of samples and `splits.json`; writes `views.parquet`, `samples.parquet` and, last, `dataset.json`
into one folder (`mousefacelift dataset build`). What is refused stays in `samples.parquet` with the reason and weight
0.
"""

from __future__ import annotations

import json
import math
import platform
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from mousefacelift.chunks import read_index
from mousefacelift.config import config_hash
from mousefacelift.core.files import json_text, via, write_text
from mousefacelift.core.records import ItemRow
from mousefacelift.core.samples import read_document, sample_facts
from mousefacelift.core.sources import GENERATED_SOURCES, MOUSE_SOURCES, SOURCES
from mousefacelift.core.splits import Splits
from mousefacelift.dataset.config import DatasetConfig, GateConfig
from mousefacelift.dataset.framing import measure_framing, say_framing
from mousefacelift.dataset.join import RowGatherer, Rows, assemble
from mousefacelift.dataset.manifest import HEADER_FILE, SAMPLES_FILE, VIEWS_FILE
from mousefacelift.dataset.rows import Scan, part_key, real_folders_of, scan_index
from mousefacelift.dataset.schema import SAMPLES, SCHEMA_VERSION, VIEWS
from mousefacelift.dataset.spill import ViewSpill
from mousefacelift.dataset.view_table import ViewTable
from mousefacelift.errors import DataError, GateFailure
from mousefacelift.locks import one_writer
from mousefacelift.processes import Processes

NUMBERS = {field.name for schema in (SAMPLES, VIEWS) for field in schema if pa.types.is_floating(field.type)}

ROW_GROUP = 262_144
PACKAGES = ("numpy", "pyarrow", "opencv-python-headless", "torch")


def build_dataset(indexes: Sequence[Path], splits: Splits, out: Path, config: DatasetConfig, jobs: int = 1) -> dict:
    """Build the manifest in `out` and return its header (`dataset.json`).

    Args:
        indexes: `index.json` of every chunk of samples, any source, any order.
        splits: of every recording.
        jobs: processes that scan.
    Raises:
        DataError: more than `refuse_share_max` of the samples are damaged (fewer are left out and listed in the
            header), a frame twice, a leak through the held-out camera, two writers, a full disk.
        GateFailure: the gate refused more than `refuse_share_max` of a source.
    """
    out.mkdir(parents=True, exist_ok=True)
    with one_writer(out), closing(ViewSpill(out)) as spill:
        scanned = [scan_all(indexes, config.gate, out / "parts", jobs, spill)]
        damaged = scanned[0].damaged
        _check_damaged(scanned[0], config)
        samples, views = assemble(scanned.pop(), splits, config, out)  # nobody else holds the samples meanwhile
        header = _header(samples, views, splits, config, out, len(indexes)) | {"damaged": damaged}
        write_manifest(out, samples, views.arrow_parts(ROW_GROUP), header)
        _check_refused(samples, refused_when_made(indexes), config)
    return header


def scan_all(indexes: Sequence[Path], gate: GateConfig, parts: Path, jobs: int, spill: ViewSpill) -> Rows:
    """Rows of all chunks, those of views in `spill`. Real samples come first: they are the context in which generated
    ones are judged."""
    by_source: dict[str, list[Path]] = {}
    for index in sorted({Path(index).resolve() for index in indexes}):
        by_source.setdefault(source_of(index), []).append(index)
    real = by_source.pop("real", [])
    generated = sorted(index for source in GENERATED_SOURCES for index in by_source.pop(source, []))
    parts.mkdir(parents=True, exist_ok=True)
    gathered = RowGatherer(spill)
    folders: dict[tuple[str, int], str] = {}
    with Processes(jobs) as processes:
        for scan in _scan_many(real, gate, {}, parts, processes):
            gathered.add(scan)
            folders |= real_folders_of(scan.samples) if generated else {}
        for scan in _scan_many(generated, gate, folders, parts, processes):
            gathered.add(scan)
        for scan in _scan_many(sorted(sum(by_source.values(), [])), gate, {}, parts, processes):  # judged alone
            gathered.add(scan)
    return gathered.rows()


def source_of(index: Path) -> str:
    """Source of a chunk: what its header says, or else its first sample; "" for a chunk without any."""
    document = read_index(index)
    if "source" in document["header"]:
        return document["header"]["source"]
    for item in document["items"]:
        if ItemRow.from_row(item, str(index)).has_sample:
            folder = index.parent / item["name"]
            return sample_facts(read_document(folder), folder).source
    return ""


def _scan_many(
    indexes: list[Path], gate: GateConfig, folders: dict, parts: Path, processes: Processes
) -> Iterator[Scan]:
    context = config_hash(sorted(folders)) if folders else ""
    scan_one = partial(_scan_cached, gate=gate, folders=folders, parts=parts, context=context)
    scans = processes.each(scan_one, indexes)
    for _, scan in tqdm(scans, total=len(indexes), desc="scan", unit="chunk", mininterval=1.0):
        yield scan


def _scan_cached(index: Path, gate: GateConfig, folders: dict, parts: Path, context: str) -> Scan:
    """The scan of a chunk, from its part when one of the same index, gate and context is there."""
    path = parts / f"{part_key(index, gate, context)}.json"
    if path.exists():
        stored = json.loads(path.read_text())
        views = [_with_nan(row) | {"hash": bytes.fromhex(row["hash"])} for row in stored["views"]]
        return Scan([_with_nan(row) for row in stored["samples"]], views, [])
    scan = scan_index(index, gate, folders)
    if not scan.damaged:
        views = [row | {"hash": row["hash"].hex()} for row in scan.views]
        write_text(path, json_text({"samples": scan.samples, "views": views}))
    return scan


def _with_nan(row: dict) -> dict:
    """A stored row with NaN where a column of numbers holds JSON's null."""
    return row | {name: math.nan for name, value in row.items() if value is None and name in NUMBERS}


def write_manifest(out: Path, samples: pd.DataFrame, views: Iterable[pa.Table], header: dict) -> None:
    """Write the three files: tables first under other names, then renamed, the header last. `views` are the parts of a
    table, each a row group."""
    with ExitStack() as stack:  # both tables are whole before either is renamed
        temporary = stack.enter_context(via(out / SAMPLES_FILE, "manifest"))
        write_table(temporary, [to_arrow(samples, SAMPLES)], SAMPLES)
        write_table(stack.enter_context(via(out / VIEWS_FILE, "manifest")), views, VIEWS)
    write_text(out / HEADER_FILE, json_text(header, indent=1))


def write_table(path: Path, parts: Iterable[pa.Table], schema: pa.Schema) -> None:
    """Write a parquet file of the parts of a table."""
    with pq.ParquetWriter(path, schema, compression="lz4") as writer:
        for part in parts:
            writer.write_table(part, row_group_size=ROW_GROUP)


def to_arrow(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """The arrow table of a data frame."""
    table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
    return table.replace_schema_metadata(schema.metadata)


def _header(
    samples: pd.DataFrame, views: ViewTable, splits: Splits, config: DatasetConfig, out: Path, chunks: int
) -> dict:
    sources, is_own = {}, views.owner == views.sample
    for source, rows in samples.groupby("source"):
        listed = np.zeros(len(samples), bool)
        listed[rows.index] = True
        own = np.flatnonzero(is_own & listed[views.sample])
        accepted = rows[rows["decision"] == "accepted"]
        sources[str(source)] = {
            "samples": len(rows),
            "accepted": len(accepted),
            "images": len(own),
            "bytes": int(views.columns(["bytes"], own)["bytes"].sum(dtype=np.int64)),
            "per_split": {str(k): int(v) for k, v in accepted["split"].value_counts().items()},
            "angles": len(np.unique(views.columns(["azimuth"], own)["azimuth"].round() % 360)),
            **measure_framing(views, own, rows, out),
            "without_licence": int((rows["licence"] == "").sum()),
            "without_config_hash": int((rows["config_hash"] == "").sum()),
        }
    build = config_hash(
        [
            SCHEMA_VERSION,
            views.hash_sum(),
            samples["document_hash"].tolist(),
            samples["split"].tolist(),
            samples["weight"].round(6).tolist(),
            config_hash(config),
        ]
    )
    return {
        "schema": SCHEMA_VERSION,
        "build": build,
        "config_hash": config_hash(config),
        "chunks": chunks,
        "held_out_camera": splits.held_out_camera,
        "counts": {
            "samples": len(samples),
            "view_rows": len(views),
            "images": int(is_own.sum()),
            "accepted": int((samples["decision"] == "accepted").sum()),
            **expansion(samples, views),
        },
        "sources": sources,
        "framing": say_framing(sources),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def expansion(samples: pd.DataFrame, views: ViewTable) -> dict[str, int]:
    """Training samples of the mouse as stored, and as the loader varies them.

    `mouse_items` counts (frame, view direction) pairs of accepted training samples, every view being able to be the
    reference; `mouse_items_augmented` counts each also mirrored. Yaw, colour and background vary without end and are
    not counted.
    """
    train = (samples["split"] == "train") & (samples["decision"] == "accepted") & samples["source"].isin(MOUSE_SOURCES)
    items = int((train.to_numpy()[views.sample] & (views.owner == views.sample) & ~views.held_out).sum())
    return {"mouse_samples": int(train.sum()), "mouse_items": items, "mouse_items_augmented": 2 * items}


def refused_when_made(indexes: Sequence[Path]) -> dict[str, list[str]]:
    """{source: reasons} of the objects and scans that were refused where they were rendered and left no sample."""
    reasons: dict[str, list[str]] = {}
    for index in indexes:
        document = read_index(index)
        source = document["header"].get("source", "")
        rows = [ItemRow.from_row(item, str(index)) for item in document["items"]]
        found = [row.details.get("kind", row.reason) for row in rows if row.status == "refused"]
        if found and source in SOURCES and source not in GENERATED_SOURCES:  # generated ones are refused view by view
            reasons.setdefault(source, []).extend(found)
    return reasons


def _check_damaged(rows: Rows, config: DatasetConfig) -> None:
    """Name samples that cannot be read, which are left out; fail where they are more than may be refused."""
    if len(rows.damaged) > config.refuse_share_max * (len(rows.samples) + len(rows.damaged)):
        shown = "\n  ".join(rows.damaged[:10])
        raise DataError(
            f"{len(rows.damaged)} samples are damaged",
            got=f"\n  {shown}",
            hint="rerun the stages that made them; nothing was written",
        )
    for message in rows.damaged:
        print(f"refused, damaged: {message}", file=sys.stderr)


def _check_refused(samples: pd.DataFrame, made: dict[str, list[str]], config: DatasetConfig) -> None:
    """Fail where the gate and the renderer together refused more than `refuse_share_max` of a source."""
    for source, rows in samples.groupby("source"):
        refused, early = rows[rows["decision"] == "refused"], made.get(source, [])
        if len(refused) + len(early) > config.refuse_share_max * (len(rows) + len(early)):
            reasons = pd.concat([refused["reason"].str.slice(0, 160), pd.Series(early, dtype=object)])
            raise GateFailure(
                f"{len(refused) + len(early)} of {len(rows) + len(early)} samples of source '{source}' are refused",
                got="; ".join(f"{count} x {text}" for text, count in reasons.value_counts().head(3).items()),
                expected=f"at most {config.refuse_share_max:.0%}",
                likely=f"{len(early)} when rendered, {len(refused)} by the geometry gate",
                hint="look at samples.parquet (column reason) and the chunks' index.json; thresholds are dataset.gate",
            )
