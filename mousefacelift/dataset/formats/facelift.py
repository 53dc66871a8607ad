"""FaceLift lists: text files with one sample folder a line, one file per split. The folders are the project's own
samples."""

from __future__ import annotations

import os
from pathlib import Path

from mousefacelift.core.files import write_text
from mousefacelift.core.records import SampleFacts
from mousefacelift.core.samples import Sample, read_document, read_sample
from mousefacelift.dataset.formats.naming import name_view
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.errors import DataError

LOADER_VIEWS = 5  # FaceLift's published reconstructor config: 4 input views and at least one target


def write_lists(
    manifest: Manifest, out: Path, sources: tuple[str, ...] = (), limit: int = 0, least_views: int = LOADER_VIEWS
) -> dict[str, int]:
    """Write `train.txt`, `val.txt` and `test.txt` with the accepted samples' folders; returns how many each has.

    Samples with fewer than `least_views` views are left out: the published loader draws a fixed number of them and
    stops at a shorter folder in the middle of training.
    The published loader draws from all views of a folder: with a held-out camera, only lists of samples that do not
    hold it are safe, so real samples are refused here while one is configured.
    """
    held_out = manifest.header.get("held_out_camera")
    table = manifest.samples[manifest.samples["decision"] == "accepted"]
    table = table[table["source"].isin(sources)] if sources else table
    if held_out is not None and (table["source"] == "real").any():
        raise DataError(
            "the published loader would train on the held-out camera",
            got=f"held_out_camera {held_out}",
            hint="export other sources, or build with dataset.splits.held_out_camera: null",
        )
    enough = [len(manifest.views_of(row)) >= least_views for row in table.index]
    if not any(enough):
        raise DataError(
            "no accepted sample has enough views for the published loader",
            got=f"at most {max((len(manifest.views_of(row)) for row in table.index), default=0)}",
            expected=f"{least_views} or more",
        )
    table = table[enough]
    table = table.iloc[:limit] if limit else table
    counts = {}
    for split in ("train", "val", "test"):
        folders = [os.path.abspath(manifest.folder / folder) for folder in table[table["split"] == split]["folder"]]
        write_text(out / f"{split}.txt", "".join(f"{folder}\n" for folder in folders))
        counts[split] = len(folders)
    return counts


def read_list(path: Path) -> list[Path]:
    """The sample folders that a list names, relative ones from the list's own folder; blank lines are dropped."""
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise DataError(f"list {path} cannot be read", got=str(error)) from error
    folders = [path.parent / line.strip() for line in lines if line.strip()]
    missing = [str(folder) for folder in folders if not folder.is_dir()]
    if not folders or missing:
        raise DataError(
            f"list {path} names folders that are not there",
            got=", ".join(missing[:3]) or "no folder at all",
            likely="a list made on another machine",
        )
    return folders


def read(folder: Path, facts: SampleFacts) -> Sample:
    """A FaceLift sample folder with `facts` about it; 16-bit images become 8-bit as the published loader reads them.

    A view that does not name its camera gets the name of its file.
    """
    sample, frames = read_sample(folder), read_document(folder)["frames"]
    views = tuple(name_view(v, f["file_path"]) for v, f in zip(sample.views, frames))
    return Sample(views, facts.over(sample.facts.to_json(), str(folder)))
