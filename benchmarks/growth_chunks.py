"""Stages behind the samples of a recording, for `growth.py`: what a job of one chunk costs must not depend on how long
the recording is, what chooses frames from all of it should grow by their list alone.

A step is a command of the pipeline, the number of items it is divided by, and what is prepared once it has run. With a
finished run its generator paints views of the chunk and its model predicts frames of the recording.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

JUDGED = 4  # frames of either split that are predicted, and half as many of those trained on
SPLATS = {
    "splats": {"fit": {"size": 64}, "novel": {"size": 64, "ring_views": 8}},
    "dataset": {"splits": {"held_out_camera": 5}},
    "seed": 0,
}
VIEWS = {"distill": {"gate": {"max_quarantine": 1.0}}, "seed": 0}  # the generator never saw the toy
PREDICT = {"predict": {"max_frames": JUDGED, "train_frames": JUDGED // 2, "splats_kept": 0}}
ALWAYS = ("trust", "gate", "fit", "ring", "novel", "library")
OF_RUN = ("views", "predict", "evaluate")  # only with a finished run


class Place(NamedTuple):
    """A recording whose samples are listed, split and built.

    Args:
        samples: folder of its chunks; listed: their list; splits, data: of `dataset split` and `build`.
        chunks: name and frames of every chunk. made: the one whose samples are its own, the others' being links.
    """

    results: Path
    samples: Path
    listed: Path
    splits: Path
    data: Path
    chunks: list[tuple[str, list[int]]]
    made: str

    @property
    def frames(self) -> int:
        """Of the recording."""
        return sum(len(frames) for _, frames in self.chunks)


class Step(NamedTuple):
    """`words`: arguments of python. `items`: asked once it has run. `then`: prepares the next."""

    name: str
    words: list[str]
    items: Callable[[], int]
    then: Callable[[], object] | None = None


def words_of(group: str, *words: object, config: dict | None = None) -> list[str]:
    """Arguments of python for a command of the pipeline."""
    ending = ["--config-json", json.dumps(config)] if config else []
    return ["-m", "mousefacelift", group, *map(str, words), *ending]


def row_count(index: Path, *kinds: str) -> int:
    """Rows of a chunk's index, of these kinds where any are named."""
    items = json.loads(index.read_text())["items"]
    return sum(not kinds or item["kind"] in kinds for item in items)


def chunk_steps(place: Place, finished: Path | None, spread_chunk: Callable) -> Iterator[Step]:
    """The steps in the order of the pipeline; `spread_chunk` of `growth.py` makes chunks of links."""
    index, made = place.samples / place.made / "index.json", place.made
    trust, gate = place.results / "trust.json", place.results / "gate.json"
    fits, ring, novel, views = (
        place.results / name / made / "index.json" for name in ("fits", "ring", "novel", "views")
    )

    def of_all() -> int:
        return place.frames

    def rings_of_all() -> None:
        spread_chunk(ring.parent, ring.parents[1], place.chunks)
        hashes = json.loads(place.listed.read_text())["chunks"]
        (ring.parents[1] / "chunks.json").write_text(json.dumps({"chunks": hashes}))

    yield Step("trust", words_of("splats", "trust", place.listed, "--out", trust, config=SPLATS), of_all)
    splits = ["--splits", place.splits]
    yield Step("gate", words_of("distill", "gate", "--frames", place.listed, *splits, "--out", gate), of_all)
    words = words_of("splats", "fit", index, "--trust", trust, "--out", fits, config=SPLATS)
    yield Step("fit", words, lambda: row_count(fits))
    shared = [fits, "--samples", index, "--trust", trust, "--out"]
    yield Step("novel", words_of("splats", "novel", *shared, novel, config=SPLATS), lambda: row_count(novel))
    yield Step("ring", words_of("splats", "ring", *shared, ring, config=SPLATS), lambda: row_count(ring), rings_of_all)
    words = words_of(
        "distill", "library", "--rings", ring.parents[1] / "chunks.json", *splits, "--out", place.results / "library"
    )
    yield Step("library", words, of_all, lambda: shutil.rmtree(ring.parents[1]))
    if finished is None:
        return
    words = ["views", "--frames", index, "--generator", finished / "distill/generator", "--gate", gate, "--out", views]
    yield Step("views", words_of("distill", *words, config=VIEWS), lambda: row_count(views))
    model, told = finished / "train/80-20", place.results / "predictions/index.json"
    words = ["predict", "--model", model, "--dataset", place.data, "--out", told.parent]
    yield Step("predict", words_of("lrm", *words, config=PREDICT), lambda: row_count(told))
    words = ["evaluate", "--predictions", told, "--dataset", place.data, "--out", place.results / "judged"]
    yield Step("evaluate", words_of("check", *words), lambda: row_count(told, "target"))
