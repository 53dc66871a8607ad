"""Export of samples to foreign formats, import of foreign folders as chunks of samples.

An import is a chunk like any other: `index.json` beside sample folders, each one through the geometry gate first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mousefacelift.chunks import run_chunk
from mousefacelift.config import config_hash
from mousefacelift.core.files import readable
from mousefacelift.core.records import ItemRow, SampleFacts
from mousefacelift.core.samples import CAMERAS_FILE, Sample, read_sample, write_sample
from mousefacelift.core.sources import GENERATED_SOURCES
from mousefacelift.dataset.config import GateConfig
from mousefacelift.dataset.formats import beast3d, colmap, facelift, long_lrm, nerfstudio, objaverse
from mousefacelift.dataset.formats.naming import number_cameras
from mousefacelift.dataset.gate import DEFAULTS, check_sample
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.errors import ConfigError, DataError

WRITERS: dict[str, Callable[[Path, Sample], None]] = {
    "nerfstudio": nerfstudio.write,
    "colmap": colmap.write,
    "gobjaverse": objaverse.write_gobjaverse,
    "zero123": objaverse.write_zero123,
    "openlrm": objaverse.write_openlrm,
    "long_lrm": long_lrm.write,
    "beast3d": beast3d.write,
}
LISTS: dict[str, Callable[[Path, Sequence[str]], None]] = {  # what a format has beside its samples
    "long_lrm": long_lrm.write_lists,
    "beast3d": beast3d.write_lists,
}
READERS: dict[str, Callable[[Path, SampleFacts], Sample]] = {
    "facelift": facelift.read,
    "nerfstudio": nerfstudio.read,
    "colmap": colmap.read,
    "gobjaverse": objaverse.read_gobjaverse,
    "zero123": objaverse.read_zero123,
    "openlrm": objaverse.read_openlrm,
    "beast3d": beast3d.read,
}


def export_samples(
    manifest: Manifest, name: str, out: Path, sources: tuple[str, ...] = (), limit: int = 0
) -> dict[str, int]:
    """Write the manifest's accepted samples in a foreign format under `out/<split>/`, or FaceLift lists; counts per
    split."""
    if name != "facelift" and name not in WRITERS:
        raise ConfigError(f"format '{name}' cannot be written", expected=", ".join(["facelift", *WRITERS]))
    table = manifest.samples[manifest.samples["decision"] == "accepted"]
    table = table[table["source"].isin(sources)] if sources else table
    if table.empty:
        of = f" of source {', '.join(sources)}" if sources else ""
        raise DataError(f"dataset {manifest.folder} has no accepted sample{of} to export")
    if name == "facelift":
        return facelift.write_lists(manifest, out, sources, limit)
    counts: dict[str, int] = {}
    for row in table.index[:limit] if limit else table.index:
        entry = manifest.samples.loc[row]
        views = manifest.views_of(row)
        kept = views.index[(views.owner == row) & views.usable].tolist()
        target = (
            out / str(entry["split"]) / f"{entry['source']}_{entry['recording']}_{entry['frame']:06d}{entry['set']}"
        )
        if kept:
            WRITERS[name](target, read_sample(manifest.folder_of(row), kept))
            counts[str(entry["split"])] = counts.get(str(entry["split"]), 0) + 1
    if name in LISTS:
        LISTS[name](out, tuple(counts))
    return counts


def import_folders(
    folders: Sequence[Path], name: str, index: Path, facts: SampleFacts, gate: GateConfig = DEFAULTS
) -> dict:
    """Import foreign folders as the chunk of `index`; refused ones are listed in it with their reason.

    Args:
        facts: source, licence, and optionally recording, that every sample gets; the asset is the folder's name.
    Raises:
        DataError: no source or licence, or the gate refuses every folder.
    """
    if name not in READERS:
        raise ConfigError(f"format '{name}' cannot be read", expected=", ".join(READERS))
    if not facts.source or not facts.licence:
        raise DataError("an import needs to say what it is", got=str(facts.to_json()), expected="source and licence")
    settings = {"format": name, "facts": facts.to_json()}
    facts = replace(facts, config_hash=config_hash([settings, config_hash(gate)]))

    def make(item: str, folder: Path, out: Path) -> dict:
        sample = READERS[name](folder, replace(facts, asset=facts.asset or folder.name))
        if facts.source == "real":
            sample = number_cameras(sample, str(folder))
        result = check_sample(sample, gate)
        if not result.accepted:
            return ItemRow(
                0, status="refused", reason="; ".join(result.reasons), details={"from": str(folder)}
            ).to_row()
        if facts.source in GENERATED_SOURCES:
            sample = score_by_containment(sample, result.containment)
        hashes = write_sample(out, sample, into=True)
        return ItemRow(len(hashes), sample.facts.frame, hashes=tuple(hashes), details={"from": str(folder)}).to_row()

    items = [(folder.resolve().name, folder) for folder in folders]
    _refuse_equal_names(items)
    document = run_chunk(
        index,
        config_hash([facts.config_hash, [str(f) for f in folders]]),
        items,
        make,
        settings | {"source": facts.source, "recording": facts.recording},
    )
    accepted = [item for item in document["items"] if (index.parent / item["name"] / CAMERAS_FILE).exists()]
    if not accepted:
        raise DataError(
            f"the geometry gate refuses every folder of this {name} import",
            got=document["items"][0]["reason"] if document["items"] else "no folder",
            likely="another axis or pose convention than the format's name says",
        )
    return document


def read_folder(name: str, folder: Path, facts: SampleFacts) -> Sample:
    """The sample in a folder of the format `name`; whatever is wrong with its files is a DataError that names it."""
    with readable(folder, f"{name} folder"):
        return READERS[name](folder, facts)


def _refuse_equal_names(items: Sequence[tuple[str, Path]]) -> None:
    """Two folders of one name would be one item, and the second would never be read."""
    first: dict[str, Path] = {}
    for name, folder in items:
        if name in first:
            raise DataError(
                f"two folders of this import are called '{name}'",
                got=f"{first[name]} and {folder}",
                expected="folders of different names: a sample is named after its folder",
                hint="rename one, or import them into two chunks",
            )
        first[name] = folder


def score_by_containment(sample: Sample, containment: np.ndarray) -> Sample:
    """Generated views of other hands have no score of their own: the share inside the hull of the others stands in."""
    scores = [float(np.clip(value, 0.0, 1.0)) if np.isfinite(value) else 0.0 for value in containment]
    views = [replace(v, facts=replace(v.facts, score=score)) for v, score in zip(sample.views, scores, strict=True)]
    return replace(sample, views=tuple(views))
