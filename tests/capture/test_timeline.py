"""Frames are brought in step by what a CSV says of them: counters, times, lost frames, late starts."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from mousefacelift.capture.timeline import compose, offset_at, read_offsets
from mousefacelift.errors import DataError


def write(folder, columns, head):
    paths = []
    for index, column in enumerate(columns):
        path = folder / f"{index}.csv"
        rows = [",".join(map(repr, map(float, row))) for row in np.column_stack(np.atleast_2d(column))]
        path.write_text("\n".join(([head] if head else []) + rows) + "\n")
        paths.append(str(path))
    return paths


def file_frames(offsets, frames):
    return np.array([[frame + offset_at(runs, frame) for runs in offsets] for frame in range(frames)])


def test_a_late_camera_and_a_lost_frame_are_seen_in_the_counters(tmp_path):
    counters = [np.arange(40), np.arange(12, 40), np.delete(np.arange(40), 20)]
    offsets, frames = read_offsets(write(tmp_path, counters, "frame_id"), [40, 28, 39], "abc")
    rows = file_frames(offsets, frames)
    seen = np.stack([counter[rows[:, v]] for v, counter in enumerate(counters)], 1)
    assert frames == 27 and (seen == seen[:, :1]).all() and 20 not in seen and seen[0, 0] == 12


def test_minutes_apart_by_time_stamps_with_jitter(tmp_path):
    rng = np.random.default_rng(0)
    clocks = [start + np.arange(n) / 100 + rng.normal(0, 5e-4, n) for start, n in ((5000.0, 9000), (5060.0, 3200))]
    offsets, frames = read_offsets(write(tmp_path, clocks, "timestamp"), [9000, 3200], "ab")
    rows = file_frames(offsets, frames)
    assert frames in range(2990, 3001)
    assert np.abs(clocks[0][rows[:, 0]] - clocks[1][rows[:, 1]]).max() < 0.005


def test_a_counter_of_rows_says_nothing_where_there_are_times(tmp_path):
    columns = [np.stack([np.arange(20), 10 + np.arange(20) / 10]), np.stack([np.arange(20), 10.5 + np.arange(20) / 10])]
    offsets, frames = read_offsets(write(tmp_path, columns, "frame,time_s"), [20, 20], "ab")
    assert frames == 15 and offsets == [[[0, 5]], [[0, 0]]]


@pytest.mark.parametrize("head", ["", "Timestamp", "Item1"])
def test_dates_are_times(tmp_path, head):
    """As Bonsai writes them; camera b started 0.3 s later."""
    begin, paths = datetime.fromisoformat("2026-05-01T12:00:59+02:00"), []
    for name, late in (("a", 0), ("b", 3)):
        rows = [(begin + timedelta(seconds=(t + late) / 10)).isoformat(timespec="microseconds") for t in range(20)]
        (tmp_path / f"{name}.csv").write_text("\n".join(([head] if head else []) + rows) + "\n")
        paths.append(str(tmp_path / f"{name}.csv"))
    offsets, frames = read_offsets(paths, [20, 20], "ab")
    assert frames == 17 and offsets == [[[0, 3]], [[0, 0]]]


def test_times_count_where_only_one_camera_lost_a_frame(tmp_path):
    """Its counter has a gap, those of the others say nothing: the times that all have do."""
    clock = np.arange(30) / 10 + 5
    columns = [np.stack([np.arange(30), clock]), np.delete(np.stack([np.arange(30), clock]), 12, axis=1)]
    offsets, frames = read_offsets(write(tmp_path, columns, "frame,time_s"), [30, 29], "ab")
    assert frames == 29 and offsets == [[[0, 0], [12, 1]], [[0, 0]]]


def test_lists_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(DataError, match="not one per frame"):
        read_offsets(write(tmp_path, [np.arange(5)], ""), [6], "a")
    with pytest.raises(DataError, match="no frame was filmed"):
        read_offsets(write(tmp_path, [np.arange(5), np.arange(10, 15)], ""), [5, 5], "ab")
    (tmp_path / "0.csv").write_text("word\nmouse\n")
    with pytest.raises(DataError, match="rising"):
        read_offsets([str(tmp_path / "0.csv")], [1], "a")


def test_runs_compose():
    outer, inner = [[0, 1], [10, 2]], [[0, 3], [8, 5]]
    both = compose(outer, inner)
    for frame in range(30):
        middle = frame + offset_at(outer, frame)
        assert frame + offset_at(both, frame) == middle + offset_at(inner, middle)
