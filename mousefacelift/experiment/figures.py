"""Figures of an experiment's tables: what every condition reaches, and which detector stood at which step."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

from mousefacelift.core.files import write_bytes
from mousefacelift.experiment.tables import COLLAPSES, FACTORS

matplotlib.use("Agg")
from matplotlib import pyplot as plt

PANELS = (
    ("C_told_fg_psnr", "held-out camera, foreground PSNR (dB)"),
    ("C_told_gain_over_mean", "gain over the mean image (dB)"),
    ("around_iou", "silhouettes from all sides, IoU"),
    ("f1", "true surface, F1 within 0.03 units"),
)
NAMES = ("none", *COLLAPSES)
# Okabe and Ito's colours, which colour-blind readers can tell apart; grey for a healthy network.
COLOURS = dict(
    zip(
        NAMES,
        ("#d9d9d9", "#000000", "#e69f00", "#56b4e9", "#d55e00", "#cc79a7", "#009e73", "#0072b2", "#f0e442"),
        strict=True,
    )
)


def varied(table: pd.DataFrame) -> list[str]:
    """The factors that have more than one level."""
    return [name for name in FACTORS if table[name].nunique() > 1]


def labels_of(table: pd.DataFrame) -> list[str]:
    """What distinguishes every row from the others, in words."""
    names = varied(table) or ["data"]
    shown = {"inputs": "V = {}", "frames": "{} frames", "start": "from {}"}
    return [", ".join(shown.get(name, "{}").format(row[name]) for name in names) for _, row in table.iterrows()]


def plot_levels(levels: pd.DataFrame, path: Path) -> None:
    """Mean over animals with its 95% interval, a row per condition; the dashed line is the mean image's."""
    count = len(levels)
    figure, axes = plt.subplots(1, len(PANELS), figsize=(3.1 * len(PANELS) + 1.5, 0.27 * count + 1.1), sharey=True)
    place = np.arange(count)[::-1]
    for axis, (name, title) in zip(axes, PANELS):
        low, high = levels[name] - levels[f"{name}_low"], levels[f"{name}_high"] - levels[name]
        reach = np.nan_to_num(np.stack([low, high]))
        axis.errorbar(levels[name], place, xerr=reach, fmt="o", color="#0072b2", ecolor="#56b4e9", ms=4, lw=2)
        axis.set_title(title, fontsize=8)
        axis.grid(axis="x", lw=0.4)
        axis.tick_params(labelsize=7)
        if name == "C_told_fg_psnr":
            axis.axvline(levels["C_mean_image_fg_psnr"].mean(), ls="--", lw=1, color="#d55e00")
        if name == "C_told_gain_over_mean":
            axis.axvline(0.0, ls="--", lw=1, color="#d55e00")
    axes[0].set_yticks(place, labels_of(levels))
    save(figure, path)


def plot_collapse(curves: pd.DataFrame, path: Path) -> None:
    """Which detector tripped for most animals at every look, and for how many of them; a row per condition."""
    conditions = curves.drop_duplicates(list(FACTORS))
    steps = sorted(curves["step"].unique())
    figure, axis = plt.subplots(figsize=(0.75 * len(steps) + 4.5, 0.27 * len(conditions) + 1.2))
    for row, (_, levels) in enumerate(conditions.iterrows()):
        own = curves[(curves[list(FACTORS)] == levels[list(FACTORS)].tolist()).all(1)]
        for column, step in enumerate(steps):
            found = own.loc[own["step"] == step, "tripped"].fillna("none").str.split()
            if not len(found):
                continue
            counts = {name: sum(name in names for names in found) for name in NAMES}
            most = max(counts, key=counts.get)
            axis.add_patch(plt.Rectangle((column, -row - 1), 1, 1, color=COLOURS[most], lw=0))
            dark = most in ("black_out", "mean_image", "wrong_frame")
            text = f"{counts[most]}/{len(found)}"
            axis.text(column + 0.5, -row - 0.55, text, ha="center", va="center", fontsize=6, color="w" if dark else "k")
    axis.set_xlim(0, len(steps))
    axis.set_ylim(-len(conditions), 0)
    axis.set_xticks(np.arange(len(steps)) + 0.5, steps, fontsize=7)
    axis.set_yticks(-np.arange(len(conditions)) - 0.5, labels_of(conditions), fontsize=7)
    axis.set_xlabel("step", fontsize=8)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in COLOURS.values()]
    axis.legend(handles, COLOURS, fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    save(figure, path)


def save(figure, path: Path) -> None:
    """Write a figure as SVG without a date, so that the same numbers give the same bytes."""
    stream = BytesIO()
    with plt.rc_context({"svg.hashsalt": "experiment", "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    write_bytes(path, stream.getvalue())
