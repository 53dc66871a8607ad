"""The figures of the decision: arms, collapse, where to trust. Colours of Okabe and Ito, and never colour alone."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#777777"  # told apart by the colour-blind, and in grey
WIDTH = 4.6  # inches: readable at the width of a phone
STYLE = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "mousefacelift"}
DETECTORS = (  # key, name, least and most of a healthy model, span of the axis
    ("skill_over_mean", "gain over mean image, dB", 1.0, None, (-4, 12)),
    ("variance_ratio", "variance kept", 0.3, None, (0, 1.5)),
    ("retrieval_at_1", "found among frames", None, None, (0, 1)),
    ("coverage", "area over true area", 0.5, 1.5, (0, 2)),
    ("view_copy", "nearer to input than to truth, dB", None, 0.0, (-15, 5)),
    ("input_swap", "follows a swapped input, dB", 0.0, None, (-2, 12)),
)


def svg_uri(figure) -> str:
    """The figure as an SVG data URI."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def arms_uri(rows: Sequence[dict], names: Sequence[str]) -> str:
    """Every method's full PSNR and IoU with 95% intervals; models filled and blue, rungs grey and open.

    Args:
        rows: {is_model, collapse, full_psnr, iou: {mean, low, high}}. names: of the rows.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(2, 1, figsize=(WIDTH, 1.1 + 0.46 * len(rows)), sharey=True)
        places = np.arange(len(rows))[::-1]
        for panel, (key, label) in zip(axes, (("full_psnr", "full PSNR, dB"), ("iou", "IoU"))):
            for place, row in zip(places, rows):
                numbers, colour = row[key], BLUE if row["is_model"] else GREY
                if math.isfinite(numbers["low"]):
                    panel.plot([numbers["low"], numbers["high"]], [place, place], color=colour, linewidth=1.6)
                panel.plot(
                    numbers["mean"],
                    place,
                    marker="X" if row["collapse"] else "o",
                    color=ORANGE if row["collapse"] else colour,
                    markerfacecolor=colour if row["is_model"] and not row["collapse"] else "white",
                    markersize=6,
                )
            panel.set_xlabel(label)
            panel.set_yticks(places, names)
            panel.set_ylim(-0.6, len(rows) - 0.4)
            panel.grid(axis="x", color="#e4e4e4")
            panel.set_axisbelow(True)
        figure.tight_layout(h_pad=0.6)
        return svg_uri(figure)


def collapse_uri(rows: Sequence[dict]) -> str:
    """One strip per detector: grey where it trips, a mark for every model.

    Args:
        rows: {name, detectors: metrics of `collapse`, collapse: findings} of the models that were judged.
    """
    shown = [detector for detector in DETECTORS if any(detector[0] in row["detectors"] for row in rows)]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(len(shown), 1, figsize=(WIDTH, 0.72 * len(shown) + 0.4), squeeze=False)
        for panel, (key, label, least, most, (low, high)) in zip(axes[:, 0], shown):
            if key == "retrieval_at_1":
                least = min(0.5, 5 * max(row["detectors"].get("retrieval_chance", 0.1) for row in rows))
            panel.set_xlim(low, high)
            if least is not None:
                panel.axvspan(low, least, color="#d0d0d0", hatch="///", linewidth=0, alpha=0.6)
            if most is not None:
                panel.axvspan(most, high, color="#d0d0d0", hatch="///", linewidth=0, alpha=0.6)
            for place, row in enumerate(rows):
                if key in row["detectors"]:
                    value = float(np.clip(row["detectors"][key], low, high))
                    colour, marker = (ORANGE, "X") if row["collapse"] else (BLUE, "o")
                    height = 0.5 + 0.16 * (place % 5 - 2) * (len(rows) > 1)  # marks of several models lie apart
                    panel.plot(value, height, marker, color=colour, markersize=5, clip_on=False, zorder=3)
            panel.set_ylim(0, 1)
            panel.set_yticks([])
            panel.spines["left"].set_visible(False)
            panel.set_title(label, loc="left", fontsize=9, pad=2)
        figure.tight_layout(h_pad=0.6)
        return svg_uri(figure)


def trust_uri(parts: Sequence[tuple[str, Sequence[dict]]]) -> str:
    """Map of IoU over angle to the nearest given picture (across) and pose (down), one panel per model; hatched where
    the model does not beat the mean image.

    Args:
        parts: (title, cells of `trust_cells`).
    """
    order = ("all poses", "curled up", "in between", "stretched out", "rearing")
    sizes = [len({cell["pose"] for cell in cells}) for _, cells in parts]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(parts),
            1,
            figsize=(WIDTH, 0.5 * sum(sizes) + 1.0 * len(parts)),
            squeeze=False,
            height_ratios=sizes,
        )
        for panel, (title, cells) in zip(axes[:, 0], parts):
            poses = [name for name in order if any(cell["pose"] == name for cell in cells)]
            angles = sorted({(cell["from"], cell["to"]) for cell in cells})
            _draw_map(panel, cells, poses, angles)
            panel.set_title(title, loc="left", fontsize=9)
        axes[-1, 0].set_xlabel("degrees to the nearest given picture")
        figure.tight_layout()
        return svg_uri(figure)


def _draw_map(panel, cells: Sequence[dict], poses: list[str], angles: list[tuple[int, int]]) -> None:
    values = np.full((len(poses), len(angles)), np.nan)
    for cell in cells:
        row, column = poses.index(cell["pose"]), angles.index((cell["from"], cell["to"]))
        values[row, column] = cell["iou"]
        dark = cell["iou"] < 0.55
        text = f"{cell['iou']:.2f}\nn {cell['moments']}"
        panel.text(column, row, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
        if not cell["trusted"]:
            corner = (column - 0.5, row - 0.5)
            panel.add_patch(plt.Rectangle(corner, 1, 1, fill=False, hatch="////", edgecolor=ORANGE, linewidth=0))
    panel.imshow(values, cmap="cividis", vmin=0.2, vmax=1.0, aspect="auto")
    panel.set_xticks(range(len(angles)), [f"{low}-{high}" for low, high in angles])
    panel.set_yticks(range(len(poses)), poses)
    for name in ("left", "bottom"):
        panel.spines[name].set_visible(False)
    panel.tick_params(length=0)
