"""Sections about the dataset and the training runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from mousefacelift.report.config import ReportConfig
from mousefacelift.report.figures import counted_histogram_uri, curves_uri
from mousefacelift.report.page import Section, number, png_uri, read_json, read_rows

STRETCH = 65_536  # rows of a table of the manifest that are in memory at a time
AZIMUTH_BINS = 36
REFUSALS = 12  # named at most


def dataset(results: Path, config: ReportConfig) -> Section:
    """Counts per source and split, refusals, angles."""
    section = Section("dataset", "Dataset: every image with its camera and its origin")
    folder = results / "dataset"
    if not (folder / "samples.parquet").is_file():
        return section.not_run("dataset build")
    samples = pd.read_parquet(folder / "samples.parquet", columns=["source", "split", "decision"])
    is_accepted = (samples["decision"] == "accepted").to_numpy()
    views, azimuths = _count_views(folder / "views.parquet", samples["source"], is_accepted)
    counts = samples[is_accepted].groupby(["source", "split"], observed=True).size().unstack(fill_value=0)
    rows = [("source", *map(str, counts.columns), "samples", "view rows", "refused")]
    for source, row in counts.iterrows():
        refused = int((samples["source"] == source)[~is_accepted].sum())
        rows.append((str(source), *(str(int(v)) for v in row), str(int(row.sum())), str(views[source]), str(refused)))
    section.add("table", title="accepted samples per source and split", rows=tuple(rows))
    header = read_json(folder / "dataset.json")
    planned = header["counts"]
    if header.get("framing"):
        section.add("alarm", text=f"Mixture: {header['framing']}.")
    section.add(
        "text",
        text=f"Mouse samples for training: {planned['mouse_samples']} stored; by index they offer "
        f"{planned['mouse_items']} reference views, {planned['mouse_items_augmented']} with mirroring. Yaw, colour and "
        "background vary at load time without end; no image is copied.",
    )
    refusals = _first_refusals(folder / "samples.parquet")
    if refusals:
        section.add(
            "table", title="refused by the geometry gate", rows=(("source", "sample", "reason"), *map(tuple, refusals))
        )
    for source, found in azimuths.items():
        if found.sum() and source != "object":
            uri = counted_histogram_uri(found, "azimuth, degrees")
            section.add("picture", title=f"azimuths of {source} views", uri=uri)
    verdict = folder / "verify.json"
    if verdict.is_file():
        passed = read_json(verdict).get("passed")
        section.add(
            "text" if passed else "alarm",
            text=f"Verification of every file's hash: {'passed' if passed else 'FAILED'}.",
        )
    return section


def _count_views(path: Path, source_of: pd.Series, is_accepted: np.ndarray) -> tuple[dict[str, int], dict]:
    """Views of the accepted samples of every source, and the histogram of the azimuths of a source's own views.

    Args:
        source_of, is_accepted: [S] of every sample.
    """
    counts: dict[str, int] = dict.fromkeys(source_of.cat.categories, 0)
    azimuths: dict[str, np.ndarray] = {}
    names, codes = source_of.cat.categories, source_of.cat.codes.to_numpy()
    for views in _stretches(path, ["sample", "source", "azimuth", "owner"]):
        own = views["sample"].to_numpy()
        for name, count in zip(names, np.bincount(codes[own[is_accepted[own]]], minlength=len(names))):
            counts[name] += int(count)
        for source, part in views[views["sample"] == views["owner"]].groupby("source", observed=True):
            found = np.histogram(part["azimuth"], AZIMUTH_BINS, (0, 360))[0]
            azimuths[str(source)] = azimuths.get(str(source), 0) + found
    return counts, dict(sorted(azimuths.items()))


def _first_refusals(path: Path) -> list[list[str]]:
    """Source, folder and reason of the first samples that the gate refused."""
    found: list[list[str]] = []
    for part in _stretches(path, ["source", "folder", "reason", "decision"]):
        refused = part.loc[part["decision"] != "accepted", ["source", "folder", "reason"]].head(REFUSALS - len(found))
        found += [[*map(str, row)] for row in refused.itertuples(index=False)]
        if len(found) == REFUSALS:
            break
    return found


def _stretches(path: Path, columns: list[str]) -> Iterator[pd.DataFrame]:
    """A table of the manifest, which may have millions of rows, some at a time."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for batch in file.iter_batches(STRETCH, columns=columns):
            yield batch.to_pandas()


def training(results: Path, config: ReportConfig) -> Section:
    """Curves, curriculum and realised mixture of every run."""
    section = Section("training", "Training: what the optimiser saw, and how it went")
    runs = sorted(path.parent for path in (results / "train").glob("*/metrics.csv"))
    if not runs:
        return section.not_run("training")
    for run in runs:
        for name, title in (
            ("curriculum.png", "planned mixture"),
            ("mixture.png", "planned and realised mixture"),
            ("training.png", "loss and validation"),
            ("validation.png", "validation views: truth and model"),
        ):
            if (run / name).is_file():
                section.add("picture", title=f"{run.name}: {title}", uri=png_uri(run / name))
        rows = read_rows(run / "metrics.csv")
        if rows and not (run / "training.png").is_file():
            steps = [float(row["step"]) for row in rows]
            section.add(
                "picture",
                title=f"{run.name}: so far",
                uri=curves_uri(steps, {"loss": [float(r["loss"]) for r in rows]}, "step"),
            )
        if (run / "mixture.json").is_file():
            _mixture(section, run.name, read_json(run / "mixture.json"))
        judged = read_rows(run / "validation.csv") if (run / "validation.csv").is_file() else []
        if judged and judged[-1]["collapses"]:
            section.add(
                "alarm", text=f"{run.name}: the collapse alarm is on at the last validation: {judged[-1]['collapses']}."
            )
        if rows:
            alarms = sum(bool(row["collapses"]) for row in judged)
            state = "finished" if (run / "config.json").is_file() else "not finished"
            section.add(
                "text",
                text=f"{run.name}: {state} at step {rows[-1]['step']}, applied-step ratio "
                f"{number(float(rows[-1]['applied_ratio']))}, {alarms} alarms at {len(judged)} validations.",
            )
    return section


def _mixture(section: Section, name: str, mixture: dict) -> None:
    realised = mixture.get("realised", {})
    rows = [("source", "share of arm", "draws", "share drawn", "epochs")]
    total = sum(facts.get("count", 0) for facts in realised.values()) or 1
    for source, facts in realised.items():
        rows.append(
            (
                source,
                number(mixture.get("shares", {}).get(source, 0.0), 3),
                number(facts.get("count")),
                number(facts.get("count", 0) / total, 3),
                number(facts.get("epochs")),
            )
        )
    section.add("table", title=f"{name}: realised mixture over {mixture.get('steps')} steps", rows=tuple(rows))
