"""The tables of a training run: metrics.csv and validation.csv, cut back to the checkpoint when a run is resumed."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from mousefacelift.core.files import write_text
from mousefacelift.errors import DataError


class RunTable:
    """A CSV file with one row per logged step, appended as the run goes.

    Args:
        path: the file; rows of steps after `start_step` (made after the checkpoint that a run resumes from) are
            dropped.
    """

    def __init__(self, path: Path, start_step: int):
        self.path = Path(path)
        self.rows: list[dict] = []
        if self.path.is_file():
            with open(self.path, newline="") as stream:
                self.rows = [row for row in csv.DictReader(stream) if _is_whole(row) and int(row["step"]) <= start_step]
        if self.rows or self.path.is_file():
            self._rewrite()

    def add(self, row: dict) -> None:
        """Append a row, which has a `step`. A column that is new makes the whole file be written again."""
        row = {key: f"{value:.6g}" if isinstance(value, float) else str(value) for key, value in row.items()}
        known = bool(self.rows) and set(row) <= set(self.rows[0])
        self.rows.append(row)
        if not known:
            return self._rewrite()
        try:
            with open(self.path, "a", newline="") as stream:
                csv.DictWriter(stream, list(self.rows[0])).writerow(row)
        except OSError as error:
            raise DataError(
                f"table {self.path} cannot be written",
                got=str(error),
                likely="a full disk",
                hint="free space and rerun: training goes on from the last checkpoint",
            ) from error

    def column(self, name: str) -> list[float]:
        """Numbers of a column, NaN where a row lacks it."""
        return [float(row[name]) if row.get(name) else float("nan") for row in self.rows]

    def _rewrite(self) -> None:
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        self.rows = [{name: row.get(name, "") for name in names} for row in self.rows]
        text = io.StringIO()
        writer = csv.DictWriter(text, names)
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())


def _is_whole(row: dict) -> bool:
    """Whether a row has all its columns: the last one may be cut short when the process was killed or the disk was
    full."""
    return None not in row and None not in row.values() and row.get("step", "").isdigit()
