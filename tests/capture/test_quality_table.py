"""The table of a recording's quality: rows in time order however chunks come, typed columns, a plot of extremes."""

import json
import tracemalloc

import numpy as np
import pytest

from mousefacelift.capture.quality_table import LONGEST, MEASURES, STRETCHES, extremes, quality_table, write_quality
from mousefacelift.errors import DataError

CAMERAS = ["left", "top, far"]


def write_chunk(folder, frames, excluded=(), recording="m", fps=10.0):
    items = [
        {
            "name": f"{frame:06d}",
            "frame": frame,
            "time_s": frame / fps,
            "quality": [
                {
                    name: None if name == "blur" and view else 0.25 * number + frame
                    for number, name in enumerate(MEASURES)
                }
                for view in range(2)
            ],
        }
        for frame in frames
    ]
    header = {"recording": recording, "fps": fps, "cameras": CAMERAS, "cuts": [4]}
    header["excluded"] = {str(frame): f"reason {frame}" for frame in excluded}
    folder.mkdir()
    (folder / "index.json").write_text(json.dumps({"key": "k", "header": header, "items": items}))
    return folder / "index.json"


def test_rows_are_by_frame_and_view_with_excluded_frames_behind_them(tmp_path):
    chunks = [write_chunk(tmp_path / "b", [4, 6], [5]), write_chunk(tmp_path / "a", [0, 2], [3, 1])]
    table = quality_table(chunks)
    numbers = write_quality(table, tmp_path / "quality.csv")
    lines = (tmp_path / "quality.csv").read_text().splitlines()
    assert lines[0] == f"frame,time_s,view,camera,{','.join(MEASURES)},flag,excluded"
    assert lines[1] == "0,0.0,0,left,0.0,0.25,0.5,0.75,1.0,1.25,1.5,1.75,2.0,clipped,"
    assert lines[4] == '2,0.2,1,"top, far",2.0,2.25,2.5,2.75,,3.25,3.5,3.75,4.0,clipped,'
    assert [line.split(",")[0] for line in lines[1:]] == list("00224466135")
    assert lines[-1] == f"5,0.5,-1{',' * (len(MEASURES) + 3)}reason 5"
    assert numbers["frames"] == 4 and numbers["excluded"] == 3 and table.cuts == [4]


def test_chunks_of_two_recordings_and_chunks_without_samples_are_refused(tmp_path):
    chunks = [write_chunk(tmp_path / "a", [0]), write_chunk(tmp_path / "b", [1], recording="n")]
    with pytest.raises(DataError, match="different recordings"):
        quality_table(chunks)
    with pytest.raises(DataError, match="no sample was written"):
        quality_table([write_chunk(tmp_path / "c", [], [0])])


def test_a_view_takes_a_hundred_bytes_and_some(tmp_path):
    chunks = [write_chunk(tmp_path / f"{n}", range(32 * n, 32 * n + 32)) for n in range(100)]
    quality_table(chunks[:1])
    tracemalloc.start()
    try:
        table = quality_table(chunks)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 130 * len(table.rows) and peak < 450 * len(table.rows)  # tables of chunks, joined: 836


def test_a_long_line_is_drawn_through_its_extremes_and_keeps_its_gaps():
    values = np.random.default_rng(0).random(10 * LONGEST + 7)
    values[:400] = np.nan
    values[777], values[-1] = 9.0, -9.0
    kept = extremes(values)
    assert len(kept) <= 2 * STRETCHES and (np.diff(kept) > 0).all() and {777, len(values) - 1} <= set(kept)
    assert np.isnan(values[kept]).sum() == 400 // -(-len(values) // STRETCHES)
    assert len(extremes(values[:LONGEST])) == LONGEST
