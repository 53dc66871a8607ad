"""Lists of chunks: what a job that reads many chunks is given in place of their paths.

A shell command holds 131,072 bytes, the paths of some 2,000 chunks; a rule that asks every chunk for every chunk plans
in quadratic time. `chunks.json` lies beside the chunks and holds their names with the hash of each index, so that it
differs when any of them does.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from mousefacelift.chunks import INDEX, check_name, frame_chunks
from mousefacelift.core.files import json_text, read, read_json, write_text

LIST = "chunks.json"
CHUNK = re.compile(r"\d{6,}-\d{6,}")  # names of `chunks.chunk_name`


def write_list(out: Path, frames: tuple[int, int, int], size: int) -> int:
    """List the chunks of range(*frames), `size` items each, that lie beside `out`; returns their number.

    Raises:
        DataError: one is missing.
    """
    names = [name for name, _ in frame_chunks(*frames, size)]
    hashes = {name: read(out.parent / name / INDEX, lambda data: hashlib.sha256(data).hexdigest()) for name in names}
    write_text(out, json_text({"chunks": hashes}, indent=1))
    return len(names)


def leftovers(path: Path) -> list[Path]:
    """Chunks beside the list `path` that it does not name: of another configuration, and read by nobody.

    They are left where they are: the configuration may come back, and finds them made.
    """
    listed = read_json(path, {"chunks": dict}, "list of chunks")["chunks"]
    beside = (folder for folder in path.parent.iterdir() if CHUNK.fullmatch(folder.name) and folder.name not in listed)
    return sorted(folder for folder in beside if (folder / INDEX).is_file())


def expand_lists(paths: Sequence[Path]) -> list[Path]:
    """The indexes of chunks; a path to a `chunks.json` stands for all that it lists.

    Raises:
        DataError: a list that cannot be read.
    """
    found: list[Path] = []
    for path in paths:
        if path.name == LIST:
            names = read_json(path, {"chunks": dict}, "list of chunks")["chunks"]
            found += [path.parent / check_name(name, path) / INDEX for name in names]
        else:
            found.append(path)
    return found
