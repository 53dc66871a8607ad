"""The embedding of a recording as files: a table, a file that `movement` and xarray read, and NWB where pynwb is there.

    mousefacelift embed table results/embed/mouse1/chunks/*/index.json --recording mouse1
        --splits results/dataset/splits.json --out results/embed/mouse1

Writes

    embedding.parquet   one row per (frame, camera), camera -1 for all: frame, time_s, heading, x, y, z, e00 ... e63,
                        and v00 ... v15, the same without what cameras disagree about (`embed.metric`)
    embedding.csv       the rows of camera -1
    embedding.nc        NetCDF 3 in the layout of `movement`'s pose datasets, with the vectors beside the position
    embedding.nwb       with --nwb
    quality.json        share of triples in which the own moment is nearer
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mousefacelift.chunks import read_index
from mousefacelift.core.files import json_text, nulls_as_nan, via, write_text
from mousefacelift.core.splits import Splits
from mousefacelift.embed.chunk import ALL_CAMERAS
from mousefacelift.embed.metric import FEWEST, learn_metric
from mousefacelift.embed.movement_file import write_movement
from mousefacelift.embed.nwb_file import write_nwb
from mousefacelift.embed.triples import standardise, triple_share
from mousefacelift.errors import DataError

APART_S = 1.0  # moments nearer in time are left out of the stricter of the two shares


def write_embedding(
    indexes: list[Path], recording: str, out: Path, splits: Path | None = None, nwb: bool = False
) -> dict:
    """Write every file of a recording's embedding into `out`; returns the content of quality.json.

    Args:
        splits: splits.json; without it the first half of the frames is what the metric learns from.
    Raises:
        DataError: no vectors, or vectors of several models.
    """
    table = read_vectors(indexes)
    models = sorted(table["model"].unique())
    if len(models) > 1:
        raise DataError("vectors of several models are in one embedding", got=", ".join(models), expected="one model")
    is_train = training_rows(table, recording, splits)
    table = add_invariant(table, is_train)
    whole = join_cameras(table)
    quality = {"model": models[0], "frames": len(whole), "views": len(table)} | measure(table, ~is_train)
    out.mkdir(parents=True, exist_ok=True)
    everything = pd.concat([table, whole]).drop_duplicates(["frame", "camera"]).sort_values(["frame", "camera"])
    with via(out / "embedding.parquet") as path:
        everything.to_parquet(path, index=False)
    write_text(out / "embedding.csv", whole.drop(columns=["camera", "model"]).to_csv(index=False))
    write_movement(out / "embedding.nc", whole, recording)
    if nwb:
        write_nwb(out / "embedding.nwb", whole, recording)
    write_text(out / "quality.json", json_text(quality, indent=1))
    return quality


def training_rows(table: pd.DataFrame, recording: str, splits: Path | None) -> np.ndarray:
    """Bool [N]: rows of frames that the metric may learn from."""
    if splits is None:
        return (table["frame"] < table["frame"].median()).to_numpy()
    known = Splits.read(splits)
    return np.array([known.of(recording, int(frame)) == "train" for frame in table["frame"]])


def add_invariant(table: pd.DataFrame, is_train: np.ndarray) -> pd.DataFrame:
    """The table with columns v00 ..., where several cameras saw enough training moments to learn them from."""
    vectors, frames = table[vector_columns(table)].to_numpy(), table["frame"].to_numpy()
    counts = np.unique(frames[is_train], return_counts=True)[1]
    if len(counts) < FEWEST or counts.max() < 2:
        return table
    values = learn_metric(vectors[is_train], frames[is_train]).apply(vectors)
    return table.assign(**{f"v{k:02d}": column for k, column in enumerate(values.T)})


def read_vectors(indexes: list[Path]) -> pd.DataFrame:
    """One row per view: frame, time_s, camera, model, heading, x, y, z, e00 ..."""
    tables = []
    for index in sorted(indexes):
        rows = []  # of one chunk: as Python objects those of a long recording would take ten times as much
        for item in read_index(index)["items"]:
            for view in item["views"]:
                numbers = {f"e{k:02d}": value for k, value in enumerate(view["vector"])}
                place = dict(zip("xyz", view["center"]))
                about = {
                    "frame": item["frame"],
                    "time_s": nulls_as_nan(item["time_s"]),
                    "camera": view["camera"],
                    "model": item["model"],
                }
                rows.append(about | {"heading": nulls_as_nan(view["heading"])} | place | numbers)
        tables += [pd.DataFrame(rows)] if rows else []
    if not tables:
        raise DataError(
            "there are no vectors to write", got=f"{len(indexes)} chunks", hint="mousefacelift embed frames"
        )
    return pd.concat(tables).sort_values(["frame", "camera"], ignore_index=True)


def vector_columns(table: pd.DataFrame, letter: str = "e") -> list[str]:
    """Names of the columns of the vector, or of its invariant part (`v`)."""
    return [name for name in table.columns if name[0] == letter and name[1:].isdigit()]


def join_cameras(table: pd.DataFrame) -> pd.DataFrame:
    """One row per frame, camera -1: means over its cameras, of the heading the mean direction."""
    groups = table.groupby("frame", sort=True)
    numbers = groups[["x", "y", "z", *vector_columns(table), *vector_columns(table, "v")]].mean()
    angle = np.radians(table["heading"])
    parts = [values.groupby(table["frame"]).mean() for values in (np.sin(angle), np.cos(angle))]
    numbers.insert(0, "heading", np.degrees(np.arctan2(*parts)) % 360)
    numbers.insert(0, "time_s", groups["time_s"].first())
    numbers.insert(0, "model", table["model"].iat[0])
    numbers.insert(0, "camera", ALL_CAMERAS)
    return numbers.reset_index()


def measure(table: pd.DataFrame, judged: np.ndarray) -> dict:
    """Share of triples over the judged rows, of the vectors as they are and of their invariant part: against all other
    moments, and against moments at least APART_S apart; null for a single camera."""
    rows = table[judged]
    names = {"vectors": vector_columns(table), "invariant": vector_columns(table, "v")}
    if not len(rows) or rows.groupby("frame").size().max() < 2:
        return dict.fromkeys(names)
    order = rows["frame"].rank(method="dense").astype(int).to_numpy()
    times = rows.groupby(order)["time_s"].first().to_numpy()
    step = float(np.median(np.diff(times))) if len(times) > 1 else float("nan")
    apart = int(np.ceil(APART_S / step)) if np.isfinite(step) and step > 0 else 1
    found: dict = {"judged_frames": len(times)}
    for name, columns in names.items():
        if columns:
            values = rows[columns].to_numpy() if name == "invariant" else standardise(rows[columns].to_numpy())
            found[name] = {"all": triple_share(values, order), "apart": triple_share(values, order, apart)}
    return {**dict.fromkeys(names), **found}
