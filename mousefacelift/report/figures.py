"""Small plots as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator


def histogram_uri(values: Sequence[float], label: str, bins: int) -> str:
    """Histogram of angles in [0, 360) as a PNG data URI."""
    return counted_histogram_uri(np.histogram(np.asarray(values), bins, (0, 360))[0], label)


def counted_histogram_uri(counts: np.ndarray, label: str) -> str:
    """Histogram of angles in [0, 360) that are counted in equal bins, as a PNG data URI."""
    figure, axes = plt.subplots(figsize=(7, 1.8), dpi=110)
    edges = np.linspace(0, 360, len(counts) + 1)
    axes.hist(edges[:-1], bins=edges, weights=counts, color="#4878a8")
    axes.set_xlabel(label)
    axes.set_ylabel("views")
    axes.spines[["top", "right"]].set_visible(False)
    return _uri(figure)


def counts_uri(counts: Mapping[int, int], label: str, what: str) -> str:
    """Bars of how often each whole number occurs as a PNG data URI."""
    figure, axes = plt.subplots(figsize=(7, 1.8), dpi=110)
    axes.bar(list(counts), list(counts.values()), color="#4878a8")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(label)
    axes.set_ylabel(what)
    axes.spines[["top", "right"]].set_visible(False)
    return _uri(figure)


def curves_uri(x: Sequence[float], curves: dict[str, Sequence[float]], label: str) -> str:
    """Curves over a common x as a PNG data URI."""
    figure, axes = plt.subplots(figsize=(7, 2.6), dpi=110)
    for name, values in curves.items():
        axes.plot(x, values, label=name)
    axes.set_xlabel(label)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return _uri(figure)


def _uri(figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    plt.close(figure)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
