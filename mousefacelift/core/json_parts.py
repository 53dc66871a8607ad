"""Parts of a large JSON object, without holding the rest, and JSON that is written as it is encoded.

A track has 160 bytes a frame on disk and ten times as much as Python objects; who needs the frame numbers alone reads
those. The index of many predictions is read row by row.
"""

from __future__ import annotations

import json
import mmap
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mousefacelift.core.files import check_shape, json_by_rows, json_text, read_json, readable, via, without_nan

KEY = re.compile(
    rb'^ ("(?:[^"\\\n]|\\.)*"): ', re.M
)  # of the outermost object, as json.dumps(..., indent=1) lays it out
BRACKETS = {ord("["): ord("]"), ord("{"): ord("}")}


def read_json_keys(path: str | Path, shape: Mapping[str, Any], what: str = "file") -> dict[str, Any]:
    """The keys of `shape` of a JSON object; what stands under other keys is passed over unread.

    A file that is not laid out by `json.dumps(..., indent=1)`, or not whole, is read as `read_json` does it, with its
    errors.

    Args:
        shape: as of `read_json`.
    """
    with readable(path, what):
        found = _find_keys(Path(path), {name.removesuffix("?") for name in shape})
        if found is not None:
            check_shape(found, shape)
            return found
    document = read_json(path, dict(shape), what)
    return {name: document[name] for name in (key.removesuffix("?") for key in shape) if name in document}


def _find_keys(path: Path, wanted: set[str]) -> dict[str, Any] | None:
    """Values of the wanted keys, or None where the file must be read whole to know."""
    with open(path, "rb") as stream:
        if not path.stat().st_size:
            return None
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            places = list(KEY.finditer(data))
            if not places or data[: places[0].start()] != b"{\n" or data[-2:] != b"\n}":
                return None
            found: dict[str, Any] = {}
            ends = [*(place.start() - 2 for place in places[1:]), len(data) - 2]  # before ",\n" or "\n}"
            for place, end in zip(places, ends):
                name, start = json.loads(place[1]), place.end()
                if name in found or (end < len(data) - 2 and data[end : end + 2] != b",\n"):
                    return None
                if BRACKETS.get(data[start], data[end - 1]) != data[end - 1]:
                    return None
                found[name] = json.loads(data[start:end]) if name in wanted else None
    return {name: value for name, value in found.items() if name in wanted}


def write_json(path: str | Path, document: Any) -> None:
    """Write `json_text(document, indent=1)` whole or not at all, piece by piece."""
    with via(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        try:
            json.dump(document, stream, indent=1, allow_nan=False)
        except ValueError:
            stream.seek(0)
            stream.truncate()
            json.dump(without_nan(document), stream, indent=1, allow_nan=False)


def write_json_rows(path: str | Path, head: Mapping[str, Any], rows: str, entries: Iterable[Any]) -> None:
    """Write `json_by_rows(head | {rows: [*entries]})` whole or not at all, an entry at a time."""
    with via(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        stream.write(json_by_rows(head)[:-2] + f",\n{json.dumps(rows)}: [")
        written = False
        for entry in entries:
            stream.write((",\n" if written else "\n") + json_text(entry))
            written = True
        stream.write("\n]\n}" if written else "]\n}")


class JsonRows(Sequence[Any]):
    """The entries of a list in a file that has each on a line of its own; an entry is read when it is asked for."""

    def __init__(self, path: Path, starts: array) -> None:
        self._path, self._starts = path, starts

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, position: Any) -> Any:
        with open(self._path, "rb") as stream:
            stream.seek(self._starts[position])
            return json.loads(stream.readline().rstrip(b",\n"))

    def __iter__(self) -> Iterator[Any]:
        with open(self._path, "rb") as stream:
            for start in self._starts:
                stream.seek(start)
                yield json.loads(stream.readline().rstrip(b",\n"))


def read_json_rows(path: str | Path, shape: Mapping[str, Any], rows: str, what: str = "file") -> dict[str, Any]:
    """The object in a file that `json_by_rows` wrote, the list under its last key `rows` as JsonRows.

    A file of another layout, or not whole, is read as `read_json` does it, with its errors.

    Args:
        shape: as of `read_json`, without `rows`.
    """
    with readable(path, what):
        found = _find_rows(Path(path), rows)
        if found is not None:
            check_shape(found, dict(shape))
            return found
    return read_json(path, {**shape, rows: [...]}, what)


def _find_rows(path: Path, rows: str) -> dict[str, Any] | None:
    """The object with its rows unread, or None where the layout is another."""
    found: dict[str, Any] = {}
    with open(path, "rb") as stream:
        if stream.readline() != b"{\n":
            return None
        for line in stream:
            if line == json.dumps(rows).encode() + b": [\n":
                break
            if not line.endswith(b",\n"):
                return None
            found |= json.loads(b"{" + line[:-2] + b"}")
        starts, place = array("q"), stream.tell()
        for line in stream:
            if not (line.startswith(b"{") and line.endswith((b"}\n", b"},\n"))):
                break
            starts.append(place)
            place += len(line)
        else:
            return None
        whole = line == b"]\n" and stream.read() == b"}"
    return found | {rows: JsonRows(path, starts)} if whole else None
