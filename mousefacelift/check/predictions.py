"""Predictions on disk: what a reconstructor rendered, beside the truth that it is judged by.

`lrm predict` writes, and every evaluation reads, one chunk folder:

    predictions/index.json
      header: {arm, seed, model_hash, step, size, background: "alpha"}    whose predictions these are
      items:  one per (protocol, recording, frame, inputs), folder `name` beside the index (`Item`):
        name       folder name
        kind       "target" (judged), or "swap": inputs of frame `swap_frame` with the cameras of `frame`
        protocol   "A" new time, seen cameras; "B" held-out camera, time seen in training; "C" held-out camera, new time
        split, recording, frame, swap_frame (null unless kind is "swap")
        inputs     [{"sample", "view", "camera", "hash"}]      sample folder (from the index's folder), view, rig camera
        targets    [{"sample", "view", "camera", "hash", "is_input"}]     in the order of the item's images
        health     {...}   of the Gaussians (`check.health`)

The item folder is a FaceLift sample: view i is the render for target i, RGBA (straight alpha), with the target's
camera. Predictions are read one at a time: a run of hundreds of frames at 512 px would not fit into memory.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mousefacelift.chunks import INDEX, check_name
from mousefacelift.core.files import check_shape, readable
from mousefacelift.core.images import resize_rgba
from mousefacelift.core.json_parts import read_json_rows
from mousefacelift.core.records import Record
from mousefacelift.core.samples import Sample, View, read_sample
from mousefacelift.errors import DataError


@dataclass(frozen=True)
class Reference(Record):
    """One view of a sample: the folder relative to the index's, its position there, rig camera, and hash."""

    sample: str
    view: int
    camera: int
    hash: str
    is_input: bool = False


@dataclass(frozen=True)
class Item:
    """A row of the index, see the module."""

    name: str
    kind: str
    protocol: str
    split: str
    recording: str
    frame: int
    swap_frame: int | None
    inputs: tuple[Reference, ...]
    targets: tuple[Reference, ...]
    health: dict[str, float]

    def to_row(self) -> dict:
        """What `run_chunk` writes."""
        row = {name: getattr(self, name) for name in ("kind", "protocol", "split", "recording", "frame", "swap_frame")}
        references = {part: [ref.to_json() for ref in getattr(self, part)] for part in ("inputs", "targets")}
        return row | references | {"health": self.health}

    @classmethod
    def from_row(cls, row: dict, where: str) -> Item:
        """The item of a row of the index."""
        try:
            parts = {part: tuple(Reference.from_json(r, where) for r in row[part]) for part in ("inputs", "targets")}
            return cls(**{**row, **parts})
        except (KeyError, TypeError) as error:
            raise DataError(
                f"a row of predictions {where} lacks a field or has another",
                got=str(error),
                likely="written by another version of mousefacelift",
                hint="rerun the predict rule",
            ) from error

    @property
    def cameras(self) -> tuple[int, ...]:
        """Rig camera number of each target."""
        return tuple(target.camera for target in self.targets)

    @property
    def is_input(self) -> np.ndarray:
        """[T] whether the target was shown to the network."""
        return np.array([target.is_input for target in self.targets])


@dataclass(frozen=True)
class Prediction:
    """One judged reconstruction in memory.

    Args:
        rendered: T views of the network.
        truth: T true views, at the size of the renders.
        inputs: the input views, at the size of the renders.
    """

    item: Item
    rendered: Sample
    truth: tuple[View, ...]
    inputs: tuple[View, ...]


@dataclass(frozen=True, slots=True)
class Brief:
    """What of an item tells which one it is; 80,000 of them are small. `number` counts the rows of the index."""

    number: int
    name: str
    kind: str
    protocol: str
    recording: str
    frame: int
    swap_frame: int | None


@dataclass(frozen=True)
class Predictions:
    """An opened index, whose rows are read one at a time."""

    root: Path
    header: dict
    rows: Sequence[dict]
    briefs: tuple[Brief, ...]

    def item(self, brief: Brief) -> Item:
        """The item that is meant."""
        index = self.root / INDEX
        with readable(index, "chunk index"):
            return Item.from_row(self.rows[brief.number], str(index))

    def rendered(self, item: Item | Brief) -> Sample:
        """The renders of an item."""
        return read_sample(self.root / item.name)

    def load(self, item: Item) -> Prediction:
        """Renders, truth and inputs of an item.

        Raises:
            DataError: a photo that is not the one that was predicted (its hash differs), or a render whose camera is
                not its target's.
        """
        with readable(self.root / item.name, "prediction"):
            return self._load(item)

    def _load(self, item: Item) -> Prediction:
        rendered = self.rendered(item)
        size = rendered.views[0].rgba.shape[:2]
        photos: dict[tuple, View] = {}  # an input is often a target too
        for reference in (*item.targets, *item.inputs):
            if _photo_of(reference) not in photos:
                photos[_photo_of(reference)] = _resized(self._photo(item, reference), size)
        truth, inputs = (tuple(photos[_photo_of(ref)] for ref in part) for part in (item.targets, item.inputs))
        for view, true, target in zip(rendered.views, truth, item.targets, strict=True):
            if np.abs(view.camera.w2c - true.camera.w2c).max() > 1e-4:
                raise DataError(
                    f"prediction {item.name} was not rendered from its target's camera",
                    where=f"target camera {target.camera}",
                    likely="predictions made before the dataset was rebuilt",
                    hint="rerun the predict rule",
                )
        return Prediction(item, rendered, truth, inputs)

    def _photo(self, item: Item, reference: Reference) -> View:
        folder = (self.root / reference.sample).resolve()
        try:
            return read_sample(folder, [reference.view], [reference.hash]).views[0]
        except DataError as error:
            raise DataError(
                f"prediction {item.name} cannot be judged: {error.what}",
                got=error.got,
                expected=error.expected,
                likely=error.likely or "samples made again, or moved, after the prediction",
                hint="rerun the predict rule",
            ) from error


def read_predictions(index: str | Path) -> Predictions:
    """The predictions of an index; images are read item by item.

    Raises:
        DataError: unreadable, or empty.
    """
    index = Path(index)
    document = read_json_rows(index, {"key": str, "header": dict}, "items", "chunk index")
    briefs = []
    with readable(index, "chunk index"):
        for number, row in enumerate(document["items"]):
            check_shape(row, {"name": str})
            item = Item.from_row(row, str(index))
            kind, protocol, recording = map(sys.intern, (item.kind, item.protocol, item.recording))
            name = check_name(item.name, index)
            briefs.append(Brief(number, name, kind, protocol, recording, item.frame, item.swap_frame))
    if not briefs:
        raise DataError(f"predictions {index} are empty", likely="no validation or test frames in the dataset")
    return Predictions(index.parent, document["header"], document["items"], tuple(briefs))


def _photo_of(reference: Reference) -> tuple[str, int, str]:
    return reference.sample, reference.view, reference.hash


def _resized(view: View, size: tuple[int, int]) -> View:
    height, width = size
    if view.rgba.shape[:2] == size:
        return view
    return replace(view, rgba=resize_rgba(view.rgba, width, height), camera=view.camera.scaled_to(width, height))
