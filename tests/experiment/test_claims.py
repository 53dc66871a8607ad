"""Every claim of docs/experiment.md names a row of a table, and the number beside it is the one that stands there."""

import hashlib
import re

import pandas as pd
import pytest

from tests.rules import ROOT

FOLDER = ROOT / "docs" / "experiment"
NUMBER = r"(-?[\d.]+)"
CLAIM = re.compile(
    rf"^\| (C\d+) \| (.+?) \| `([\w/.]+)` \| `(.+?)` \| `(\w+)` \| {NUMBER}(?: \[{NUMBER}, {NUMBER}\])? \|$", re.M
)
CLAIMS = CLAIM.findall((ROOT / "docs" / "experiment.md").read_text())


def test_there_are_claims_and_each_has_its_own_number():
    assert len(CLAIMS) >= 10
    assert len({claim[0] for claim in CLAIMS}) == len(CLAIMS)
    lines = [line for line in (ROOT / "docs" / "experiment.md").read_text().splitlines() if line.startswith("| C")]
    assert len(lines) == len(CLAIMS) + len([line for line in lines if line.startswith("| Claim")])


@pytest.mark.parametrize("claim", CLAIMS, ids=[claim[0] for claim in CLAIMS])
def test_a_claim_is_the_number_of_its_row(claim):
    """A number, or a mean with its interval: `low` and `high` of a pair, `NAME_low` and `NAME_high` of a condition."""
    _, _, table, row, column, *values = claim
    rows = pd.read_csv(FOLDER / table).query(row)
    assert len(rows) == 1, f"{row} names {len(rows)} rows of {table}"
    before = "" if column == "mean" else f"{column}_"
    for name, value in zip((column, f"{before}low", f"{before}high"), values, strict=True):
        if value:
            digits = len(value.partition(".")[2])
            assert f"{rows[name].iloc[0]:.{digits}f}" == value, name


def test_tables_are_those_whose_hashes_are_kept():
    listed = dict(line.split("  ")[::-1] for line in (FOLDER / "SHA256SUMS").read_text().splitlines())
    found = {str(path.relative_to(FOLDER)): path for path in sorted(FOLDER.glob("*/*.csv"))}
    assert set(listed) == set(found) and found
    for name, path in found.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == listed[name], name


def test_at_least_sixty_cells_on_at_least_five_animals_stand_in_the_tables():
    cells = pd.concat(pd.read_csv(path) for path in FOLDER.glob("*/cells.csv")).drop_duplicates("key")
    assert len(cells) >= 60
    core = pd.read_csv(FOLDER / "core" / "cells.csv")
    assert core["animal"].nunique() >= 5 and core.groupby(["constraint", "cameras", "data"]).size().min() >= 5
