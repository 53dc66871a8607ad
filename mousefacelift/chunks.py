"""One job = one chunk of items (frames, objects), resumed item by item.

The declared output of a chunk is `<chunk>/index.json`; the item folders lie beside it. While a chunk is being made
everything is in the hidden sibling `.<chunk>.<key>.work/`: each item is renamed in when it is finished, and the whole
folder takes the chunk's place at the end. A killed job therefore loses at most the item it was working on, a changed
configuration (another key) never mixes with an older one, and readers see the old chunk or the new one.

A folder is replaced only when everything in it was written by an earlier chunk: every item holds a `.row.json` that
lists its files, so that a chunk is known as one even after its index is gone (Snakemake removes outputs before a job).
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mousefacelift.config import config_hash
from mousefacelift.core.files import json_text, read_json, replace_folder, sync, sync_tree, write_text
from mousefacelift.core.json_parts import read_json_rows, write_json_rows
from mousefacelift.core.provenance import code_version
from mousefacelift.errors import ConfigError, DataError
from mousefacelift.locks import one_writer

INDEX, ROW = "index.json", ".row.json"
LITTER = re.compile(r"\.DS_Store|\._.*|Thumbs\.db|desktop\.ini|\.nfs[0-9a-f]+")  # file managers and NFS leave these


def run_chunk(
    index: str | Path,
    key: str,
    items: Iterable[tuple[str, Any]],
    make: Callable[[str, Any, Path], dict],
    header: dict,
    label: str = "items",
    extra: Mapping[str, Callable[[Path, list[dict]], str]] | None = None,
    sources: object = None,
    keep_rows: bool = True,
) -> dict:
    """Make every item of a chunk, keeping those that an earlier, killed run with the same key finished.

    Args:
        index: the chunk's `index.json`; item folders are made beside it.
        key: hash of what decides the result besides the code (configuration, inputs); the version of the code of
            `make` and all that it imports is added here.
        items: (name, argument) pairs; names are folder names.
        make: called with (name, argument, folder); fills `folder` (which exists) and returns a JSON-able row.
        header: JSON-able facts about the whole chunk, written into the index.
        label: what the progress bar counts.
        extra: {file name: text of (folder of the finished items, rows)}, files that lie beside the index.
        sources: sizes and times of files that the items are made from. Unfinished work of other ones is not used; they
            are no part of the key, so that the same content under another time gives the same index.
        keep_rows: False where there may be very many items: their rows stay on the disk, and those of the returned
            index are read one at a time.
    Returns:
        The index: {"key", "header", "items": [{"name", **row}]}.
    Raises:
        ConfigError: `index` is not the index.json of a folder of its own.
        DataError: another process is making the same chunk, a name is no folder name or given twice, or the folder
            holds files that no chunk of ours wrote; nothing is removed then.
    """
    chunk, items, extra = chunk_folder(index), list(items), dict(extra or {})
    assert keep_rows or not extra  # which is given all rows
    key = config_hash([key, code_of(make)])
    _check_names([name for name, _ in items], {INDEX, *extra}, chunk)
    refuse_foreign(chunk, {INDEX, *extra})
    work = chunk.with_name(f".{chunk.name}.{key if sources is None else config_hash([key, sources])}.work")
    work.mkdir(parents=True, exist_ok=True)
    with one_writer(chunk / INDEX):
        rows = []
        for name, argument in tqdm(items, chunk.name, unit=label.rstrip("s"), file=sys.stderr, mininterval=1.0):
            row = _item(work, name, argument, make)
            rows += [row] if keep_rows else []
        named = {name for name, _ in items}
        for leftover in work.iterdir():
            if leftover.name not in named:
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        for name, text in extra.items():
            write_text(work / name, text(work, rows))
        document = {"key": key, "header": header}
        stored = rows if keep_rows else (_stored_row(work, name) for name, _ in items)
        write_json_rows(work / INDEX, document, "items", stored)
        refuse_foreign(chunk, {INDEX, *extra})  # again: hours may have passed
        replace_folder(work, chunk)
        for stale in _stale_work(chunk):
            shutil.rmtree(stale, ignore_errors=True)
    return document | ({"items": rows} if keep_rows else read_json_rows(chunk / INDEX, {}, "items", "chunk index"))


def code_of(make: Callable) -> str:
    """Version of the code that a function of this package is made of; "" for functions from elsewhere."""
    while isinstance(make, partial):
        make = make.func
    module = getattr(make, "__module__", "")
    return code_version((module,)) if module.startswith("mousefacelift.") else ""


def chunk_folder(index: str | Path) -> Path:
    """Folder of a chunk, symbolic links followed, from the path of its index.

    Raises:
        ConfigError: the path does not end in index.json, or its folder is the working directory or holds it.
    """
    path = Path(index)
    folder = path.parent.resolve()
    if path.name != INDEX or Path.cwd().resolve().is_relative_to(folder):
        raise ConfigError(
            f"--out {index} cannot be a chunk",
            got=f"file {path.name} in {folder}",
            expected="index.json in a folder of its own, which the chunk replaces as a whole",
            hint=f"--out {path.stem if path.name != INDEX else 'chunk'}/index.json",
        )
    return folder


def _stale_work(chunk: Path) -> list[Path]:
    """Work folders that runs with other keys left; those of a neighbour `<chunk>.<more>` are not among them."""
    pattern = re.compile(rf"\.{re.escape(chunk.name)}\.[^.]+\.work")
    return [path for path in chunk.parent.iterdir() if pattern.fullmatch(path.name)]


def check_name(name: object, where: str | Path) -> str:
    """`name` when it is one plain path component: no separator, no leading dot, no control character.

    Raises:
        DataError: it is not, and could name a folder elsewhere.
    """
    plain = isinstance(name, str) and 0 < len(name.encode(errors="replace")) <= 200 and not name.startswith(".")
    if not plain or re.search(r"[/\\\x00-\x1f\x7f\ud800-\udfff]", name) or name != name.strip():
        raise DataError(
            f"an item of {where} has a name that is no folder name",
            got=repr(name)[:200],
            expected="one path component without separators, leading dot or control characters",
            likely="a list or index that was edited or comes from elsewhere",
        )
    return name


def _check_names(names: list[str], reserved: set[str], chunk: Path) -> None:
    for name in names:
        check_name(name, chunk)
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    taken = sorted(reserved & set(names))
    if twice or taken:
        raise DataError(
            f"two things of chunk {chunk} are called '{(twice or taken)[0]}'",
            got=", ".join((twice or taken)[:5]),
            expected="names that differ from each other and from the chunk's own files",
            hint="rename one of them, or make two chunks",
        )


def refuse_foreign(chunk: Path, own: set[str]) -> None:
    """Raise DataError when a folder that is about to be replaced holds anything that no chunk wrote.

    Args:
        own: names of the files that the stage writes beside its items.
    """
    if not chunk.exists():
        return
    strangers = [str(chunk)] if not chunk.is_dir() else _strangers(chunk, own)
    if strangers:
        raise DataError(
            f"folder {chunk} holds files that no run of this command wrote, and would be replaced",
            got=", ".join(strangers[:5]) + (f" and {len(strangers) - 5} more" if len(strangers) > 5 else ""),
            expected="a new folder, or one with nothing but an earlier chunk",
            hint="give --out a folder of its own, or move these files elsewhere",
        )


def _strangers(chunk: Path, own: set[str]) -> list[str]:
    found: list[str] = []
    for path in sorted(chunk.iterdir()):
        if LITTER.fullmatch(path.name):
            continue
        if path.name in own:
            is_own = path.is_file() and (path.name != INDEX or _is_index(path))
            found += [] if is_own else [path.name]
        elif path.is_symlink() or not (path / ROW).is_file():
            found.append(path.name)
        else:
            found += _strange_files(path)
    return found


def _is_index(path: Path) -> bool:
    """Whether a file is a chunk's index: JSON with its keys, or what a kill or a full disk left of one."""
    try:
        document = json.loads(path.read_bytes() or b"{}")
    except ValueError:
        return path.read_bytes()[:8].lstrip(b"{\n ").startswith(b'"key"') or not path.read_bytes().strip(b"\0")
    return isinstance(document, dict) and (not document or {"key", "header", "items"} <= set(document))


def _strange_files(folder: Path) -> list[str]:
    """Files in an item's folder that its row does not list."""
    try:
        record = json.loads((folder / ROW).read_text())
    except ValueError:
        record = None
    if not isinstance(record, dict) or record.get("row", record).get("name") != folder.name:
        return [f"{folder.name}/{ROW}"]
    if "files" not in record:
        return []  # written before rows listed their files
    listed = record["files"]
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_symlink() or not p.is_dir()}
    extra = sorted(name for name in files - {ROW, *listed} if not LITTER.fullmatch(Path(name).name))
    return [f"{folder.name}/{name}" for name in extra]


def _stored_row(work: Path, name: str) -> dict:
    """The row of a finished item."""
    return json.loads((work / name / ROW).read_text())["row"]


def _item(work: Path, name: str, argument: Any, make: Callable) -> dict:
    folder, row_file = work / name, work / name / ROW
    if row_file.exists():
        return _stored_row(work, name)
    making = work / f".{name}.making"
    shutil.rmtree(making, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    making.mkdir()
    row = {"name": name, **make(name, argument, making)}
    files = sorted(p.relative_to(making).as_posix() for p in making.rglob("*") if not p.is_dir())
    (making / ROW).write_text(json_text({"row": row, "files": files}))
    sync_tree(making)
    making.rename(folder)
    sync(work)
    return row


def read_index(index: str | Path) -> dict:
    """The parsed index of a finished chunk; item folders are `Path(index).parent / item["name"]`.

    Raises:
        DataError: unreadable, not an index, or an item whose name is no folder name.
    """
    document = read_json(index, {"key": str, "header": dict, "items": [{"name": str}]}, "chunk index")
    items = document["items"]
    for item in items:
        check_name(item.get("name"), index)
    return document


def chunk_name(start: int, stop: int) -> str:
    """Name of the chunk of frames start..stop-1, last frame included in the name: '000000-000019'."""
    return f"{start:06d}-{stop - 1:06d}"


def frame_chunks(start: int, stop: int, step: int, size: int) -> list[tuple[str, list[int]]]:
    """Names and frame numbers of the chunks of range(start, stop, step), `size` frames each (fewer in the last)."""
    frames = list(range(start, stop, step))
    parts = [frames[i : i + size] for i in range(0, len(frames), size)]
    return [(chunk_name(part[0], part[-1] + 1), part) for part in parts]
