"""Files that are written whole or not at all, and read with every fault of their content named.

Writers put the content under a hidden name in the same folder, force it to the disk (fsync) and rename it: after a kill
or a power cut there is the old file or the new one, never a part. Readers turn whatever is wrong with a file (missing,
cut short, zeroed, other keys, other shapes) into DataError with the command that makes it again.
"""

from __future__ import annotations

import glob
import hashlib
import io
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mousefacelift.core.remake import remake_hint
from mousefacelift.errors import DataError, MouseFaceLiftError, is_refused_write, unwritable

if TYPE_CHECKING:
    import numpy as np


@contextmanager
def via(path: str | Path, what: str = "file") -> Iterator[Path]:
    """A hidden path beside `path` to write to; it takes the name `path` when the block ends well, else it is removed.

    Raises:
        DataError: the disk refuses; what was at `path` is untouched.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_rests(path)
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    except Exception as error:
        if not isinstance(error, OSError) and not is_refused_write(error):
            raise
        raise unwritable(what, path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _remove_rests(path: Path) -> None:
    """Remove what killed processes of this machine left half-written beside `path`."""
    pattern = re.compile(rf"\.{re.escape(path.stem)}\.(\d+)\.tmp{re.escape(path.suffix)}")
    for name in os.listdir(path.parent):
        match = pattern.fullmatch(name)
        if match and not Path("/proc", match[1]).exists():
            (path.parent / name).unlink(missing_ok=True)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file whole or not at all; makes the folder."""
    with via(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all; makes the folder."""
    write_bytes(path, text.encode())


def json_text(document: Any, **options: Any) -> str:
    """JSON text of a document; a number that is not finite becomes null: JSON has no NaN, and only Python reads one.

    Args:
        options: of `json.dumps`.
    """
    try:
        return json.dumps(document, allow_nan=False, **options)
    except ValueError:  # also said of circles, which `without_nan` finds again
        return json.dumps(without_nan(document), allow_nan=False, **options)


def without_nan(document: Any) -> Any:
    """The document with null in place of numbers that are not finite."""
    if isinstance(document, float):
        return document if math.isfinite(document) else None
    if isinstance(document, Mapping):
        return {key: without_nan(value) for key, value in document.items()}
    if hasattr(document, "tolist"):  # an array
        return without_nan(document.tolist())
    return [without_nan(value) for value in document] if isinstance(document, list | tuple) else document


def nulls_as_nan(numbers: Any) -> Any:
    """What `without_nan` did, undone: for parts of a document in which every null is a number that nobody has."""
    if isinstance(numbers, Mapping):
        return {key: nulls_as_nan(value) for key, value in numbers.items()}
    if isinstance(numbers, list):
        return [nulls_as_nan(value) for value in numbers]
    return math.nan if numbers is None else numbers


def json_by_rows(document: Mapping) -> str:
    """JSON of an object with every entry of its lists on a line of its own: a tenth of the time of indented JSON, which
    Python writes without its compiled encoder."""
    lines = []
    for key, value in document.items():
        rows = isinstance(value, list) and bool(value)
        text = "[\n" + ",\n".join(json_text(row) for row in value) + "\n]" if rows else json_text(value)
        lines.append(f"{json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}"


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def replace_folder(new: Path, target: Path) -> None:
    """Move the folder `new`, forced to the disk, to `target`, taking the place of what is there.

    Nobody else may be replacing `target`: what a replacement that was killed in the middle left is removed too.
    """
    sync_tree(new)
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.old"):
        if left.name[len(target.name) + 2 : -len(".old")].isdecimal():
            shutil.rmtree(left, ignore_errors=True)
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    if target.exists():
        os.replace(target, old)
    os.replace(new, target)
    sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def relative_path(path: str | Path, folder: str | Path) -> str:
    """`path` as it is found from `folder`, symbolic links of both followed, as the system follows `folder / it`."""
    return os.path.relpath(Path(path).resolve(), Path(folder).resolve())


def sync_tree(folder: Path) -> None:
    """Force every file below `folder`, and the folders themselves, to the disk."""
    for parent, _, names in os.walk(folder):
        for name in names:
            sync(os.path.join(parent, name))
        sync(parent)


def sync(path: str | Path) -> None:
    """Force a file or a folder's list of names to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_json(path: str | Path, shape: Any = None, what: str = "file") -> Any:
    """The content of a JSON file, if it has `shape`.

    Args:
        shape: a type; {key: shape} with keys that must be there (`"key?"` may be missing), [shape] for a list of such,
            (shape, ...) for any of several, None for null, ... for anything. float takes whole numbers too; numbers are
            finite.
        what: word for the file in the message.
    Raises:
        DataError: missing, not JSON or of another shape; the message names the place and the command that remakes it.
    """

    def parse(data: bytes) -> Any:
        document = json.loads(data)
        if shape is not None:
            check_shape(document, shape)
        return document

    return read(path, parse, what)


def check_shape(document: Any, shape: Any) -> None:
    """Raise ValueError naming the place where `document` is not of `shape` (see `read_json`)."""
    problem = _mismatch(document, shape, "")
    if problem:
        raise ValueError(problem)


def read(path: str | Path, parse: Callable[[bytes], Any], what: str = "file") -> Any:
    """`parse` of a file's bytes, any fault as DataError with the file's name and the command that remakes it."""
    path = Path(path)
    with readable(path, what):
        data = path.read_bytes()
        if not data.strip(b"\0"):
            raise ValueError("the file is empty" if not data else f"{len(data)} zero bytes")
        return parse(data)


@contextmanager
def readable(path: str | Path, what: str = "file") -> Iterator[None]:
    """Turn what parsing a file can raise into DataError naming it; errors of this project pass as they are."""
    try:
        yield
    except MouseFaceLiftError:
        raise
    except Exception as error:  # parsers of damaged files raise anything
        missing = isinstance(error, FileNotFoundError)
        reason = "no such file" if missing else (str(error) or type(error).__name__).strip().splitlines()[0][:300]
        raise DataError(
            f"{what} {path} cannot be read",
            got=reason if isinstance(error, OSError | ValueError) else f"{type(error).__name__}: {reason}",
            likely="the stage that makes it has not run" if missing else "a truncated, overwritten or edited file",
            hint=remake_hint(path),
        ) from error


def _mismatch(value: Any, shape: Any, where: str) -> str | None:
    """What about `value` is not of `shape`, or None."""
    if shape is ...:
        return None
    if isinstance(shape, tuple):
        problems = [_mismatch(value, option, where) for option in shape]
        return None if None in problems else problems[0]
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return _wrong(value, "an object", where)
        for key, inner in shape.items():
            name = key.removesuffix("?")
            if name not in value and not key.endswith("?"):
                return f"key '{f'{where}.{name}'.lstrip('.')}' is missing"
            if name in value and (problem := _mismatch(value[name], inner, f"{where}.{name}".lstrip("."))):
                return problem
        return None
    if isinstance(shape, list):
        if not isinstance(value, list):
            return _wrong(value, "a list", where)
        return next((p for i, v in enumerate(value) if (p := _mismatch(v, shape[0], f"{where}[{i}]"))), None)
    return None if _is(value, shape) else _wrong(value, "null" if shape is None else shape.__name__, where)


def _is(value: Any, kind: type | None) -> bool:
    if kind is None:
        return value is None
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _wrong(value: Any, expected: str, where: str) -> str:
    return f"'{where or 'the file'}' is {json.dumps(value)[:60]}, expected {expected}"


def read_npz(path: str | Path, shapes: Mapping[str, Sequence[int | None]], what: str = "file") -> dict[str, np.ndarray]:
    """Arrays of an .npz file by name, finite, with the numbers of rows and columns of `shapes` (None: any).

    Pickled objects are never loaded. Raises: DataError.
    """
    import numpy as np  # half of the start of commands that read no array

    def parse(data: bytes) -> dict[str, np.ndarray]:
        found = {}
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            for name, shape in shapes.items():
                value = archive[name]
                fits = value.ndim == len(shape) and all(w in (None, g) for w, g in zip(shape, value.shape))
                if not fits or value.dtype.kind not in "biuf":
                    raise ValueError(f"'{name}' is {value.dtype} {value.shape}, expected {tuple(shape)}")
                if value.dtype.kind == "f" and not np.isfinite(value).all():
                    raise ValueError(f"'{name}' holds numbers that are not finite")
                found[name] = value
        return found

    return read(path, parse, what)


def read_parquet(path: str | Path, columns: Sequence[str] = (), what: str = "table"):
    """The pyarrow table of a parquet file that has `columns`. Raises: DataError."""
    import pyarrow.parquet as pq

    with readable(path, what):
        table = pq.read_table(path)
        missing = [name for name in columns if name not in table.column_names]
        if missing:
            raise ValueError(f"column '{missing[0]}' is missing")
        return table


def read_safetensors(path: str | Path, device: str = "cpu", what: str = "weights") -> dict:
    """{name: tensor} of a safetensors file. Raises: DataError."""
    from safetensors.torch import load_file

    with readable(path, what):
        return load_file(path, device=device)
