"""The decision of a run: what to use with this recording, why, how sure that is, and where not to trust it.

    mousefacelift check decide --evaluations results/evaluate/80-20/summary.json
        --single results/evaluate_single/summary.json --out results/decide/decision.json

Reads the tables of finished evaluations (summary.json with metrics.parquet or views.parquet beside it) and writes
decision.json (`decision_text` makes the sentence) and pictures of the worst cases. An arm is preferred by full PSNR on
the views that it was not shown, which counts errors outside the animal as well as inside; one that a collapse detector
names is never preferred. Gains are paired by moment, with a bootstrap over blocks of time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mousefacelift.check.config import EvaluateConfig
from mousefacelift.check.decision_text import compose
from mousefacelift.check.metric_rows import read_rows
from mousefacelift.check.statistics import block_interval, effective_count
from mousefacelift.check.trust_map import trust_cells
from mousefacelift.check.worst import draw_worst_arm, draw_worst_single, worst_views
from mousefacelift.core.files import json_text, nulls_as_nan, read_json, write_text

HARDEST_FIRST = ("C", "A", "B")  # the protocol that decides is the hardest one that was judged
RANKED_BY = "full_psnr"
PAIRED = ("full_psnr", "iou", "fg_psnr")
SHOWN = ("full_psnr", "fg_psnr", "fg_ssim", "iou", "coverage")
MODEL, MEAN = "model", "mean_image"
NEEDED = ("method", "frame", "camera", "angle", "stretch", "pitch", "full_psnr", "fg_psnr", "iou", "coverage")


@dataclass(frozen=True)
class Run:
    """One evaluated training run: its name and summary, and where its metrics are."""

    name: str
    folder: Path
    summary: dict

    def rows(self, protocol: str) -> pd.DataFrame:
        """What of a protocol's metrics a decision is made of: views that were not shown, and those that were of the
        model and the mean image."""

        def is_needed(rows: pd.DataFrame) -> pd.Series:
            return (rows["protocol"] == protocol) & (~rows["is_input"] | rows["method"].isin((MODEL, MEAN)))

        return read_rows(self.folder / "metrics.parquet", (*NEEDED, "protocol", "recording", "is_input"), is_needed)


def decide(evaluations: list[Path], single: Path | None, out: Path, config: EvaluateConfig) -> dict:
    """Write decision.json to `out` and the worst cases beside it; returns the decision.

    Raises:
        DataError: a summary that cannot be read.
    """
    runs = [read_run(path) for path in evaluations]
    decision: dict = {"several": None, "one": None}
    out.parent.mkdir(parents=True, exist_ok=True)
    if runs:
        decision["several"] = decide_arms(runs, config)
        chosen = next(run for run in runs if run.name == decision["several"]["best"])
        draw_worst_arm(out.parent / "worst_several.png", chosen.folder, decision["several"]["worst"], config)
    if single is not None:
        summary = read_json(single, {"beds": dict, "verdict": dict}, "evaluation")
        decision["one"] = decide_single(summary, single.parent / "views.parquet", config)
        draw_worst_single(out.parent / "worst_one.png", single.parent.parent, decision["one"], config)
    decision["verdict"] = compose(decision)
    write_text(out, json_text(decision, indent=1))
    return decision


def read_run(path: Path) -> Run:
    """The run of a summary.json."""
    summary = read_json(path, {"arm": str, "predictions": dict, "protocols": dict}, "evaluation")
    return Run(path.parent.name, path.parent, summary)


def decide_arms(runs: list[Run], config: EvaluateConfig) -> dict:
    """Which of several trained runs is best on views that they were not shown, against what, and by how much.

    Returns:
        protocol; best: name; healthy: whether any run shows no collapse; rows: one per run and rung; gain: best minus
        the best rung, per metric; rivals: best minus every other run; outline: best minus the visual hull in IoU;
        trust: cells of `trust_cells`; worst: rows of `worst_views`.
    """
    common = set.intersection(*(set(run.summary["protocols"]) for run in runs))
    protocol = next(name for name in HARDEST_FIRST if name in common)
    rows = [_row(run, MODEL, protocol) for run in runs]
    healthy = [row for row in rows if not row["collapse"]]
    best = max(healthy or rows, key=lambda row: row[RANKED_BY]["mean"])["name"]
    owner = next(run for run in runs if run.name == best)
    chosen = owner.rows(protocol)
    unseen = chosen[~chosen["is_input"]]
    rungs = [_row(owner, method, protocol) for method in unseen["method"].unique() if method != MODEL]
    rung = max(rungs, key=lambda row: row[RANKED_BY]["mean"])["name"]

    def gain_over(run: Run) -> dict:
        rows = run.rows(protocol)
        return paired(unseen, MODEL, rows[~rows["is_input"]], MODEL, RANKED_BY, config)

    return {
        "protocol": protocol,
        "best": best,
        "arm": owner.summary["arm"],
        "healthy": bool(healthy),
        "given": _views_given(chosen),
        "animals": int(unseen["recording"].nunique()),
        "rows": rows + rungs,
        "rung": rung,
        "gain": {name: paired(unseen, MODEL, unseen, rung, name, config) for name in PAIRED},
        "outline": paired(unseen, MODEL, unseen, "visual_hull", "iou", config),
        "rivals": {run.name: gain_over(run) for run in runs if run.name != best},
        "trust": trust_cells(chosen, config),
        "worst": worst_views(unseen, config.sheet_rows),
    }


def decide_single(summary: dict, views: Path, config: EvaluateConfig) -> dict:
    """What one picture is worth, by protocol S: its verdict, where it holds, and its worst views."""
    bed = summary["verdict"].get("bed") or next(iter(summary["beds"]))
    columns = (*NEEDED, "bed", "subject", "target", "knows_camera")
    rows = read_rows(views, columns, lambda rows: (rows["bed"] == bed) & rows["knows_camera"])
    rows = rows.rename(columns={"subject": "recording"})
    entry = summary["beds"][bed]
    return {
        "bed": bed,
        "answer": summary["verdict"]["answer"],
        "text": summary["verdict"]["text"],
        "rows": [
            {"name": name} | {key: nulls_as_nan(values[key]) for key in SHOWN}
            for name, values in entry["known"].items()
        ],
        "collapse": entry["collapse"].get("findings", []),
        "gain": {name: paired(rows, MODEL, rows, MEAN, name, config) for name in PAIRED},
        "trust": trust_cells(rows, config),
        "worst": worst_views(rows.rename(columns={"camera": "picture_camera", "target": "camera"}), config.sheet_rows),
    }


def paired(
    left: pd.DataFrame, method: str, right: pd.DataFrame, rival: str, metric: str, config: EvaluateConfig
) -> dict:
    """`method` of one table minus `rival` of another per moment, views averaged first: mean, 95% interval, n, n_eff."""
    a, b = (
        table[table["method"] == name].groupby(["recording", "frame"], observed=True)[metric].mean()
        for table, name in ((left, method), (right, rival))
    )
    series = (a - b).dropna().sort_index().to_numpy()
    low, high = block_interval(series, config.bootstrap)
    return {
        "mean": float(series.mean()) if len(series) else float("nan"),
        "low": low,
        "high": high,
        "n": len(series),
        "n_eff": effective_count(series),
    }


def _row(run: Run, method: str, protocol: str) -> dict:
    """Numbers of a method of a run on views that were not shown; a model goes by its run's name."""
    entry = run.summary["protocols"][protocol]
    collapse = entry["collapse"]
    is_model = method == MODEL
    return {
        "name": run.name if is_model else method,
        "is_model": is_model,
        "collapse": collapse.get("findings", []) if is_model else [],
        "judged": bool(collapse["judged"]) if is_model else False,
        "detectors": nulls_as_nan(collapse.get("metrics", {})) if is_model else {},
        **{name: nulls_as_nan(entry["held_out"][method][name]) for name in SHOWN},
    }


def _views_given(table: pd.DataFrame) -> int:
    """How many pictures of a moment the network was shown."""
    given = table[(table["method"] == MODEL) & table["is_input"]].groupby(["recording", "frame"], observed=True).size()
    return int(np.median(given)) if len(given) else 0
