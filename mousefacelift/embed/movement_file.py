"""The embedding as NetCDF 3, written with scipy alone, read by xarray and so by `movement`.

The layout is that of `movement`'s pose datasets: position (time, space, keypoints, individuals) of one keypoint, the
body's centre, its confidence, and beside them the vectors (time, individuals, feature), their invariant part (time,
individuals, component) where there is one, and the heading (time, individuals). `xarray.open_dataset("embedding.nc")`
gives it back; `movement` computes on `position` as on any track.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import netcdf_file

from mousefacelift.core.files import via

KEYPOINT = "centroid"


def write_movement(path: Path, whole: pd.DataFrame, recording: str) -> None:
    """Write the table of one recording (one row per frame, see `embed.table`)."""
    columns, invariant = (
        [name for name in whole.columns if name[0] == letter and name[1:].isdigit()] for letter in "ev"
    )
    seconds = bool(whole["time_s"].notna().all())
    times = whole["time_s" if seconds else "frame"].to_numpy(np.float64)
    count = len(whole)
    with via(path, "embedding") as temporary:
        with netcdf_file(str(temporary), "w", version=2) as file:
            file.createDimension("time", count)
            for name, labels in (
                ("space", ["x", "y", "z"]),
                ("keypoints", [KEYPOINT]),
                ("individuals", [recording]),
                ("feature", columns),
                *([("component", invariant)] if invariant else []),
            ):
                _write_labels(file, name, labels)
            _write(file, "time", ("time",), times)
            _write(file, "frame", ("time",), whole["frame"].to_numpy(np.int32))
            place = whole[["x", "y", "z"]].to_numpy(np.float64).reshape(count, 3, 1, 1)
            _write(file, "position", ("time", "space", "keypoints", "individuals"), place)
            _write(file, "confidence", ("time", "keypoints", "individuals"), np.full((count, 1, 1), np.nan))
            vectors = whole[columns].to_numpy(np.float64)[:, None]
            _write(file, "embedding", ("time", "individuals", "feature"), vectors)
            if invariant:
                values = whole[invariant].to_numpy(np.float64)[:, None]
                _write(file, "invariant", ("time", "individuals", "component"), values)
            _write(file, "heading", ("time", "individuals"), whole["heading"].to_numpy(np.float64)[:, None])
            for name, value in _attributes(whole, times, seconds).items():
                setattr(file, name, value)


def _attributes(whole: pd.DataFrame, times: np.ndarray, seconds: bool) -> dict:
    facts = {
        "ds_type": b"poses",
        "source_software": b"mousefacelift",
        "model": str(whole["model"].iat[0]).encode(),
        "time_unit": b"seconds" if seconds else b"frames",
    }
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    return facts | ({"fps": 1 / step} if seconds and step > 0 else {})


def _write(file: netcdf_file, name: str, dimensions: tuple[str, ...], values: np.ndarray) -> None:
    file.createVariable(name, values.dtype.newbyteorder(">"), dimensions)[:] = values


def _write_labels(file: netcdf_file, name: str, labels: list[str]) -> None:
    """A coordinate of texts: bytes of equal length, which xarray decodes as UTF-8."""
    encoded = [label.encode() for label in labels]
    width = max(map(len, encoded))
    file.createDimension(name, len(labels))
    file.createDimension(f"{name}_letters", width)
    variable = file.createVariable(name, "S1", (name, f"{name}_letters"))
    variable[:] = np.array([list(e.ljust(width, b"\0")) for e in encoded], np.uint8).view("S1")
    variable._Encoding = b"utf-8"
