"""What a report is made of: sections of blocks (text, table, picture), plain data that the template draws."""

from __future__ import annotations

import base64
import csv
import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mousefacelift.chunks import read_index
from mousefacelift.core.images import composite, contact_sheet, encode_png, resize_rgba, shared_crop
from mousefacelift.core.samples import CAMERAS_FILE, read_sample
from mousefacelift.errors import DataError


@dataclass(frozen=True)
class Block:
    """One thing on the page.

    Args:
        kind: text, alarm, table (rows of cells, the first is the head), picture (data URI), verdict (rows of label and
            clause) or viewer (JSON of its splats as text).
        folded: a table that is shown when asked for.
    """

    kind: str
    title: str = ""
    text: str = ""
    rows: tuple[tuple[str, ...], ...] = ()
    uri: str = ""
    folded: bool = False


@dataclass
class Section:
    """A part of the report; `folded` ones stand behind the decision, one per stage."""

    name: str
    title: str
    blocks: list[Block] = field(default_factory=list)
    folded: bool = False

    @property
    def alarms(self) -> int:
        return sum(block.kind == "alarm" for block in self.blocks)

    def add(self, kind: str, **content) -> None:
        self.blocks.append(Block(kind, **content))

    def not_run(self, what: str) -> Section:
        self.add("text", text=f"Not run: {what}.")
        return self


def read_json(path: Path) -> dict:
    """Parsed JSON of a result file; DataError when it is broken."""
    try:
        return json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise DataError(
            f"result {path} cannot be read", got=str(error), hint="rerun the stage that makes it"
        ) from error


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    return list(each_row(path))


def each_row(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a CSV file, one at a time."""
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            yield from csv.DictReader(stream)
    except OSError as error:
        raise DataError(f"result {path} cannot be read", got=str(error)) from error


def each_item(indexes: Sequence[Path]) -> Iterator[dict]:
    """Items of chunks, those of one index in memory at a time."""
    for index in indexes:
        yield from read_index(index)["items"]


def png_uri(source: Path | np.ndarray) -> str:
    """Data URI of a PNG file or of an rgb image [H, W, 3] in [0, 1]."""
    data = source.read_bytes() if isinstance(source, Path) else encode_png(source, compression=6)
    return "data:image/png;base64," + base64.b64encode(data).decode()


def sample_folders(indexes: list[Path]) -> list[Path]:
    """Sample folders of several chunks, in order; items without a sample (nothing accepted) are left out."""
    folders = [index.parent / item["name"] for index in sorted(indexes) for item in read_index(index)["items"]]
    return [folder for folder in folders if (folder / CAMERAS_FILE).exists()]


def spread(things: list, count: int) -> list:
    """At most `count` of `things`, evenly spread."""
    if len(things) <= count:
        return list(things)
    return [things[int(i)] for i in np.linspace(0, len(things) - 1, count).round()]


def thumbnails(folder: Path, size: int, count: int, background: float = 1.0) -> list[np.ndarray]:
    """rgb pictures [size, size, 3] of at most `count` views of a sample."""
    views = spread(list(read_sample(folder).views), count)
    return [composite(resize_rgba(view.rgba, size, size), (background,) * 3) for view in views]


def sheet_uri(rows: list[list[np.ndarray]]) -> str:
    """Data URI of square pictures in rows, all cropped alike to what they show; short rows are filled up with white."""
    columns = max(len(row) for row in rows)
    blank = np.ones_like(rows[0][0])
    return png_uri(
        contact_sheet(
            shared_crop([image for row in rows for image in [*row, *[blank] * (columns - len(row))]]), columns
        )
    )


def number(value, digits: int = 2) -> str:
    """Text of a number for a table; '-' for none."""
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return "-"
    return str(value) if isinstance(value, (int, str)) else f"{value:.{digits}f}"


def facts_table(section: Section, title: str, document: dict) -> None:
    """Add a table of the plain numbers and words of a JSON object, one level of nesting flattened."""
    flat: dict[str, str] = {}
    for key, value in document.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        for name, entry in inner:
            if isinstance(entry, (int, float, str, bool)) and len(str(entry)) < 80:
                flat[f"{key} {name}".strip().replace("_", " ")] = number(entry, 3)
    if flat:
        section.add("table", title=title, rows=(("fact", "value"), *list(flat.items())[:40]))


def item_table(section: Section, title: str, items: Iterable[dict], what: str = "frames") -> None:
    """Add a table of least, median and most of every number that `items` carry, their `scores` included."""
    columns: dict[str, array] = {}
    count = 0
    for item in items:
        count += 1
        scores = item.get("scores")
        for name, value in (item | (scores if isinstance(scores, dict) else {})).items():
            if name not in ("frame", "time_s") and isinstance(value, (int, float)) and np.isfinite(value):
                columns.setdefault(name, array("d")).append(value)
    if columns:
        section.add(
            "table",
            title=f"{title} ({count} {what})",
            rows=(
                ("", "least", "median", "most"),
                *(
                    (name.replace("_", " "), *(_brief(function(values)) for function in (np.min, np.median, np.max)))
                    for name, values in columns.items()
                ),
            ),
        )


def _brief(value: float) -> str:
    return number(int(value) if float(value).is_integer() else float(value), 3)
