"""Tables over runs and arms: nothing is averaged that should not be, and every run keeps its row."""

import csv
import json

import pytest

from mousefacelift.check.table import SHOWN, compare_arms, compare_runs
from mousefacelift.errors import DataError


def write_summary(folder, arm, seed, psnr, findings=()):
    """The part of a summary.json that the tables read."""
    numbers = {
        name: {"mean": psnr, "low": psnr - 1, "high": psnr + 1, "worst": psnr - 2, "n": 5, "n_eff": 4.0}
        for name in SHOWN
    }
    entry = {
        "held_out": {"model": numbers, "white": {name: {**n, "mean": 0.0} for name, n in numbers.items()}},
        "collapse": {"judged": True, "findings": list(findings)},
    }
    folder.mkdir()
    (folder / "summary.json").write_text(
        json.dumps({"arm": arm, "predictions": {"seed": seed}, "protocols": {"A": entry}})
    )
    return folder / "summary.json"


def test_every_run_keeps_its_row_and_an_arm_is_the_mean_and_spread_of_its_models(tmp_path):
    paths = [
        write_summary(tmp_path / "a", "80-20", 0, 10.0),
        write_summary(tmp_path / "b", "80-20", 1, 13.0, ["mean_image"]),
        write_summary(tmp_path / "c", "real-only", 0, 7.0),
    ]
    rows = compare_runs(paths, tmp_path / "runs.csv")
    assert [(r["arm"], r["seed"], r["method"], r["fg_psnr"], r["collapse"]) for r in rows] == [
        ("80-20", 0, "model", 10.0, ""),
        ("80-20", 0, "white", 0.0, ""),
        ("80-20", 1, "model", 13.0, "mean_image"),
        ("80-20", 1, "white", 0.0, ""),
        ("real-only", 0, "model", 7.0, ""),
        ("real-only", 0, "white", 0.0, ""),
    ]
    compare_arms(rows, tmp_path / "arms.csv")
    mixed, real = csv.DictReader(open(tmp_path / "arms.csv"))
    assert (mixed["arm"], mixed["seeds"], float(mixed["fg_psnr"]), mixed["collapsed_runs"]) == ("80-20", "2", 11.5, "1")
    assert float(mixed["fg_psnr_sd"]) == pytest.approx(3 / 2**0.5)
    assert (real["seeds"], real["fg_psnr_sd"]) == ("1", "")  # one run says nothing about the spread


def test_a_missing_evaluation_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere.*cannot be read"):
        compare_runs([tmp_path / "nowhere.json"], tmp_path / "runs.csv")
