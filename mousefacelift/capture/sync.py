"""Cameras that are late, early, or lost a frame: found by epipolar tangency over time.

If camera c is `o` frames late, its silhouette of file frame f + o agrees with the others' of frame f. Offsets are
searched camera by camera against all others; a dropped frame shows as an offset that changes once, found by dynamic
programming over the frames.
"""

from __future__ import annotations

import numpy as np

from mousefacelift.capture.silhouettes import Silhouettes
from mousefacelift.capture.tangency import Pencils, Poses, pencils

SWITCH_COST = 6.0  # per frame of a change of offset, in units of the typical frame cost: a change must pay for itself
WORST_COST = (
    3.0  # in the same units; silhouettes that disagree more (a lost tail, a cut) do so for another reason than time
)
TELLING = 0.5  # in the same units; while the animal rests every offset fits alike
CLEAR_GAIN = 0.7  # an offset is believed when it brings the disagreement below this share of that without


def find_offsets(silhouettes: Silhouettes, poses: Poses, max_offset: int) -> tuple[list[list[list[int]]], dict]:
    """Per camera a list of [from_frame, offset], and the numbers behind it.

    Offsets hold from `from_frame` on; file frame = common frame + offset. Cameras are corrected one after the other,
    the worst first, until none improves; offsets are relative to the majority, whose offset is 0.
    """
    found = pencils(silhouettes.outlines, silhouettes.usable, poses)
    frames, views = silhouettes.frames, silhouettes.outlines.shape[1]
    offsets = np.zeros((views, len(frames)), int)
    report = {}
    for _ in range(2 * views):
        costs = [_in_typical_units(_costs(found, frames, offsets, view, max_offset)) for view in range(views)]
        paths = [_best_path(cost, max_offset) for cost in costs]
        gains = [_gain(cost, path, offsets[v], max_offset) for v, (cost, path) in enumerate(zip(costs, paths))]
        worst = int(np.argmin(gains))
        if gains[worst] > CLEAR_GAIN or np.array_equal(paths[worst], offsets[worst]):
            break
        offsets[worst] = paths[worst]
        report[worst] = float(gains[worst])
    common = np.median(offsets, axis=0).round().astype(int)
    return [_runs(frames, row - common) for row in offsets], {"gain": report}


def apply_offsets(silhouettes: Silhouettes, offsets: list) -> Silhouettes:
    """Silhouettes in common frames: camera v's entry of frame f is what was read as file frame f + offset; else
    empty."""
    where = {int(f): t for t, f in enumerate(silhouettes.frames)}
    keep = {name: getattr(silhouettes, name).copy() for name in ("outlines", "area", "border", "center", "masks")}
    for view, runs in enumerate(offsets):
        if all(offset == 0 for _, offset in runs):
            continue
        for t, frame in enumerate(silhouettes.frames):
            source = where.get(int(frame) + _offset_at(runs, int(frame)))
            for name, array in keep.items():
                if source is None:
                    array[t, view] = 0 if name in ("area", "border", "masks") else np.nan
                else:
                    array[t, view] = getattr(silhouettes, name)[source, view]
    return Silhouettes(silhouettes.frames, **keep)


def _offset_at(runs: list, frame: int) -> int:
    return [value for start, value in runs if frame >= start][-1] if runs else 0


def _costs(found: Pencils, frames: np.ndarray, offsets: np.ndarray, view: int, max_offset: int) -> np.ndarray:
    """[T, 2 * max_offset + 1] median |px| of `view` at each candidate offset against the others; NaN where unread."""
    shifts = np.arange(-max_offset, max_offset + 1)
    position = {int(f): t for t, f in enumerate(frames)}
    others = [v for v in range(offsets.shape[0]) if v != view]
    other_rows = np.array(
        [[position.get(int(f) + int(offsets[v, t]), -1) for t, f in enumerate(frames)] for v in others]
    )
    costs = np.full((len(frames), len(shifts)), np.nan)
    for column, shift in enumerate(shifts):
        rows = np.array([position.get(int(f) + int(shift), -1) for f in frames])
        errors = np.full((len(frames), len(others)), np.nan)
        for k, other in enumerate(others):
            good = (rows >= 0) & (other_rows[k] >= 0)
            a, b = found.ends[rows[good], view, other], found.ends[other_rows[k][good], other, view]
            lever = 0.5 * (found.levers[rows[good], view, other] + found.levers[other_rows[k][good], other, view])
            difference = np.abs((a - b + np.pi) % (2 * np.pi) - np.pi) * lever
            errors[good, k] = difference.mean(1)
        costs[:, column] = _row_medians(errors)
    return costs


def _row_medians(values: np.ndarray) -> np.ndarray:
    """[N] median of each row of [N, K] without its NaN, as `numpy.nanmedian`, which takes many times longer for few
    columns."""
    rising, told = np.sort(values, axis=1), np.isfinite(values).sum(1)  # NaN are sorted behind
    rows, known = np.arange(len(values)), np.maximum(told, 1)
    return 0.5 * (rising[rows, (known - 1) // 2] + rising[rows, known // 2])


def _in_typical_units(costs: np.ndarray) -> np.ndarray:
    """Costs over the cost of a frame at its best offset, at most WORST_COST."""
    known = np.isfinite(costs)
    if not known.any():
        return costs
    typical = np.median(np.min(np.where(known, costs, np.inf), axis=1)[known.any(1)])
    return np.minimum(costs / max(typical, 0.1 * np.median(costs[known]), 1e-9), WORST_COST)


def _best_path(costs: np.ndarray, max_offset: int) -> np.ndarray:
    """[T] offset of the cheapest path; each frame by which the offset changes costs SWITCH_COST typical frames."""
    known = np.isfinite(costs)
    cheapest = np.min(np.where(known, costs, np.inf), axis=1, keepdims=True)
    # an unread frame must not force a change, and an offset at which little was read must not win by that
    filled = np.where(known, costs, np.where(np.isfinite(cheapest), cheapest, 0.0) + 1.0)
    frames = np.abs(np.subtract.outer(np.arange(costs.shape[1]), np.arange(costs.shape[1])))
    switch = SWITCH_COST * frames
    total, back = filled[0].copy(), np.zeros(costs.shape, int)
    for t in range(1, len(costs)):
        ways = total[None] + switch  # [to, from]
        back[t] = ways.argmin(1)
        total = ways.min(1) + filled[t]
    path = np.zeros(len(costs), int)
    path[-1] = int(np.argmin(total))
    for t in range(len(costs) - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return path - max_offset


def _gain(costs: np.ndarray, path: np.ndarray, now: np.ndarray, max_offset: int) -> float:
    """Mean cost along `path` over that of the present offsets, over the frames that tell them apart; 1 when nothing
    changes."""
    rows = np.arange(len(costs))
    new, old = costs[rows, path + max_offset], costs[rows, now + max_offset]
    telling = np.abs(new - old) > TELLING
    if telling.sum() < 3:
        return 1.0
    return float(new[telling].mean() / max(old[telling].mean(), 1e-9))


def _runs(frames: np.ndarray, offsets: np.ndarray) -> list[list[int]]:
    runs = [[0, int(offsets[0])]]
    for t in range(1, len(frames)):
        if offsets[t] != runs[-1][1]:
            runs.append([int(frames[t]), int(offsets[t])])
    return runs
