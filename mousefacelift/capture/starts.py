"""Cameras that started seconds or minutes apart without time stamps: one start per camera, told by the silhouettes.

Outlines of every few frames of the files' beginnings are compared at all lags: the pencil of planes that an animal
occupies (`tangency.py`) is the same in two views only at the same instant. Which way R and t point is not yet known, so
every convention is tried. What is found stands in for time stamps; the audit's own search (`sync.py`) refines it to a
frame. Part of the audit.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from mousefacelift.capture.clip import Clip
from mousefacelift.capture.conventions import CONVENTIONS
from mousefacelift.capture.lens import Lens
from mousefacelift.capture.recording import Recording
from mousefacelift.capture.silhouettes import OUTLINE, SilhouetteMaker, clean_mask
from mousefacelift.capture.sources import open_source
from mousefacelift.capture.tangency import Poses, pencils
from mousefacelift.capture.timeline import Runs
from mousefacelift.core.compiled import compiled
from mousefacelift.errors import DataError

SAMPLES = 1500  # of each file's beginning, at most every STRIDE-th frame
STRIDE = 4
HORIZON = 3  # windows of max_offset: at the largest offset two files still share two thirds
LEAST_SHARED = 0.4  # of the samples; a lag at which little was compared must not win by that
CAP = 0.1  # of the picture's width: one broken mask says no more than that
CLEAR = 0.6  # of its cost at a typical lag, that a camera's cost at its own must fall below
AGREED = 0.03  # of the picture's width, that the silhouettes may then still disagree by
ROUNDS = 5


@dataclass(frozen=True)
class Starts:
    """What is told of V cameras.

    Args:
        offsets: [V] frames by which a file is ahead of the common time; 0 for the camera that started last.
        cost: mean disagreement of the silhouettes at these offsets, a share of the picture's width.
        clear: the least clear camera's cost over its cost at a typical lag.
    """

    offsets: np.ndarray
    cost: float
    clear: float

    @property
    def believed(self) -> bool:
        """Whether the silhouettes agree at these offsets and at no others."""
        return self.clear < CLEAR and self.cost < AGREED


def start_offsets(recording: Recording, lenses: Sequence[Lens], clip: Clip, window: int) -> tuple[list[Runs], int]:
    """Per camera [[0, offset]] (file frame = common frame + offset) and the number of common frames.

    Raises:
        DataError: no offsets of up to `window` frames make the silhouettes agree.
    """
    found = find_starts(recording, lenses, clip, window)
    if not found.believed:
        raise DataError(
            f"starts of the cameras of '{recording.name}' cannot be told from their silhouettes",
            got=f"best offsets {', '.join(map(str, found.offsets))} frames: {found.cost:.1%} of the width apart, "
            f"{found.clear:.0%} of what other offsets give",
            expected=f"below {AGREED:.0%}, and below {CLEAR:.0%}",
            likely=f"an animal that rests or is not there in the first {HORIZON * window} frames, a start later than "
            "capture.audit.max_offset, or a calibration of other cameras",
            hint="give the recording's timestamps (a CSV per camera), or raise capture.audit.max_offset",
        )
    frames = min(n - int(o) for n, o in zip(clip.frames, found.offsets))
    return [[[0, int(offset)]] for offset in found.offsets], frames


def find_starts(recording: Recording, lenses: Sequence[Lens], clip: Clip, window: int) -> Starts:
    """The offsets of up to `window` frames at which the silhouettes agree best, under the best convention."""
    horizon = min(HORIZON * window, max(clip.frames))
    stride = int(np.clip(horizon // SAMPLES, 1, STRIDE))
    reach = min(window, max(clip.frames)) // stride
    outlines, usable = _read_outlines(recording, lenses, clip, horizon, stride)
    widths = np.array([w for w, _ in clip.sizes], np.float64)
    focal = [lens.fxfycxcy[:2].mean() for lens in lenses]
    best = None
    for convention in CONVENTIONS:
        w2c = np.stack([convention.w2c(camera.R, camera.t) for camera in recording.cameras])
        costs = _pair_costs(outlines, usable, Poses.of(w2c, focal), widths, reach)
        found = _solve(costs, stride)
        if best is None or found.cost < best.cost:
            best = found
    return best


def _read_outlines(recording, lenses, clip, horizon: int, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """[S, V, OUTLINE, 2] outlines of every stride-th file frame below `horizon`, and [S, V] whether each is whole."""
    samples = -(-horizon // stride)
    outlines = np.full((samples, len(lenses), OUTLINE, 2), np.nan, np.float32)
    usable = np.zeros((samples, len(lenses)), bool)

    def read(view: int) -> None:
        maker, reader = SilhouetteMaker(lenses[view], *clip.sizes[view]), open_source(recording.masks[view])
        try:
            for row, frame in enumerate(range(0, min(horizon, reader.frames), stride)):
                made = maker.make(clean_mask(reader.read(frame)))
                outlines[row, view] = made["outline"]
                usable[row, view] = made["area"] > 0 and made["border"] == 0
        finally:
            reader.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(read, range(len(lenses))))
    return outlines, usable


def _pair_costs(outlines, usable, poses: Poses, widths: np.ndarray, reach: int) -> np.ndarray:
    """[V, V, 2 * reach + 1]: mean disagreement of a pair (share of the width) when the second is ahead by each lag."""
    found = pencils(outlines, usable, poses)
    views = usable.shape[1]
    costs = np.full((views, views, 2 * reach + 1), CAP)
    for a in range(views):
        for b in range(a + 1, views):
            width = 0.5 * (widths[a] + widths[b])
            ends = found.ends[:, a, b], found.ends[:, b, a]
            known = [int(np.isfinite(end[:, 0]).sum()) for end in ends]
            least = max(int(2 * LEAST_SHARED * min(known)), 2)
            levers = found.levers[:, a, b] / width, found.levers[:, b, a] / width
            costs[a, b] = _lag_costs(*ends, *levers, reach, least, CAP)
            costs[b, a] = costs[a, b, ::-1]
    return costs


@compiled()
def _lag_costs(a, b, lever_a, lever_b, reach, least, cap):
    """[2 * reach + 1] mean capped distance of pencil ends a[r] and b[r + lag]; `cap` where fewer than `least` tell."""
    out = np.full(2 * reach + 1, cap)
    for column in range(2 * reach + 1):
        lag = column - reach
        total, count = 0.0, 0
        for row in range(max(0, -lag), min(len(a), len(b) - lag)):
            for end in range(2):
                difference = a[row, end] - b[row + lag, end]
                if np.isnan(difference):
                    continue
                difference = abs((difference + np.pi) % (2 * np.pi) - np.pi)
                total += min(difference * 0.5 * (lever_a[row, end] + lever_b[row + lag, end]), cap)
                count += 1
        if count >= least:
            out[column] = total / count
    return out


def _solve(costs: np.ndarray, stride: int) -> Starts:
    """Offsets that all pairs agree on: cameras join one by one, the clearest first, then each is moved against all."""
    views, reach = len(costs), costs.shape[2] // 2
    contrast = costs.min(2) / np.maximum(np.median(costs, axis=2), 1e-12) + np.eye(views)
    offsets = np.zeros(views, int)
    placed = [int(np.unravel_index(contrast.argmin(), contrast.shape)[0])]
    while len(placed) < views:
        curves = {v: _curve(costs, offsets, v, placed) for v in range(views) if v not in placed}
        joins = min(curves, key=lambda v: curves[v].min() / max(np.median(curves[v]), 1e-12))
        offsets[joins] = curves[joins].argmin() - reach
        placed.append(joins)
    for _ in range(ROUNDS):
        before = offsets.copy()
        for view in range(views):
            others = [v for v in range(views) if v != view]
            offsets[view] = _curve(costs, offsets, view, others).argmin() - reach
        if np.array_equal(before, offsets):
            break
    others = [[v for v in range(views) if v != view] for view in range(views)]
    curves = np.stack([_curve(costs, offsets, view, others[view]) for view in range(views)])
    own = curves[np.arange(views), np.clip(offsets + reach, 0, 2 * reach)]
    clear = (own / np.maximum(np.median(curves, axis=1), 1e-12)).max()
    return Starts(stride * (offsets - offsets.min()), float(own.mean()), float(clear))


def _curve(costs: np.ndarray, offsets: np.ndarray, view: int, others: list[int]) -> np.ndarray:
    """[2 * reach + 1] mean cost of `view` at each offset against `others` at theirs."""
    reach = costs.shape[2] // 2
    columns = np.arange(-reach, reach + 1)[None] - offsets[others][:, None] + reach
    inside = (columns >= 0) & (columns <= 2 * reach)
    found = costs[np.array(others)[:, None], view, np.clip(columns, 0, 2 * reach)]
    return np.where(inside, found, CAP).mean(0)
