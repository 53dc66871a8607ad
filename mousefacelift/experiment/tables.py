"""Tables of an experiment: a row per cell, per condition, and per pair of conditions that differ in one factor.

    mousefacelift experiment tables --experiment FILE --cells CELLS --bed BED --out DIR/cells.csv

Animals are the units: an interval between conditions is that of the paired differences of animals (Student's t). Inside
an animal, frames are resampled in blocks. n counts frames, n_eff what they are worth by their autocorrelation.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from mousefacelift.check.collapse import loss_jump
from mousefacelift.check.statistics import block_interval, effective_count, holm, paired_effect, student_interval
from mousefacelift.core.files import read_json, write_text
from mousefacelift.errors import DataError
from mousefacelift.experiment.bed import Bed
from mousefacelift.experiment.config import Cell
from mousefacelift.experiment.rungs import rungs_table

FACTORS = tuple(f.name for f in fields(Cell) if f.name != "animal")
PHOTO_METRICS = ("fg_psnr", "full_psnr", "iou", "coverage", "gain_over_mean")
TRUTH_METRICS = (
    *("chamfer", "f1", "volume_iou", "normal_error", "around_fg_psnr", "around_iou", "worst_elevation_fg_psnr"),
    *("worst_elevation", "depth_warp", "depth_warp_share", "containment_worst", "floaters", "outside_share"),
    *("effective_rank", "anisotropy_p95", "needle_share", "alive"),
)
JUDGED = (
    *("C_told_fg_psnr", "C_told_iou", "C_told_gain_over_mean", "C_exact_fg_psnr", "A_told_fg_psnr", "around_fg_psnr"),
    *("around_iou", "f1", "chamfer", "volume_iou", "normal_error", "worst_elevation_fg_psnr", "effective_rank"),
)
RUNGS = ("C_mean_image_fg_psnr", "C_white_fg_psnr")
COLLAPSES = ("black_out", "white_out", "overfilled", "mean_image", "half_mean", "view_copy", "wrong_frame", "no_skill")
RESAMPLES = 2000


def write_tables(cells: list[Cell], folder: Path, beds: dict[int, Bed], out: Path) -> dict[str, pd.DataFrame]:
    """Write cells.csv, levels.csv, pairs.csv, curves.csv and rungs.csv of the finished cells, and return them by name.

    Raises:
        DataError: not one of the cells is finished.
    """
    found = [cell for cell in cells if (folder / cell.name / "cell.json").is_file()]
    if not found:
        raise DataError("no cell of the experiment is finished", where=str(folder), hint="snakemake experiment")
    rows = pd.DataFrame([cell_row(cell, folder / cell.name) for cell in found])
    tables = {
        "levels": levels_table(rows),
        "pairs": pairs_table(rows),
        "curves": curves_table(found, folder),
        "rungs": rungs_table(found, beds, next(iter(beds.values())).photos.rgba.shape[-2]),
        "cells": rows,  # last: the file that the workflow waits for
    }
    for name, table in tables.items():
        write_text(out / f"{name}.csv", table.to_csv(index=False, float_format="%.5g"))
    return tables


def cell_row(cell: Cell, folder: Path) -> dict:
    """Everything about one cell in one row; the hash is that of its judged frames."""
    facts = read_json(folder / "cell.json")
    photos, truth, curve = (pd.read_csv(folder / f"{name}.csv") for name in ("photos", "truth", "curve"))
    row = asdict(cell) | {"steps": facts["steps"], "seconds": facts["seconds"]["all"]}
    row |= {"skipped_steps": facts["trained"]["skipped"]}
    for (asked, protocol), group in photos.groupby(["asked", "protocol"]):
        series = group.sort_values("frame")
        row |= {f"{protocol}_{asked}_{name}": series[name].mean() for name in PHOTO_METRICS}
        if (asked, protocol) == ("told", "C"):
            low, high = block_interval(series["fg_psnr"].to_numpy(), RESAMPLES, seed=cell.animal)
            row |= {"n": len(series), "n_eff": effective_count(series["fg_psnr"].to_numpy())}
            row |= {"C_told_fg_psnr_low": low, "C_told_fg_psnr_high": high}
    row |= {name: truth[name].mean() for name in TRUTH_METRICS} | {"n_truth": len(truth)}
    return row | trips(curve) | {"key": facts["key"], "photos_sha256": facts["tables"]["photos.csv"]}


def trips(curve: pd.DataFrame) -> dict:
    """Which detectors tripped: the first step of each, what stands at the end, and since which step that has lasted.

    Step 0 is the start itself, which has not seen the recording.
    """
    names = [set(str(text).split()) if isinstance(text, str) else set() for text in curve["tripped"]]
    steps, row = curve["step"].tolist(), {}
    for name in COLLAPSES:
        tripped = [step for step, found in zip(steps, names) if name in found and step > 0]
        row[f"first_{name}"] = tripped[0] if tripped else np.nan
    jump = loss_jump(steps[1:], curve["loss"].tolist()[1:])
    row["first_loss_jump"] = np.nan if jump is None else jump
    opaque = curve.loc[curve["tripped_alpha"].fillna("").str.contains("overfilled") & (curve["step"] > 0), "step"]
    row["first_opaque_background"] = opaque.min()
    final = names[-1]
    row["at_end"] = " ".join(sorted(final)) or "none"
    lasting = len(names)
    while lasting > 0 and names[lasting - 1] == final:
        lasting -= 1
    return row | {"lasting_since": steps[lasting], "at_start": " ".join(sorted(names[0])) or "none"}


def levels_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per condition: mean over animals with its interval, and how many animals end with which detector tripped."""
    table = []
    for levels, group in rows.groupby(list(FACTORS), sort=False):
        row = dict(zip(FACTORS, levels)) | {"animals": len(group), "n_eff": group["n_eff"].sum()}
        for name in (*JUDGED, *RUNGS):
            low, high = student_interval(group[name].to_numpy())
            row |= {name: group[name].mean(), f"{name}_low": low, f"{name}_high": high}
        for name in COLLAPSES:
            ends = group["at_end"].str.split().map(lambda names, wanted=name: wanted in names)
            row[f"ends_{name}"] = int(ends.sum())
            row[f"first_{name}"] = group[f"first_{name}"].median()
        table.append(row)
    return pd.DataFrame(table)


def pairs_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per pair of conditions that differ in exactly one factor, and metric: the paired difference over animals.

    A row has the levels of the first condition, the `factor` that changes and its level in the second, `to`.

    `holm_p` corrects the p of each metric for all pairs of this table.
    """
    conditions = {levels: group.set_index("animal") for levels, group in rows.groupby(list(FACTORS), sort=False)}
    table = []
    for (a, first), (b, second) in combinations(conditions.items(), 2):
        changed = [i for i in range(len(FACTORS)) if a[i] != b[i]]
        animals = first.index.intersection(second.index)
        if len(changed) != 1 or len(animals) < 2:
            continue
        shared = dict(zip(FACTORS, a)) | {"factor": FACTORS[changed[0]], "to": b[changed[0]]}
        for name in JUDGED:
            change = second.loc[animals, name].to_numpy() - first.loc[animals, name].to_numpy()
            n_eff = float(np.minimum(first.loc[animals, "n_eff"], second.loc[animals, "n_eff"]).sum())
            table.append(shared | {"metric": name, "n_eff": n_eff} | paired_effect(change))
    result = pd.DataFrame(table)
    if len(result):
        result["holm_p"] = result.groupby("metric")["p"].transform(lambda p: holm(p.to_numpy()))
    return result


def curves_table(cells: list[Cell], folder: Path) -> pd.DataFrame:
    """What the detectors saw at every look, all cells below each other."""
    parts = []
    for cell in cells:
        curve = pd.read_csv(folder / cell.name / "curve.csv")
        parts.append(pd.DataFrame([asdict(cell)] * len(curve)).join(curve))
    return pd.concat(parts)
