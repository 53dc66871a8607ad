"""A part of a table of metrics is what reading the whole and choosing gives."""

import numpy as np
import pandas as pd
import pytest

from mousefacelift.check import metric_rows
from mousefacelift.check.metric_rows import read_rows
from mousefacelift.errors import DataError


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    words = {name: rng.choice(["zebra", "ant", "mouse"], 500) for name in ("method", "recording")}
    table = pd.DataFrame(
        words | {"frame": np.arange(500) // 2, "is_input": rng.random(500) < 0.3, "iou": rng.random(500)}
    )
    table.to_parquet(tmp_path / "metrics.parquet", row_group_size=70)
    return table, tmp_path / "metrics.parquet"


def test_the_wanted_rows_and_columns_are_read_in_their_order_whatever_the_stretch(table, monkeypatch):
    whole, path = table
    monkeypatch.setattr(metric_rows, "STRETCH", 33)
    found = read_rows(path, ("iou", "method"), lambda rows: (rows["method"] == "ant") & (rows["iou"] > 0.5))
    expected = whole[(whole["method"] == "ant") & (whole["iou"] > 0.5)]
    assert list(found.columns) == ["iou", "method"] and (found["iou"].to_numpy() == expected["iou"].to_numpy()).all()
    assert found["method"].astype(str).tolist() == expected["method"].tolist()


def test_words_sort_as_they_are_read(table):
    whole, path = table
    found = read_rows(path, ("recording", "iou"), lambda rows: rows["iou"] >= 0)
    means = found.groupby("recording", observed=True)["iou"].mean()
    assert [*means.items()] == [*whole.groupby("recording")["iou"].mean().items()]


def test_a_table_with_no_wanted_row_is_empty_and_one_without_a_column_is_named(table):
    _, path = table
    assert len(read_rows(path, ("method", "iou"), lambda rows: rows["iou"] > 2)) == 0
    with pytest.raises(DataError, match="column 'angle' is missing"):
        read_rows(path, ("method", "angle"), lambda rows: rows["method"] == "ant")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="metrics.parquet cannot be read"):
        read_rows(path, ("method",), lambda rows: rows["method"] == "ant")
