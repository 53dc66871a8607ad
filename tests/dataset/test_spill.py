"""View rows that lie in a file while a manifest is built: the same tables, however few rows are read at a time."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pyarrow.parquet as pq
import pytest

from mousefacelift.dataset import build, spill
from mousefacelift.dataset.build import build_dataset
from mousefacelift.dataset.manifest import VIEWS_FILE, Manifest
from mousefacelift.dataset.rows import scan_index
from mousefacelift.dataset.schema import VIEWS
from mousefacelift.dataset.spill import ROW, WORDS, ViewSpill
from tests.dataset.conftest import QUICK


@pytest.fixture(scope="module")
def scans(toy_chunks):
    return [scan_index(index, QUICK.gate) for index in toy_chunks[0]]


def test_rows_come_back_in_any_order_with_words_by_code(scans, tmp_path):
    views, rows = ViewSpill(tmp_path), []
    for scan in scans:
        first = rows[-1]["sample"] + 1 if rows else 0
        views.add(scan.views, first)
        rows += [row | {"sample": row["sample"] + first} for row in scan.views]
    places = np.random.default_rng(0).permutation(len(rows))[:50]
    found = views.columns(ROW.names, places)
    for name, column in found.items():
        expected = [rows[place][name] for place in places]
        if name in WORDS:
            assert views.words(name)[column].tolist() == expected
        elif name == "hash":
            assert [digest.tobytes() for digest in column] == expected
        else:
            np.testing.assert_array_equal(column, np.array(expected, ROW[name]))
    views.close()


def test_rows_in_the_file_take_no_memory(scans, tmp_path):
    views, rows = ViewSpill(tmp_path), scans[0].views
    views.add(rows, 0)
    tracemalloc.start()
    try:
        for turn in range(1, 100):
            views.add(rows, turn * len(rows))
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    views.close()
    assert len(views) == 100 * len(rows) and held < len(views) and peak < 30 * len(views)  # a row has 240 bytes


def test_the_manifest_is_the_same_byte_for_byte_however_few_rows_are_read_at_a_time(toy_chunks, tmp_path, monkeypatch):
    indexes, splits = toy_chunks
    build_dataset(indexes, splits, tmp_path / "a", QUICK)
    monkeypatch.setattr(spill, "STRETCH", 7)
    build_dataset(indexes, splits, tmp_path / "b", QUICK)
    for name in ("dataset.json", "samples.parquet", "views.parquet"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_row_groups_share_their_words_in_the_order_of_first_use(toy_chunks, tmp_path, monkeypatch):
    """A group that does not use the first words still lists them: what a table that is written at once would do."""
    indexes, splits = toy_chunks
    build_dataset(indexes, splits, tmp_path / "a", QUICK)
    whole = pq.read_table(tmp_path / "a" / VIEWS_FILE)
    monkeypatch.setattr(build, "ROW_GROUP", 50)
    build_dataset(indexes, splits, tmp_path / "b", QUICK)
    file = pq.ParquetFile(tmp_path / "b" / VIEWS_FILE)
    assert file.num_row_groups == -(-len(whole) // 50) and file.read().equals(whole.cast(VIEWS))
    sources = [file.read_row_group(g)["source"].combine_chunks().dictionary.to_pylist() for g in (0, 4)]
    assert sources == [["distilled", "real", "object"]] * 2
    assert Manifest.open(tmp_path / "b").header == Manifest.open(tmp_path / "a").header
