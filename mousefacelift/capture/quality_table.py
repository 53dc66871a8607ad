"""Quality over a recording: a table of every stored view, outliers flagged, and its plot.

Gathered from the chunks' indexes by `mousefacelift capture quality` into `quality.csv` and `quality.png`. The table is
held as one array a column, 100 bytes a view.
"""

from __future__ import annotations

import io
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mousefacelift.chunks import read_index
from mousefacelift.core.files import via, write_bytes
from mousefacelift.errors import DataError

# of `quality.measure_view` and `measure_sample`; none where the view shows nothing
MEASURES = (
    "center_offset",
    "area_share",
    "extent_share",
    "border_share",
    "blur",
    "exposure",
    "saturated",
    "hull_iou",
    "ray_agreement",
)
FLAGS = {  # column: (robust z beyond which a view is flagged, which side is bad)
    "blur": (-6.0, "unsharp"),
    "exposure": (8.0, "exposure unlike the rest of the recording"),
    "area_share": (8.0, "size unlike the rest of the recording"),
    "hull_iou": (-8.0, "silhouettes disagree"),
}
LONGEST = 2000  # points of a line that is drawn as it is; a longer one shows the extremes of so many stretches:
STRETCHES = 500  # about one a pixel


@dataclass(frozen=True)
class QualityTable:
    """rows: DataFrame, one row per frame and view and one per excluded frame (view -1); cuts: first frames after
    cuts."""

    recording: str
    fps: float
    rows: pd.DataFrame
    cuts: list[int]


class _Gatherer:
    """Rows of views, a growing array a column."""

    def __init__(self) -> None:
        self._numbers = {"frame": array("q"), "time_s": array("d"), "view": array("h"), "camera": array("h")}
        self._numbers |= {name: array("d") for name in MEASURES}
        self._cameras: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._numbers["frame"])

    def add(self, items: Sequence[Mapping[str, Any]], cameras: Sequence[str]) -> None:
        """The views of the items of a chunk."""
        columns = self._numbers
        for item in items:
            for view, measured in enumerate(item["quality"]):
                columns["frame"].append(item["frame"])
                columns["time_s"].append(item["time_s"])
                columns["view"].append(view)
                columns["camera"].append(self._cameras.setdefault(cameras[view], len(self._cameras)))
                for name in MEASURES:
                    value = measured.get(name)
                    columns[name].append(float("nan") if value is None else value)

    def columns(self, excluded: Mapping[int, str], fps: float) -> dict[str, np.ndarray]:
        """The columns by frame and view, cameras by name, and behind them a row for every excluded frame. May be asked
        once: no more views fit in."""
        count, frames = len(self), sorted(excluded)
        behind = {"frame": frames, "time_s": [frame / fps for frame in frames], "view": [-1] * len(frames)}
        for name, values in self._numbers.items():
            missing = float("nan") if values.typecode == "d" else -1
            values.extend(behind.get(name, [missing] * len(frames)))
        found = {name: np.frombuffer(values, values.typecode) for name, values in self._numbers.items()}
        order = np.lexsort([found["view"][:count], found["frame"][:count]])
        if (np.diff(order) != 1).any():  # chunks in another order than their frames
            order = np.concatenate([order, np.arange(count, count + len(frames))])
            found = {name: values[order] for name, values in found.items()}
        found["camera"] = np.array([*self._cameras, np.nan], object)[found["camera"]]
        reasons = np.full(count + len(frames), "", object)
        reasons[count:] = [excluded[frame] for frame in frames]
        return found | {"flag": flag_outliers(found), "excluded": reasons}


def quality_table(indexes: Sequence[str | Path]) -> QualityTable:
    """The table of a recording's chunks: every view, excluded frames with their reason, outliers flagged.

    Raises:
        DataError: no sample was written, or the chunks are of different recordings.
    """
    gathered, excluded, header = _Gatherer(), {}, None
    for index in indexes:
        document = read_index(index)
        if header and document["header"]["recording"] != header["recording"]:
            raise DataError(
                "chunks of different recordings cannot share a table",
                got=document["header"]["recording"],
                expected=header["recording"],
            )
        header = document["header"]
        excluded |= {int(frame): reason for frame, reason in header["excluded"].items()}
        gathered.add(document["items"], header["cameras"])
    if header is None or not len(gathered):
        raise DataError(
            "no sample was written in any of the chunks",
            where=", ".join(map(str, indexes)),
            likely="every frame was excluded: see track.json",
            hint="mousefacelift capture normalise",
        )
    rows = pd.DataFrame(gathered.columns(excluded, header["fps"]), copy=False)
    return QualityTable(header["recording"], header["fps"], rows, header["cuts"])


def flag_outliers(table: Mapping[str, Any]) -> np.ndarray:
    """Per row the reasons why it stands out from its own camera's other frames (robust z-scores), or ""; [n] of
    words."""
    views = np.asarray(table["view"])
    reasons: dict[int, list[str]] = {}
    for view in np.unique(views[views >= 0]):
        group = np.flatnonzero(views == view)
        for column, (limit, reason) in FLAGS.items():
            values = pd.Series(np.asarray(table[column], float)[group])
            middle = values.median()
            spread = max(1.4826 * (values - middle).abs().median(), 0.02 * abs(middle), 1e-6)
            z = (values - middle) / spread
            for position in group[z < limit if limit < 0 else z.abs() > limit]:
                reasons.setdefault(position, []).append(reason)
    for position in np.flatnonzero(np.asarray(table["border_share"], float) > 0):
        reasons.setdefault(position, []).append("clipped")
    flags = np.full(len(views), "", object)
    for position, found in reasons.items():
        flags[position] = "; ".join(found)
    return flags


def summary(table: QualityTable) -> dict:
    """Numbers over a recording for people: medians, worst cases and counts."""
    chosen = table.rows["view"] >= 0
    views = {name: table.rows[name][chosen] for name in ("frame", "flag", "hull_iou", "border_share", "area_share")}
    sizes = np.sqrt(views["area_share"]).groupby(views["frame"]).agg(["mean", "std"])
    return {
        "frames": int(views["frame"].nunique()),
        "excluded": int((~chosen).sum()),
        "flagged": int((views["flag"] != "").sum()),
        "hull_iou_mean": float(views["hull_iou"].mean()),
        "ray_agreement_mean": float(table.rows["ray_agreement"][chosen].mean()),
        "clipped": int((views["border_share"] > 0).sum()),
        "center_offset_px": float(table.rows["center_offset"][chosen].median()),
        "size_variation": float((sizes["std"] / sizes["mean"]).median()),
    }


def write_quality(table: QualityTable, path: str | Path) -> dict:
    """Write the CSV and, beside it, the plot; returns the summary."""
    with via(path, "table") as temporary:
        table.rows.to_csv(temporary, index=False)
    write_bytes(Path(path).with_suffix(".png"), _plot(table))
    return summary(table)


def _plot(table: QualityTable) -> bytes:
    from matplotlib.figure import Figure

    rows = table.rows
    cameras, times, flagged = (rows[name].to_numpy() for name in ("camera", "time_s", "flag"))
    view = rows["view"].to_numpy()
    flagged, excluded = np.flatnonzero((view >= 0) & (flagged != "")), times[view < 0]
    columns = (
        ("hull_iou", "hull IoU"),
        ("ray_agreement", "ray agreement"),
        ("center_offset", "centre offset (px)"),
        ("area_share", "area (share)"),
        ("blur", "sharpness"),
        ("exposure", "exposure"),
    )
    figure = Figure(figsize=(11, 9), layout="constrained")
    places = {name: np.flatnonzero(cameras == name) for name in sorted(set(cameras[view >= 0]))}
    for axis, (column, label) in zip(figure.subplots(3, 2, sharex=True).ravel(), columns):
        values = rows[column].to_numpy()
        for name, own in places.items():
            drawn = own[extremes(values[own])]
            axis.plot(times[drawn], values[drawn], lw=0.9, marker=".", ms=3, label=name)
        axis.plot(times[flagged], values[flagged], "rx", ms=6)
        whole = axis.get_xaxis_transform()
        axis.vlines(excluded, 0, 1, color="0.8", lw=1, zorder=0, transform=whole)
        axis.vlines(np.array(table.cuts) / table.fps, 0, 1, color="k", lw=1, ls=":", transform=whole)
        axis.set_ylabel(label)
        axis.set_xlabel("time (s)")
    figure.axes[0].legend(fontsize=7, ncols=3)
    frames = len(np.unique(rows["frame"].to_numpy()[view >= 0]))
    figure.suptitle(f"{table.recording}: {frames} frames, {len(excluded)} excluded (grey), cuts dotted")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=90)
    return stream.getvalue()


def extremes(values: np.ndarray) -> np.ndarray:
    """Positions of values [n] that a line is drawn through, rising: all of up to LONGEST, else the least and the
    greatest of each of STRETCHES stretches."""
    if len(values) <= LONGEST:
        return np.arange(len(values))
    length = -(-len(values) // STRETCHES)
    padded = np.full(-(-len(values) // length) * length, np.nan)
    padded[: len(values)] = values
    stretches, known = padded.reshape(-1, length), ~np.isnan(padded).reshape(-1, length)
    least = np.where(known, stretches, np.inf).argmin(1)
    greatest = np.where(known, stretches, -np.inf).argmax(1)
    starts = np.arange(len(stretches)) * length
    return np.unique(np.concatenate([starts + least, starts + greatest]))
