"""Which frames of the cameras belong together, by the frame numbers or the time stamps that a camera's CSV gives them.

Cameras that started minutes apart, or lost frames, are brought in step before silhouettes are compared. A CSV has one
row per frame of its video: a column of frame numbers (a counter that all cameras share), or one of times (any unit, or
ISO dates).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mousefacelift.errors import DataError

NUMBER_WORDS = ("frame", "index", "count", "number", "id")
TIME_WORDS = ("time", "stamp", "second", "sec", "ns", "us", "ms", "clock")
KINDS = ("counters", "times", "frame numbers")  # the first that every camera has: a counter from 0 without a gap says
# nothing where there are times
Runs = list[list[int]]


def read_offsets(paths: Sequence[str], lengths: Sequence[int], names: Sequence[str]) -> tuple[list[Runs], int]:
    """Per camera a list of [from_frame, offset] (file frame = common frame + offset), and the number of common frames.

    Args:
        paths: one CSV per camera.
        lengths: frames of each camera's video.
    Raises:
        DataError: no CSV, another number of rows than frames, or no frame that all cameras filmed.
    """
    found = [_read(Path(path)) for path in paths]
    for path, columns, length in zip(paths, found, lengths):
        rows = len(next(iter(columns.values())))
        if rows != length:
            raise DataError(
                f"time stamps {path} are not one per frame of their video",
                got=f"{rows} rows",
                expected=f"{length} frames",
                likely="a frame that was lost in the file but not in the list, or another recording's list",
            )
    kind = next((kind for kind in KINDS if all(kind in columns for columns in found)), None)
    if kind is None:
        said = ", ".join(f"{Path(path).name}: {' and '.join(columns)}" for path, columns in zip(paths, found))
        raise DataError("some cameras have frame numbers and others times", got=said)
    columns = [by_kind[kind] for by_kind in found]
    rows = (_by_time if kind == "times" else _by_number)(columns)
    if len(rows) == 0:
        spans = ", ".join(f"{n}: {v[0]:g} to {v[-1]:g}" for n, v in zip(names, columns))
        raise DataError("no frame was filmed by all cameras", got=spans, likely="clocks that were set one by one")
    return [_runs(rows[:, v] - np.arange(len(rows))) for v in range(len(paths))], len(rows)


def compose(outer: Runs, inner: Runs) -> Runs:
    """Runs of f -> file frame when `outer` maps common frames to frames of a first timeline and `inner` those to the
    file."""
    starts = {0} | {start for start, _ in outer}
    starts |= {start - value for start, _ in inner for _, value in outer}
    runs: Runs = []
    for frame in sorted(start for start in starts if start >= 0):
        middle = frame + offset_at(outer, frame)
        value = middle + offset_at(inner, middle) - frame
        if not runs or runs[-1][1] != value:
            runs.append([int(frame), int(value)])
    return runs


def offset_at(runs: Runs, frame: int) -> int:
    """The offset that holds at `frame`."""
    found = [value for start, value in runs if frame >= start]
    return found[-1] if found else (runs[0][1] if runs else 0)


def _read(path: Path) -> dict[str, np.ndarray]:
    """The columns that may tell frames apart, by what they are (KINDS)."""
    import pandas as pd  # dear to import, and few recordings have time stamps

    try:
        first = path.read_text(encoding="utf-8").lstrip().split("\n")[0]
        separator = next((mark for mark in ",;\t" if mark in first), r"\s+")
        table = pd.read_csv(path, sep=separator, header=None, comment="#")
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise DataError(f"time stamps {path} cannot be read", got=str(error).splitlines()[0]) from error
    named = not any(np.isfinite(_numbers(table.iloc[:1, c])).any() for c in range(table.shape[1]))
    heads = [str(word).strip().lower() for word in table.iloc[0]] if named else [""] * table.shape[1]
    content = table.iloc[1 if named else 0 :]
    values = np.stack([_numbers(content.iloc[:, c]) for c in range(table.shape[1])], 1)
    dated = [pd.to_numeric(content.iloc[:, c], errors="coerce").isna().all() for c in range(table.shape[1])]
    rising = [c for c, column in enumerate(values.T) if np.isfinite(column).all() and (np.diff(column) > 0).all()]
    times = [c for c in rising if dated[c] or any(word in heads[c] for word in TIME_WORDS)]
    numbers = [c for c in rising if c not in times and any(word in heads[c] for word in NUMBER_WORDS)]
    rows = np.arange(len(values))
    telling = [c for c in numbers if not np.array_equal(values[:, c] - values[0, c], rows) or values[0, c] != 0]
    others = [c for c in rising if c not in times and c not in numbers]
    whole = [c for c in others if not named and np.array_equal(values[:, c], np.rint(values[:, c]))]
    kinds = {
        "counters": telling,
        "times": times or [c for c in others if c not in whole],
        "frame numbers": numbers or whole,
    }
    if not any(kinds.values()):
        raise DataError(
            f"time stamps {path} have no column of rising numbers or times",
            got=", ".join(heads) or "no column",
            expected="a frame counter, seconds, or dates such as 2026-05-01T12:00:00.123",
        )
    return {kind: values[:, columns[0]] for kind, columns in kinds.items() if columns}


def _numbers(column: Any) -> np.ndarray:
    """Numbers of a column, of dates their seconds since 1970; NaN for other words."""
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    if np.isfinite(numbers).any() or not column.astype(str).str.contains(r"\d\D\d\d?\D", regex=True).any():
        return numbers
    dates = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
    return (dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(np.float64)


def _by_number(columns: list[np.ndarray]) -> np.ndarray:
    """[T, V] rows of the frame numbers that all cameras have."""
    common = columns[0]
    for column in columns[1:]:
        common = np.intersect1d(common, column)
    return np.stack([np.searchsorted(column, common) for column in columns], 1)


def _by_time(columns: list[np.ndarray]) -> np.ndarray:
    """[T, V] rows nearest in time to the first camera's frames, where all are within half a frame."""
    period = np.median([np.median(np.diff(column)) for column in columns])
    rows = []
    for column in columns:
        right = np.clip(np.searchsorted(column, columns[0]), 1, len(column) - 1)
        rows.append(np.where(columns[0] - column[right - 1] < column[right] - columns[0], right - 1, right))
    gaps = np.stack([np.abs(column[row] - columns[0]) for column, row in zip(columns, rows)], 1)
    return np.stack(rows, 1)[(gaps <= 0.5 * period).all(1)]


def _runs(offsets: np.ndarray) -> Runs:
    changes = np.flatnonzero(np.diff(offsets)) + 1
    return [[int(frame), int(offsets[frame])] for frame in (0, *changes)]
