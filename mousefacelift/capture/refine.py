"""Small corrections of each camera from silhouettes alone: principal point, or orientation, and the masks' border.

The unknowns per camera are a principal-point shift [2] (or a rotation [3]) and by how many pixels its masks are fat or
thin. They are found by Gauss-Newton on the tangency residuals with a Huber weight and weak priors; a correction is
kept only when it helps on frames that were not used to find it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mousefacelift.capture.distinct import distinct_frames
from mousefacelift.capture.silhouettes import Silhouettes
from mousefacelift.capture.tangency import Poses, tangency

STEPS = 8
MOVES = {"masks": 0, "principal_point": 2, "orientation": 3}  # unknowns of a camera besides its masks' border
MAX_FRAMES = 150
MIN_GAIN = 0.9  # held-out disagreement must fall below this share
MIN_STEP = 0.1  # and by this many pixels: a mask's own quantisation is a few tenths of a pixel


@dataclass(frozen=True)
class Refinement:
    """What was found and whether it is worth applying.

    Attributes:
        kind: "off", "masks" (only their borders), "principal_point" or "orientation" (borders besides).
        shift: [V, 2] px to add to the principal points.
        rotation: [V, 3] rotation vectors (radians) to apply after w2c's rotation, about the optical centre.
        border: [V] px by which the masks are too small (positive) or too large.
        before, after: held-out mean |px| of tangency without and with the correction.
    """

    kind: str
    shift: np.ndarray
    rotation: np.ndarray
    border: np.ndarray
    before: float
    after: float


def apply_correction(poses: Poses, shift: np.ndarray, rotation: np.ndarray) -> Poses:
    """Poses with principal points moved by shift [V, 2] px and cameras turned by rotation vectors [V, 3]."""
    turned = np.stack([cv2.Rodrigues(r)[0] @ R for r, R in zip(rotation, poses.rotation)])
    return Poses(np.ascontiguousarray(turned), poses.center, poses.focal, poses.shift + shift / poses.focal[:, None])


def refine(
    silhouettes: Silhouettes, poses: Poses, wanted: str, width: float, only: list[int] | None = None
) -> Refinement:
    """The correction that held-out frames prefer.

    Args:
        wanted: "auto", "off", "principal_point" or "orientation".
        width: image width, px; the priors scale with it (14 px of 1152).
        only: cameras that may move; all by default.
    """
    views = len(poses.center)
    nothing = Refinement("off", np.zeros((views, 2)), np.zeros((views, 3)), np.zeros(views), np.nan, np.nan)
    fit, test = split_frames(silhouettes)
    if wanted == "off" or len(test) < 2 or len(fit) < 2:
        return nothing
    before = held_out_error(silhouettes.select(test), poses, nothing)
    best = Refinement("off", nothing.shift, nothing.rotation, nothing.border, before, before)
    for kind in ("masks", "principal_point", "orientation") if wanted == "auto" else (wanted,):
        trial = _solve(silhouettes.select(fit), poses, kind, width, only)
        after = held_out_error(silhouettes.select(test), poses, trial)
        if after < min(MIN_GAIN * best.after, best.after - MIN_STEP):
            final = _solve(silhouettes.select(np.sort(np.concatenate([fit, test]))), poses, kind, width, only)
            best = Refinement(kind, final.shift, final.rotation, final.border, before, after)
    return best


def split_frames(silhouettes: Silhouettes) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the frames to fit (about 2/3) and to test: whole runs of neighbouring frames, not every third one.

    Only distinct poses count: a resting animal, or copies of one frame, would test a correction on what it was fitted
    to.
    """
    good = distinct_frames(silhouettes, np.flatnonzero(silhouettes.usable.sum(1) >= 2))
    if len(good) > MAX_FRAMES:
        good = good[np.linspace(0, len(good) - 1, MAX_FRAMES).round().astype(int)]
    parts = np.array_split(good, 6) if len(good) >= 12 else np.array_split(good, 3)
    test = np.concatenate([part for k, part in enumerate(parts) if k % 3 == 1]) if len(good) else good
    return np.setdiff1d(good, test), test


def held_out_error(silhouettes: Silhouettes, poses: Poses, correction: Refinement) -> float:
    """Mean over pairs of the median |px| of tangency after a correction, masks' borders included."""
    found = _residuals(silhouettes, poses, correction.shift, correction.rotation, correction.border)
    return mean_pair_error(found)


def mean_pair_error(found: np.ndarray) -> float:
    """Mean over pairs of the median |px| over frames and ends of residuals [T, V, V, 2]."""
    rows, columns = np.triu_indices(found.shape[1], 1)
    values = np.abs(found[:, rows, columns]).transpose(1, 0, 2).reshape(len(rows), -1)
    told = np.isfinite(values).any(1)
    return float(np.nanmedian(values[told], axis=1).mean()) if told.any() else np.nan


def _residuals(silhouettes, poses, shift, rotation, border, only: int = -1) -> np.ndarray:
    found = tangency(silhouettes.outlines, silhouettes.usable, apply_correction(poses, shift, rotation), only)
    fat = border[:, None] - border[None]
    return found + np.stack([-fat, fat], -1)


def _solve(silhouettes: Silhouettes, poses: Poses, kind: str, width: float, only: list[int] | None) -> Refinement:
    """Gauss-Newton with a numeric Jacobian; every unknown touches only its camera's pairs."""
    views, moves = len(poses.center), MOVES[kind]
    active = list(range(views)) if only is None else only
    prior = width * 14 / 1152
    sigma = np.concatenate([np.full(moves, prior / poses.focal.mean() if moves == 3 else prior), [prior / 5]])
    if moves == 3:
        sigma[2] *= 2  # a roll moves little in the picture
    theta = np.zeros((views, moves + 1))

    def unpack(values):
        shift = values[:, :2] if moves == 2 else np.zeros((views, 2))
        rotation = values[:, :3] if moves == 3 else np.zeros((views, 3))
        return shift, rotation, values[:, moves]

    rows, columns = np.triu_indices(views, 1)
    for _ in range(STEPS):
        base = _residuals(silhouettes, poses, *unpack(theta))[:, rows, columns]
        known = np.isfinite(base)
        r = base[known]
        scale = max(1.4826 * np.median(np.abs(r)), 0.1) if len(r) else 1.0
        J = np.zeros((len(r), len(active) * (moves + 1)))
        for a, view in enumerate(active):
            for k in range(moves + 1):
                step = theta.copy()
                delta = sigma[k] * 0.05
                step[view, k] += delta
                moved = _residuals(silhouettes, poses, *unpack(step), view)[:, rows, columns][known]
                J[:, a * (moves + 1) + k] = np.nan_to_num((moved - r) / delta)
        weight = 1.0 / np.maximum(np.abs(r) / (1.5 * scale), 1.0) / scale**2 * min(1.0, 400 / max(len(r), 1))
        diagonal = np.tile(1 / sigma**2, len(active))
        gradient = J.T @ (weight * r) + diagonal * theta[active].ravel()
        update = np.linalg.solve((J.T * weight) @ J + np.diag(diagonal), gradient).reshape(len(active), -1)
        theta[active] -= update
        if np.abs(update / sigma).max() < 1e-3:
            break
    shift, rotation, border = unpack(theta)
    return Refinement(kind, shift, rotation, border, np.nan, np.nan)
