"""The decision of a run: what to use with this recording, why, how sure that is, and where not to trust it.

    mousefacelift check decide --evaluations results/evaluate/80-20/summary.json
        --single results/evaluate_single/summary.json --out results/decide/decision.json

Reads the tables of finished evaluations (summary.json with metrics.parquet or views.parquet beside it) and writes
decision.json (`decision_text` makes the sentence) and pictures of the worst cases. An arm is preferred by full PSNR on
the views that it was not shown, which counts errors outside the animal as well as inside; one that a collapse detector
names is never preferred. Gains are paired by moment, with a bootstrap over blocks of time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mousefacelift.check.config import EvaluateConfig
from mousefacelift.check.decision_text import compose
from mousefacelift.check.statistics import block_interval, effective_count
from mousefacelift.check.trust_map import trust_cells
from mousefacelift.check.worst import draw_worst_arm, draw_worst_single, worst_views
from mousefacelift.core.files import read_json, read_parquet, write_text

HARDEST_FIRST = ("C", "A", "B")  # the protocol that decides is the hardest one that was judged
RANKED_BY = "full_psnr"
PAIRED = ("full_psnr", "iou", "fg_psnr")
SHOWN = ("full_psnr", "fg_psnr", "fg_ssim", "iou", "coverage")
MODEL, MEAN = "model", "mean_image"


@dataclass(frozen=True)
class Run:
    """One evaluated training run: its name, summary, and the rows of its metrics."""

    name: str
    folder: Path
    summary: dict
    table: pd.DataFrame


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
        decision["one"] = decide_single(summary, read_parquet(single.parent / "views.parquet").to_pandas(), config)
        draw_worst_single(out.parent / "worst_one.png", single.parent.parent, decision["one"], config)
    decision["verdict"] = compose(decision)
    write_text(out, json.dumps(decision, indent=1))
    return decision


def read_run(path: Path) -> Run:
    """The run of a summary.json, with its metrics."""
    summary = read_json(path, {"arm": str, "predictions": dict, "protocols": dict}, "evaluation")
    return Run(path.parent.name, path.parent, summary, read_parquet(path.parent / "metrics.parquet").to_pandas())


def decide_arms(runs: list[Run], config: EvaluateConfig) -> dict:
    """Which of several trained runs is best on views that they were not shown, against what, and by how much.

    Returns:
        protocol; best: name; healthy: whether any run shows no collapse; rows: one per run and rung; gain: best minus
        the best rung, per metric; rivals: best minus every other run; outline: best minus the visual hull in IoU;
        trust: cells of `trust_cells`; worst: rows of `worst_views`.
    """
    common = set.intersection(*(set(run.summary["protocols"]) for run in runs))
    protocol = next(name for name in HARDEST_FIRST if name in common)
    tables = {run.name: run.table[(run.table["protocol"] == protocol)] for run in runs}
    rows = [_row(run, MODEL, protocol) for run in runs]
    healthy = [row for row in rows if not row["collapse"]]
    best = max(healthy or rows, key=lambda row: row[RANKED_BY]["mean"])["name"]
    chosen = tables[best]
    unseen = chosen[~chosen["is_input"]]
    owner = next(run for run in runs if run.name == best)
    rungs = [_row(owner, method, protocol) for method in unseen["method"].unique() if method != MODEL]
    rung = max(rungs, key=lambda row: row[RANKED_BY]["mean"])["name"]
    others = [run.name for run in runs if run.name != best]
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
        "rivals": {
            name: paired(unseen, MODEL, tables[name][~tables[name]["is_input"]], MODEL, RANKED_BY, config)
            for name in others
        },
        "trust": trust_cells(chosen, config),
        "worst": worst_views(unseen, config.sheet_rows),
    }


def decide_single(summary: dict, views: pd.DataFrame, config: EvaluateConfig) -> dict:
    """What one picture is worth, by protocol S: its verdict, where it holds, and its worst views."""
    bed = summary["verdict"].get("bed") or next(iter(summary["beds"]))
    rows = views[(views["bed"] == bed) & views["knows_camera"]].rename(columns={"subject": "recording"})
    entry = summary["beds"][bed]
    return {
        "bed": bed,
        "answer": summary["verdict"]["answer"],
        "text": summary["verdict"]["text"],
        "rows": [{"name": name} | {key: values[key] for key in SHOWN} for name, values in entry["known"].items()],
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
        table[table["method"] == name].groupby(["recording", "frame"])[metric].mean()
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
        "detectors": collapse.get("metrics", {}) if is_model else {},
        **{name: entry["held_out"][method][name] for name in SHOWN},
    }


def _views_given(table: pd.DataFrame) -> int:
    """How many pictures of a moment the network was shown."""
    given = table[(table["method"] == MODEL) & table["is_input"]].groupby(["recording", "frame"]).size()
    return int(np.median(given)) if len(given) else 0
