"""Joining scanned chunks into the manifest's two tables: splits, held-out views, attached photos, row numbers.

Pure functions of rows; order of chunks does not matter, samples are sorted by source, set, recording and frame.
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
from mousefacelift.dataset.schema import SAMPLES, VIEWS
from mousefacelift.dataset.splits import object_split, protocol_of
from mousefacelift.errors import DataError

HASH = re.compile("[0-9a-f]{32}")  # a view hash inside a JSON column
WORD_COLUMNS = ("file", "source", "camera_name", "parents", "generator")
BATCH = 50_000  # views that are put into one table: the small tables of thousands of chunks would scatter the memory
KEY = ["source", "set", "recording", "frame"]


@dataclass(frozen=True)
class Rows:
    """Rows of many chunks as data frames; a view's `sample` is its row in `samples`."""

    samples: pd.DataFrame
    views: pd.DataFrame
    damaged: list[str]


class RowGatherer:
    """Rows of chunk after chunk, kept as data frames whose words are shared: millions of views stay small, the dicts of
    one chunk are in memory at a time."""

    def __init__(self) -> None:
        self._samples: list[pd.DataFrame] = []
        self._views: list[pd.DataFrame] = []
        self._fresh: list[pd.DataFrame] = []
        self._damaged: list[str] = []
        self._count = 0

    def add(self, scan: Scan) -> None:
        """The rows of one more chunk."""
        self._damaged += scan.damaged
        if not scan.samples:
            return
        frame = pd.DataFrame(scan.views)
        for name in WORD_COLUMNS:
            frame[name] = frame[name].astype("category").astype(object)
        frame["sample"] += self._count
        self._samples.append(pd.DataFrame(scan.samples))
        self._fresh.append(frame)
        self._count += len(scan.samples)
        if sum(map(len, self._fresh)) > BATCH:
            self._views.append(_join(self._fresh))

    def rows(self) -> Rows:
        """All that was added; may be asked once, for what was gathered is given up."""
        views = [*self._views, *self._fresh]
        self._views, self._fresh = [], []
        return Rows(_join(self._samples), _join(views), self._damaged)


def _join(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """One table of all `frames`, which are taken off the list."""
    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    frames.clear()
    return table


def assemble(rows: Rows, splits: Splits, config: DatasetConfig, out: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(samples, views) with every column of the schema, in its order; folders relative to `out`.

    The table of views is given up as soon as it is sorted: where the caller keeps no `rows`, two of it are in memory.

    Raises:
        DataError: nothing to list, the same frame twice, a recording without a split, a generated sample made from
        another split.
    """
    if not len(rows.samples):
        raise DataError("the dataset has no samples", hint="give the index.json of at least one chunk of samples")
    samples, views = rows.samples, rows.views
    del rows
    order = samples.sort_values(KEY, kind="stable").index.to_numpy()
    samples = samples.loc[order].reset_index(drop=True)
    _check_twice(samples)
    samples["split"] = _splits_of(samples, splits, config)
    new_row = np.empty(len(order), np.int64)
    new_row[order] = np.arange(len(order))
    views["sample"] = new_row[views["sample"].to_numpy()]
    views["owner"] = views["sample"]
    views = views.sort_values(["sample", "view"], kind="stable", ignore_index=True)
    check_parents(samples, views)
    views["held_out"] = _held_out(samples, views, splits.held_out_camera)
    if config.attach_real_views:
        views = attach_photos(samples, views)
    views["protocol"] = [
        protocol_of(split, held) for split, held in zip(samples["split"].to_numpy()[views["sample"]], views["held_out"])
    ]
    counts = np.bincount(views["sample"], minlength=len(samples))
    samples["views"] = counts
    samples["first_view"] = np.concatenate([[0], np.cumsum(counts)[:-1]])
    samples["folder"] = [os.path.relpath(folder, out.resolve()) for folder in samples["folder"]]
    return samples[SAMPLES.names], views[VIEWS.names]


def attach_photos(samples: pd.DataFrame, views: pd.DataFrame) -> pd.DataFrame:
    """View rows in which accepted distilled and splat samples also list the real photos of their frame.

    A photo whose direction (within a degree) a sample already has is not added again: distillation put it there.
    """
    real = samples[(samples["source"] == "real") & (samples["decision"] == "accepted")]
    row_of = {key: row for row, key in zip(real.index, zip(real["recording"], real["frame"]))}
    generated = samples[samples["source"].isin(GENERATED_SOURCES) & (samples["decision"] == "accepted")]
    starts = np.searchsorted(views["sample"], np.arange(len(samples) + 1))
    azimuth, elevation = views["azimuth"].to_numpy(), views["elevation"].to_numpy()
    parts = [views]
    for row, key in zip(generated.index, zip(generated["recording"], generated["frame"])):
        if key not in row_of:
            continue
        own, photos = slice(starts[row], starts[row + 1]), np.arange(starts[row_of[key]], starts[row_of[key] + 1])
        apart = np.abs(circular_difference(azimuth[photos][:, None], azimuth[own]))
        apart = apart + np.abs(elevation[photos][:, None] - elevation[own])
        photos = photos[apart.min(1) > 1.0]
        count = starts[row + 1] - starts[row]
        parts.append(views.iloc[photos].assign(sample=row, view=np.arange(count, count + len(photos))))
    if len(parts) == 1:
        return views
    return pd.concat(parts).sort_values(["sample", "view"], kind="stable", ignore_index=True)


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


def _held_out(samples: pd.DataFrame, views: pd.DataFrame, camera: int | str | None) -> np.ndarray:
    """Views of the held-out camera, and generated views made from one of its photos: a parent (by hash) of view or
    sample."""
    if camera is None:
        return np.zeros(len(views), bool)
    column = "camera" if isinstance(camera, int) else "camera_name"
    own = (views[column] == camera).to_numpy()
    photos = {digest.hex() for digest in views["hash"][own]}
    own = own | _name_any(views["parents"].to_numpy(), photos)
    return own | _name_any(samples["parents"].to_numpy(), photos)[views["sample"].to_numpy()]


def _name_any(words: np.ndarray, hashes: set[str]) -> np.ndarray:
    """Which JSON texts [n] name one of `hashes`, bool [n]."""
    naming = {word for word in set(words) if word and not hashes.isdisjoint(HASH.findall(word))}
    return np.array([word in naming for word in words], bool)


def check_parents(samples: pd.DataFrame, views: pd.DataFrame) -> None:
    """Raise DataError when a generated sample was made from photos whose frame is in another split than its own."""
    split = samples["split"].to_numpy()
    photo = (views["source"] == "real").to_numpy() & (samples["source"] == "real").to_numpy()[views["sample"]]
    split_of = dict(zip((digest.hex() for digest in views["hash"][photo]), split[views["sample"][photo]]))
    generated = views[samples["source"].isin(GENERATED_SOURCES).to_numpy()[views["sample"]]]
    pairs = {(row, word) for row, word in zip(generated["sample"], generated["parents"]) if word}
    pairs |= {(row, samples["parents"].iat[row]) for row in set(generated["sample"])}
    for row, word in sorted(pairs):
        others = {split_of[digest] for digest in HASH.findall(word) if digest in split_of} - {split[row]}
        if others:
            raise DataError(
                f"sample {samples['folder'].iat[row]} was made from photos of another split",
                got=f"{split[row]}, photos of {', '.join(sorted(others))}",
                likely="a stage that mixed frames, or an older splits.json",
                hint="rerun the stage that made it with the present splits.json",
            )
