"""One job = one chunk of items (frames, objects), resumed item by item.

The declared output of a chunk is `<chunk>/index.json`; the item folders lie beside it. While a chunk is being made
everything is in the hidden sibling `.<chunk>.<key>.work/`: each item is renamed in when it is finished, and the whole
folder takes the chunk's place at the end. A killed job therefore loses at most the item it was working on, a changed
configuration (another key) never mixes with an older one, and readers see the old chunk or the new one.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mousefacelift.core.images import write_text
from mousefacelift.core.samples import replace_folder
from mousefacelift.errors import DataError


def run_chunk(
    index: str | Path,
    key: str,
    items: Iterable[tuple[str, Any]],
    make: Callable[[str, Any, Path], dict],
    header: dict,
    label: str = "items",
) -> dict:
    """Make every item of a chunk, keeping those that an earlier, killed run with the same key finished.

    Args:
        index: the chunk's `index.json`; item folders are made beside it.
        key: hash of all that decides the result (configuration, inputs, code version).
        items: (name, argument) pairs; names are folder names.
        make: called with (name, argument, folder); fills `folder` (which exists) and returns a JSON-able row.
        header: JSON-able facts about the whole chunk, written into the index.
        label: what the progress bar counts.
    Returns:
        The index: {"key", "header", "items": [{"name", **row}]}.
    Raises:
        DataError: another process is making the same chunk.
    """
    chunk = Path(index).parent
    work = chunk.with_name(f".{chunk.name}.{key}.work")
    work.mkdir(parents=True, exist_ok=True)
    lock_path = chunk.with_name(f".{chunk.name}.lock")
    with open(lock_path, "a") as lock:
        _lock(lock, chunk)
        items = list(items)
        rows = [
            _item(work, name, argument, make)
            for name, argument in tqdm(items, desc=chunk.name, unit=label.rstrip("s"), file=sys.stderr, mininterval=1.0)
        ]
        for leftover in work.iterdir():
            if leftover.name not in {name for name, _ in items}:
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        document = {"key": key, "header": header, "items": rows}
        write_text(work / "index.json", json.dumps(document, indent=1))
        replace_folder(work, chunk)
        for stale in chunk.parent.glob(f".{chunk.name}.*.work"):
            shutil.rmtree(stale, ignore_errors=True)
        lock_path.unlink(missing_ok=True)
    return document


def _lock(stream, chunk: Path) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise DataError(
            f"chunk {chunk} is being written by another process",
            likely="two runs in one results folder",
            hint="wait for it, or stop it",
        ) from error


def _item(work: Path, name: str, argument: Any, make: Callable) -> dict:
    folder, row_file = work / name, work / name / ".row.json"
    if row_file.exists():
        return json.loads(row_file.read_text())
    making = work / f".{name}.making"
    shutil.rmtree(making, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    making.mkdir()
    row = {"name": name, **make(name, argument, making)}
    (making / ".row.json").write_text(json.dumps(row))
    making.rename(folder)
    return row


def read_index(index: str | Path) -> dict:
    """The parsed index of a finished chunk; item folders are `Path(index).parent / item["name"]`."""
    try:
        return json.loads(Path(index).read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise DataError(
            f"chunk index {index} cannot be read", got=str(error), hint="rerun the stage that makes it"
        ) from error


def chunk_name(start: int, stop: int) -> str:
    """Name of the chunk of frames start..stop-1, last frame included in the name: '000000-000019'."""
    return f"{start:06d}-{stop - 1:06d}"


def frame_chunks(start: int, stop: int, step: int, size: int) -> list[tuple[str, list[int]]]:
    """Names and frame numbers of the chunks of range(start, stop, step), `size` frames each (fewer in the last)."""
    frames = list(range(start, stop, step))
    parts = [frames[i : i + size] for i in range(0, len(frames), size)]
    return [(chunk_name(part[0], part[-1] + 1), part) for part in parts]
