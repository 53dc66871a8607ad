"""How far a splat can be trusted away from the cameras it was fitted to, calibrated on cameras left out.

A few frames are refitted without some of their cameras (one at a time, and neighbouring pairs, which leaves a wider
gap); each left-out camera is rendered and compared with its real image. The error as a function of the angle to the
nearest remaining camera, made monotone, is what a rendered view at that angle is expected to have; the scatter about it
gives the trust: the probability that the error is no larger than the allowed one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mousefacelift.core.cameras import angle_between, azimuth_elevation
from mousefacelift.errors import DataError
from mousefacelift.splats.config import FitConfig
from mousefacelift.splats.frames import FrameViews
from mousefacelift.splats.methods import METHODS
from mousefacelift.splats.result import Fit
from mousefacelift.splats.score import compare_views, render_views, score_views
from mousefacelift.splats.start import carve_frame, hull_surface


@dataclass(frozen=True)
class Trust:
    """Expected error against angle, and the scatter about it.

    Attributes:
        angles: [K] degrees to the nearest camera, rising; the first is 0 (a camera of the fit itself).
        errors: [K] expected error there, not falling.
        ratios: [M] measured error / expected error of the calibration views, sorted.
        typical: median error of the recording's fits on their own cameras.
        limit: error of a fit on its own cameras above which it is an outlier of the recording: refitted, then flagged.
    """

    angles: np.ndarray
    errors: np.ndarray
    ratios: np.ndarray
    typical: float
    limit: float

    def judge(self, angle: float, fit_error: float, allowed: float) -> tuple[float, float]:
        """Expected error of a view and the probability that its error is at most `allowed`.

        A frame that fits its own cameras worse than usual is expected to be worse elsewhere by the same amount.

        Args:
            angle: degrees to the nearest camera of the fit; beyond the calibrated range the last slope goes on.
            fit_error: error of the frame's fit on its own cameras.
        """
        expected = _interpolate(self.angles, self.errors, angle) + max(0.0, fit_error - self.typical)
        return float(expected), float(np.mean(self.ratios * expected <= allowed))

    def to_dict(self) -> dict:
        return {
            "angles": self.angles.tolist(),
            "errors": self.errors.tolist(),
            "ratios": self.ratios.tolist(),
            "typical": self.typical,
            "limit": self.limit,
        }

    @classmethod
    def from_dict(cls, document: dict) -> Trust:
        arrays = (np.array(document[key], np.float64) for key in ("angles", "errors", "ratios"))
        return cls(*arrays, document["typical"], document["limit"])


def _interpolate(angles: np.ndarray, errors: np.ndarray, angle: float) -> float:
    if angle <= angles[-1] or len(angles) < 2:
        return float(np.interp(angle, angles, errors))
    slope = (errors[-1] - errors[0]) / max(angles[-1] - angles[0], 1e-6)
    return float(errors[-1] + slope * (angle - angles[-1]))


def leave_out_sets(frame: FrameViews, pairs: bool) -> list[tuple[int, ...]]:
    """Cameras to leave out together: each one, and each two neighbours around the ring when four would remain."""
    order = sorted(range(len(frame.cameras)), key=lambda v: azimuth_elevation(frame.cameras[v])[0])
    sets = [(v,) for v in range(len(order))]
    if pairs and len(order) >= 6:
        sets += [tuple(sorted((order[i], order[(i + 1) % len(order)]))) for i in range(len(order))]
    return sets


def held_out_rows(
    frame: FrameViews, config: FitConfig, pairs: bool, seed: int, device: str = "cpu", method: str = "gaussians"
) -> list[dict]:
    """One row per left-out camera: its angle to the rest, scores of the fit and of the visual hull on its image."""
    rows = []
    sets = leave_out_sets(frame, pairs)
    for size in sorted({len(s) for s in sets}):
        same = [s for s in sets if len(s) == size]
        for first in range(0, len(same), max(1, config.batch)):
            group = same[first : first + max(1, config.batch)]
            fits = METHODS[method]([frame.without(s) for s in group], config, seed, device)
            for left_out, fit in zip(group, fits, strict=True):
                rows += _rows(frame, left_out, fit, config, device)
    return rows


def _rows(frame: FrameViews, left_out: tuple[int, ...], fit: Fit, config: FitConfig, device: str) -> list[dict]:
    rest = frame.without(left_out)
    if fit.diverged:
        return []
    scores = score_views(fit.scene, frame.only(left_out), device)
    baseline = None
    if len(left_out) == 1:
        hull, _ = render_views(hull_surface(rest, carve_frame(rest, config.hull)), [frame.cameras[left_out[0]]], device)
        baseline = {f"hull_{name}": float(v[0]) for name, v in compare_views(hull, frame.rgba[list(left_out)]).items()}
    rows = []
    for index, view in enumerate(left_out):
        angle = min(angle_between(frame.cameras[view], camera) for camera in rest.cameras)
        row = {
            "frame": frame.name,
            "view": view,
            "left_out": len(left_out),
            "angle": angle,
            "fit_error": fit.scores["error"],
        }
        rows.append(row | {name: float(values[index]) for name, values in scores.items()} | (baseline or {}))
    return rows


def calibrate(rows: Sequence[dict], outlier: float) -> Trust:
    """The calibration curve of held-out rows; a fit's error on its own cameras is the value at angle 0.

    Raises:
        DataError: no row.
    """
    if not rows:
        raise DataError(
            "trust cannot be calibrated",
            got="no held-out view",
            likely="every fit failed or diverged",
            hint="look at `failed` in the fits' index.json",
        )
    own = np.array([row["fit_error"] for row in rows])
    typical = float(np.median(own))
    angle = np.concatenate([np.zeros(len(rows)), [row["angle"] for row in rows]])
    error = np.concatenate([own, [row["error"] for row in rows]])
    knots, values, weights = [], [], []
    for low, high in [(0.0, 1e-6), *((edge, edge + 10.0) for edge in np.arange(0, 180, 10.0) + 1e-6)]:
        inside = (angle >= low) & (angle < high)
        if inside.any():
            knots.append(float(angle[inside].mean()))
            values.append(float(error[inside].mean()))
            weights.append(int(inside.sum()))
    errors = isotonic(np.array(values), np.array(weights, float))
    expected = np.interp([row["angle"] for row in rows], knots, errors)
    ratios = np.sort(np.array([row["error"] for row in rows]) / np.maximum(expected, 1e-6))
    return Trust(np.array(knots), errors, ratios, typical, outlier_limit(own, outlier))


def isotonic(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The nearest non-falling sequence in the weighted least-squares sense (pool adjacent violators)."""
    blocks: list[list[float]] = []
    for value, weight in zip(values, weights, strict=True):
        blocks.append([value, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            b, a = blocks.pop(), blocks.pop()
            blocks.append([(a[0] * a[1] + b[0] * b[1]) / (a[1] + b[1]), a[1] + b[1], a[2] + b[2]])
    return np.concatenate([np.full(int(count), value) for value, _, count in blocks])


def outlier_limit(errors: Sequence[float], deviations: float) -> float:
    """Median plus `deviations` robust standard deviations (at least a tenth of the median each)."""
    errors = np.asarray(errors, np.float64)
    median = float(np.median(errors))
    return median + deviations * max(1.4826 * float(np.median(np.abs(errors - median))), 0.1 * median)
