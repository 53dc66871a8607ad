"""Figures of a training run: the curriculum before it, mixture and curves after it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from mousefacelift.core.files import write_bytes
from mousefacelift.core.sources import SOURCES, TABLE
from mousefacelift.dataset.mixture import MixtureSampler
from mousefacelift.lrm.runlog import RunTable

COLORS = {source.name: source.colour for source in TABLE}


def _figure(width: float, height: float, columns: int = 1):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot.subplots(1, columns, figsize=(width, height), layout="constrained")


def _save(figure, path: Path) -> None:
    from matplotlib import pyplot

    path.parent.mkdir(parents=True, exist_ok=True)
    data = io.BytesIO()
    figure.savefig(data, dpi=110, format="png")
    pyplot.close(figure)
    write_bytes(path, data.getvalue())


def plot_curriculum(path: Path, shares: np.ndarray, arm: str) -> None:
    """Stacked probabilities [steps, sources] of every source over the run."""
    figure, axis = _figure(7, 3)
    steps = np.unique(np.linspace(0, len(shares) - 1, 500).astype(int))
    used = [i for i in range(len(SOURCES)) if shares[:, i].any()]
    axis.stackplot(
        steps, shares[steps][:, used].T, labels=[SOURCES[i] for i in used], colors=[COLORS[SOURCES[i]] for i in used]
    )
    axis.set(
        xlim=(0, max(len(shares) - 1, 1)),
        ylim=(0, 1),
        xlabel="step",
        ylabel="share of samples",
        title=f"curriculum of arm {arm}: " + ", ".join(f"{SOURCES[i]} {shares[:, i].mean():.1%}" for i in used),
    )
    axis.legend(loc="lower left", ncols=len(used), fontsize=8)
    _save(figure, path)


def plot_mixture(path: Path, sampler: MixtureSampler, arm: str) -> None:
    """What was really drawn against what was planned, cumulated, and the passes over each source."""
    figure, (left, right) = _figure(9, 3.2, 2)
    marks = np.unique(np.linspace(1, sampler.steps, 60).astype(int))
    table = [sampler.realised(int(step)) for step in marks]
    planned = np.cumsum(sampler.shares, 0) / np.arange(1, sampler.steps + 1)[:, None]
    for source in sampler.sources:
        left.plot(marks, [row[source]["share"] for row in table], color=COLORS[source], label=source)
        left.plot(marks, planned[marks - 1, SOURCES.index(source)], color=COLORS[source], ls=":", lw=1)
    left.set(
        xlabel="step",
        ylabel="share of samples so far",
        ylim=(0, 1),
        title=f"realised mixture of {arm} (dotted: planned)",
    )
    left.legend(fontsize=8)
    last = table[-1]
    bars = right.bar(list(last), [row["epochs"] for row in last.values()], color=[COLORS[s] for s in last])
    right.bar_label(bars, [f"{row['count']} draws" for row in last.values()], fontsize=8)
    right.set(ylabel="passes over the source", title="epochs per source")
    _save(figure, path)


def plot_run(path: Path, metrics: RunTable, validations: RunTable, arm: str) -> None:
    """Loss, PSNR in training and validation, and the collapse detectors over the run."""
    figure, axes = _figure(12, 3.2, 3)
    step = metrics.column("step")
    axes[0].semilogy(step, metrics.column("loss"), color="#3b6ea5", label="loss")
    axes[0].set(xlabel="step", title=f"loss of arm {arm}")
    axes[1].plot(step, metrics.column("fg_psnr"), color="#9db8d6", label="training, unseen targets")
    at = validations.column("step")
    axes[1].plot(at, validations.column("fg_psnr"), "o-", color="#c1440e", label="validation, foreground")
    axes[1].plot(at, validations.column("full_psnr"), "o-", color="#e0a030", label="validation, full image")
    axes[1].set(xlabel="step", ylabel="dB", title="PSNR")
    for name, color in (("variance_ratio", "#3b6ea5"), ("retrieval_at_1", "#7a9a01"), ("coverage", "#7b5ea7")):
        axes[2].plot(at, validations.column(name), "o-", color=color, label=name)
    gain = axes[2].twinx()
    gain.plot(at, validations.column("skill_over_mean"), "s--", color="#c1440e", label="gain over mean image (dB)")
    gain.axhline(0, color="#c1440e", lw=0.5)
    axes[2].set(xlabel="step", ylim=(0, 2), title="collapse detectors")
    lines = [*axes[2].get_lines(), gain.get_lines()[0]]
    axes[2].legend(lines, [line.get_label() for line in lines], fontsize=7)
    axes[1].legend(fontsize=7)
    _save(figure, path)
