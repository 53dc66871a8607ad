"""Pictures that were changed after the calibration: the one factor, or the one crop, under which silhouettes agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from mousefacelift.capture.audit_gates import HOPELESS
from mousefacelift.capture.conventions import CONVENTIONS
from mousefacelift.capture.lens import Lens
from mousefacelift.capture.silhouettes import Silhouettes
from mousefacelift.capture.tangency import Poses, pair_errors, tangency
from mousefacelift.formats.raw_camera import RawCamera

FACTORS = np.exp(np.arange(np.log(0.2), np.log(4.0), 0.04))  # of a resized video
PLAIN_FACTORS = (1 / 2, 2 / 3, 1 / 3, 1 / 4, 3 / 4, 2, 3 / 2, 3, 4, 4 / 3)  # people resize by these
UNCHANGED = 0.02  # a factor this near to 1 explains nothing
CROPS = np.arange(-0.4, 0.41, 0.05)  # to the left, of the width
NO_CROP = 0.02  # of the width: a crop that small explains nothing


def relens(silhouettes: Silhouettes, old: Sequence[Lens], new: Sequence[Lens]) -> Silhouettes:
    """Silhouettes read with lenses `old` as they would have been read with `new`; small masks stay as they are."""
    outlines, center = silhouettes.outlines.copy(), silhouettes.center.copy()
    for view, (was, is_now) in enumerate(zip(old, new)):
        for points in (outlines, center):
            points[:, view] = is_now.undistort(was.distort(points[:, view]))
    return replace(silhouettes, outlines=outlines, center=center)


@dataclass(frozen=True)
class Readings:
    """What is needed to try other lenses: the lenses, w2c [V, 4, 4] of every convention, silhouettes and their width
    in px."""

    lenses: Sequence[Lens]
    w2c: list[np.ndarray]
    silhouettes: Silhouettes
    width: float

    @classmethod
    def of(cls, cameras: Sequence[RawCamera], lenses: Sequence[Lens], sizes, silhouettes: Silhouettes) -> Readings:
        w2c = [np.stack([c.w2c(camera.R, camera.t) for camera in cameras]) for c in CONVENTIONS]
        return cls(lenses, w2c, silhouettes, float(np.mean([w for w, _ in sizes])))

    def disagreement(self, changed: Sequence[Lens]) -> float:
        """Mean over all pairs under the best convention, a share of the width; infinite where a pair does not know."""
        least = len(changed) * (len(changed) - 1) // 2
        moved, focal = relens(self.silhouettes, self.lenses, changed), [c.fxfycxcy[:2].mean() for c in changed]
        found = [pair_errors(tangency(moved.outlines, moved.usable, Poses.of(w2c, focal))) for w2c in self.w2c]
        known = [error[np.isfinite(error)] for error in found]
        return min((float(error.mean()) for error in known if error.size >= least), default=np.inf) / self.width


def best_factor(readings: Readings) -> float | None:
    """The factor on every matrix under which the silhouettes agree best, rounded to one that people use; None where
    none helps."""

    def disagreement(log_factor: float) -> float:
        return readings.disagreement([lens.scaled(float(np.exp(log_factor))) for lens in readings.lenses])

    logs = np.log(FACTORS)
    scores = [disagreement(log) if abs(log) > UNCHANGED else np.inf for log in logs]
    if min(scores) > HOPELESS:
        return None
    near = logs[int(np.argmin(scores))]
    fine = minimize_scalar(disagreement, bounds=(near - 0.05, near + 0.05), method="bounded", options={"xatol": 5e-4})
    factor = float(np.exp(fine.x))
    plain = min(PLAIN_FACTORS, key=lambda value: abs(np.log(value / factor)))
    factor = plain if abs(np.log(plain / factor)) < 0.01 else factor
    return factor if abs(np.log(factor)) > UNCHANGED else None


def best_crop(readings: Readings) -> np.ndarray | None:
    """The left and top border [2] px, of all pictures alike, without which the silhouettes agree best; None where none
    helps. The top one is told less well: all cameras looking up a little is nearly the world moved up."""

    def disagreement(crop: np.ndarray) -> float:
        return readings.disagreement([lens.shifted(-crop * readings.width) for lens in readings.lenses])

    starts = [np.array([left, 0.0]) for left in CROPS]
    scores = [disagreement(start) for start in starts]
    if min(scores) > HOPELESS:
        return None
    start = starts[int(np.argmin(scores))]
    simplex = start + np.array([[0, 0], [0.03, 0], [0, 0.03]])
    fine = minimize(
        disagreement, start, method="Nelder-Mead", options={"initial_simplex": simplex, "xatol": 1e-3, "fatol": 1e-6}
    )
    return fine.x * readings.width if abs(fine.x[0]) > NO_CROP else None
