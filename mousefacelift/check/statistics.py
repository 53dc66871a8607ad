"""Numbers with their uncertainty when neighbouring frames are near duplicates.

At 100 fps two neighbouring frames are not two observations. Frames are ordered in time, the effective number is
n (1 - rho) / (1 + rho) with the lag-1 autocorrelation rho, and intervals come from a bootstrap over blocks of frames.
"""

from __future__ import annotations

import numpy as np

DRAWN = 1_000_000  # numbers of all resamples that are drawn at a time


def effective_count(series: np.ndarray) -> float:
    """Effective number of independent observations of a time-ordered series [n]; between 1 and n."""
    series = np.asarray(series, np.float64)
    count = len(series)
    spread = series - series.mean() if count else series
    if count < 3 or not np.any(spread):
        return float(min(count, 1))
    rho = float(np.clip((spread[1:] @ spread[:-1]) / (spread @ spread), 0.0, 0.999))
    return float(np.clip(count * (1 - rho) / (1 + rho), 1, count))


def block_length(series: np.ndarray) -> int:
    """Frames until the autocorrelation of a time-ordered series first falls to zero, at most a third of the series."""
    series = np.asarray(series, np.float64) - np.mean(series)
    power = series @ series
    for lag in range(1, max(len(series) // 3, 1)):
        if power <= 0 or (series[lag:] @ series[:-lag]) <= 0:
            return lag
    return max(len(series) // 3, 1)


def block_interval(series: np.ndarray, resamples: int, seed: int = 0, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of the mean of a time-ordered series [n] by moving-block bootstrap; NaN for fewer than 3."""
    series = np.asarray(series, np.float64)
    count = len(series)
    if count < 3:
        return float("nan"), float("nan")
    length = block_length(series)
    rng = np.random.default_rng(seed)
    blocks, at_once, drawn = -(-count // length), max(1, DRAWN // count), []
    for first in range(0, resamples, at_once):  # of long series a few resamples at a time
        starts = rng.integers(0, count - length + 1, (min(at_once, resamples - first), blocks))
        index = (starts[..., None] + np.arange(length)).reshape(len(starts), blocks * length)[:, :count]
        drawn.append(series[index].mean(1))
    means = np.concatenate(drawn)
    tail = (1 - level) / 2
    return float(np.quantile(means, tail)), float(np.quantile(means, 1 - tail))


def describe(
    series: np.ndarray, frames: np.ndarray, resamples: int, worst_share: float, higher_is_better: bool = True
) -> dict:
    """Mean, median, mean of the worst share, n, n_eff and 95% interval of a metric given per image and its frame [n].

    n and n_eff count frames: the views of one frame are averaged first.
    """
    series, frames = np.asarray(series, np.float64), np.asarray(frames)
    finite = np.isfinite(series)
    series, frames = series[finite], frames[finite]
    if not len(series):
        return {
            "mean": float("nan"),
            "median": float("nan"),
            "worst": float("nan"),
            "n": 0,
            "n_eff": 0.0,
            "low": float("nan"),
            "high": float("nan"),
        }
    by_time = np.argsort(frames, kind="stable")
    ends = np.flatnonzero(np.diff(frames[by_time])) + 1
    per_frame = np.array([views.mean() for views in np.split(series[by_time], ends)])
    ordered = np.sort(series) if higher_is_better else np.sort(series)[::-1]
    worst = ordered[: max(1, int(np.ceil(worst_share * len(ordered))))]
    low, high = block_interval(per_frame, resamples)
    return {
        "mean": float(series.mean()),
        "median": float(np.median(series)),
        "worst": float(worst.mean()),
        "n": len(per_frame),
        "n_eff": effective_count(per_frame),
        "low": low,
        "high": high,
    }


def student_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Interval of the mean of independent units [n] (animals) by Student's t; NaN for fewer than 2."""
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return float("nan"), float("nan")
    from scipy import stats  # dear to import, and asked for only where there are several animals

    reach = stats.t.ppf(0.5 + level / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - reach), float(values.mean() + reach)


def paired_effect(change: np.ndarray) -> dict[str, float]:
    """Of paired differences of independent units [n]: mean, 95% interval, effect size, p of the paired t-test, n.

    The effect size is Cohen's d of the differences (mean over their standard deviation).
    """
    change = np.asarray(change, np.float64)
    change = change[np.isfinite(change)]
    low, high = student_interval(change)
    spread = change.std(ddof=1) if len(change) > 1 else 0.0
    p = _paired_p(change) if spread > 0 else float("nan")
    mean = float(change.mean()) if len(change) else float("nan")
    effect = mean / spread if spread > 0 else float("nan")
    return {"mean": mean, "low": low, "high": high, "effect": float(effect), "p": p, "animals": len(change)}


def _paired_p(change: np.ndarray) -> float:
    from scipy import stats

    return float(stats.ttest_1samp(change, 0.0).pvalue)


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's correction of p values [m] for their number; NaN stays NaN and does not count."""
    p = np.asarray(p, np.float64)
    result = np.full(len(p), np.nan)
    order = np.argsort(np.where(np.isfinite(p), p, np.inf))[: int(np.isfinite(p).sum())]
    worst = 0.0
    for rank, index in enumerate(order):
        worst = max(worst, min(1.0, (len(order) - rank) * p[index]))
        result[index] = worst
    return result
