"""Joining scanned chunks into the manifest's two tables: splits, held-out views, attached photos, row numbers.

Pure functions of rows; order of chunks does not matter, samples are sorted by source, set, recording and frame. Of the
views, numbers of a few bytes each are in memory; their rows stay in the spill.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mousefacelift.core.cameras import circular_difference
from mousefacelift.core.sources import GENERATED_SOURCES
from mousefacelift.core.splits import Splits
from mousefacelift.dataset.config import DatasetConfig
from mousefacelift.dataset.rows import Scan
from mousefacelift.dataset.schema import SAMPLES
from mousefacelift.dataset.spill import ViewSpill
from mousefacelift.dataset.splits import object_split, protocol_of
from mousefacelift.dataset.view_table import PROTOCOLS, ViewTable
from mousefacelift.errors import DataError

HASH = re.compile("[0-9a-f]{32}")  # a view hash inside a JSON column
SHARED_WORDS = ("subject", "parents", "config_hash", "weight_files", "code", "versions", "licence")  # of many samples
BATCH = 1024  # samples that are put into one table: the small tables of thousands of chunks would scatter the memory
KEY = ["source", "set", "recording", "frame"]


@dataclass(frozen=True)
class Rows:
    """Rows of many chunks; a view's `sample` is its row in `samples`."""

    samples: pd.DataFrame
    views: ViewSpill
    damaged: list[str]


class RowGatherer:
    """Rows of chunk after chunk: views go to the spill, samples become data frames whose words are shared; the dicts of
    a few chunks are in memory at a time."""

    def __init__(self, views: ViewSpill) -> None:
        self._views = views
        self._samples: list[pd.DataFrame] = []
        self._fresh: list[dict] = []
        self._words: dict[str, str] = {}
        self._damaged: list[str] = []
        self._count = 0

    def add(self, scan: Scan) -> None:
        """The rows of one more chunk."""
        self._damaged += scan.damaged
        self._views.add(scan.views, self._count)
        self._fresh += scan.samples
        self._count += len(scan.samples)
        if len(self._fresh) >= BATCH:
            self._settle()

    def rows(self) -> Rows:
        """All that was added; may be asked once, for what was gathered is given up."""
        self._settle()
        samples = pd.concat(self._samples, ignore_index=True) if self._samples else pd.DataFrame()
        self._samples = []
        return Rows(samples, self._views, self._damaged)

    def _settle(self) -> None:
        """Make a table of the fresh samples."""
        if not self._fresh:
            return
        frame = pd.DataFrame(self._fresh)
        for name in SHARED_WORDS:
            shared = [self._words.setdefault(row[name], row[name]) for row in self._fresh]
            frame[name] = pd.Series(shared, dtype=object)
        self._samples.append(frame)
        self._fresh = []


def assemble(rows: Rows, splits: Splits, config: DatasetConfig, out: Path) -> tuple[pd.DataFrame, ViewTable]:
    """(samples, views) with every column of the schema, in its order; folders relative to `out`.

    Raises:
        DataError: nothing to list, the same frame twice, a recording without a split, a generated sample made from
        another split.
    """
    if not len(rows.samples):
        raise DataError("the dataset has no samples", hint="give the index.json of at least one chunk of samples")
    samples, spill = rows.samples, rows.views
    del rows
    order = samples.sort_values(KEY, kind="stable").index.to_numpy()
    samples = samples.loc[order].reset_index(drop=True)
    _check_twice(samples)
    samples["split"] = _splits_of(samples, splits, config)
    views = _in_order(spill, order)
    check_parents(samples, views)
    views.held_out[:] = _held_out(samples, views, splits.held_out_camera)
    if config.attach_real_views:
        views = attach_photos(samples, views)
    views.protocol[:] = _protocols(samples["split"].to_numpy()[views.sample], views.held_out)
    counts = np.bincount(views.sample, minlength=len(samples))
    samples["views"] = counts
    samples["first_view"] = np.concatenate([[0], np.cumsum(counts)[:-1]])
    samples["folder"] = [os.path.relpath(folder, out.resolve()) for folder in samples["folder"]]
    return samples[SAMPLES.names], views


def _in_order(spill: ViewSpill, order: np.ndarray) -> ViewTable:
    """The views of the spill by sample and view, where sample `order[i]` becomes sample i."""
    new_row = np.empty(len(order), np.int32)
    new_row[order] = np.arange(len(order), dtype=np.int32)
    found = spill.columns(["sample", "view"])
    sample = new_row[found["sample"]]
    place = np.lexsort([found["view"], sample])
    return ViewTable.of(spill, place, sample[place], found["view"][place])


def _protocols(split: np.ndarray, held_out: np.ndarray) -> np.ndarray:
    """Code of the protocol of every view."""
    found = np.empty(len(split), np.int8)
    for name in set(split.tolist()):
        for held in (False, True):
            found[(split == name) & (held_out == held)] = PROTOCOLS.index(protocol_of(name, held))
    return found


def attach_photos(samples: pd.DataFrame, views: ViewTable) -> ViewTable:
    """View rows in which accepted distilled and splat samples also list the real photos of their frame.

    A photo whose direction (within a degree) a sample already has is not added again: distillation put it there.
    """
    generated = samples[samples["source"].isin(GENERATED_SOURCES) & (samples["decision"] == "accepted")]
    real = samples[(samples["source"] == "real") & (samples["decision"] == "accepted")]
    if not len(generated) or not len(real):
        return views
    row_of = {key: row for row, key in zip(real.index, zip(real["recording"], real["frame"]))}
    starts = np.searchsorted(views.sample, np.arange(len(samples) + 1))
    azimuth, elevation = views.columns(["azimuth", "elevation"]).values()
    taken, takers, numbers = [], [], []
    for row, key in zip(generated.index, zip(generated["recording"], generated["frame"])):
        if key not in row_of:
            continue
        own, photos = slice(starts[row], starts[row + 1]), np.arange(starts[row_of[key]], starts[row_of[key] + 1])
        apart = np.abs(circular_difference(azimuth[photos][:, None], azimuth[own]))
        apart = apart + np.abs(elevation[photos][:, None] - elevation[own])
        photos = photos[apart.min(1) > 1.0]
        count = starts[row + 1] - starts[row]
        taken.append(photos)
        takers.append(np.full(len(photos), row))
        numbers.append(np.arange(count, count + len(photos)))
    return views.with_photos(*map(np.concatenate, (taken, takers, numbers))) if taken else views


def _check_twice(samples: pd.DataFrame) -> None:
    twice = samples.duplicated(KEY, keep=False)
    if twice.any():
        pair = samples[twice].head(2)
        raise DataError(
            "a frame is in the dataset twice",
            got=" and ".join(pair["folder"]),
            where=", ".join(f"{name} {pair[name].iloc[0]}" for name in KEY),
            likely="overlapping chunks, or results of an older chunk size left behind",
        )


def _splits_of(samples: pd.DataFrame, splits: Splits, config: DatasetConfig) -> list[str]:
    """Split of every sample: of its frame in splits.json, or by name for objects and for scans that name no
    recording."""
    labels = []
    for source, recording, filmed, frame in zip(
        samples["source"], samples["recording"], samples["filmed"], samples["frame"]
    ):
        if source == "object" or (source == "scan" and not filmed):
            labels.append(object_split(recording, config.splits))
        elif recording not in splits.recordings:
            raise DataError(
                f"recording '{recording}', named by {source} samples, has no split",
                expected=f"one of {sorted(splits.recordings)}",
                likely="a misspelt recording, or a mesh sequence of its own that should name an asset only",
                hint="mousefacelift dataset split with the track.json of every recording; objects scans --independent",
            )
        else:
            labels.append(splits.of(recording, int(frame)))
    return labels


def _held_out(samples: pd.DataFrame, views: ViewTable, camera: int | str | None) -> np.ndarray:
    """Views of the held-out camera, and generated views made from one of its photos: a parent (by hash) of view or
    sample."""
    if camera is None:
        return np.zeros(len(views), bool)
    column = "camera" if isinstance(camera, int) else "camera_name"
    found = views.columns([column, "parents"])
    own = found[column] == camera if isinstance(camera, int) else (views.words(column) == camera)[found[column]]
    if not any(views.words("parents")) and not any(samples["parents"]):
        return own
    photos = {digest.tobytes().hex() for digest in views.columns(["hash"], np.flatnonzero(own))["hash"]}
    named = _name_any(views.words("parents"), photos)[found["parents"]]
    return own | named | _name_any(samples["parents"].to_numpy(), photos)[views.sample]


def _name_any(words: np.ndarray, hashes: set[str]) -> np.ndarray:
    """Which JSON texts [n] name one of `hashes`, bool [n]."""
    naming = {word for word in set(words) if word and not hashes.isdisjoint(HASH.findall(word))}
    return np.array([word in naming for word in words], bool)


def check_parents(samples: pd.DataFrame, views: ViewTable) -> None:
    """Raise DataError when a generated sample was made from photos whose frame is in another split than its own."""
    is_generated = samples["source"].isin(GENERATED_SOURCES).to_numpy()
    if not is_generated.any():
        return
    split, words = samples["split"].to_numpy(), views.words("parents")
    found = views.columns(["source", "parents"])
    photo = (views.words("source") == "real")[found["source"]] & (samples["source"] == "real").to_numpy()[views.sample]
    places = np.flatnonzero(photo)
    hashes = views.columns(["hash"], places)["hash"]
    split_of = {digest.tobytes().hex(): split[row] for digest, row in zip(hashes, views.sample[places])}
    chosen = np.flatnonzero(is_generated[views.sample])
    pairs = np.unique(np.stack([views.sample[chosen], found["parents"][chosen]], 1), axis=0)
    named = {(row, words[code]) for row, code in pairs.tolist() if words[code]}
    named |= {(row, samples["parents"].iat[row]) for row in np.flatnonzero(is_generated).tolist()}
    for row, word in sorted(named):
        others = {split_of[digest] for digest in HASH.findall(word) if digest in split_of} - {split[row]}
        if others:
            raise DataError(
                f"sample {samples['folder'].iat[row]} was made from photos of another split",
                got=f"{split[row]}, photos of {', '.join(sorted(others))}",
                likely="a stage that mixed frames, or an older splits.json",
                hint="rerun the stage that made it with the present splits.json",
            )
