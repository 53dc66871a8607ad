"""Naming a bad camera: one that is copied, turned, swapped or wrong, when the others agree among themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mousefacelift.capture.refine import Refinement, apply_correction, mean_pair_error, refine
from mousefacelift.capture.silhouettes import Silhouettes
from mousefacelift.capture.tangency import Poses, pair_errors, tangency

SUSPICION = 3.0  # a camera disagrees this many times more than the cameras without it
FLOOR = 0.002  # of the image width: below it nothing is suspicious (2.3 px of 1152)


@dataclass(frozen=True)
class Suspect:
    """A camera that contradicts the others, and why; `twin` is the camera of which it is a copy, `shifted` whether one
    shift of its pictures explains it all."""

    camera: int
    reason: str
    disagreement: float
    without: float
    twin: int | None = None
    shifted: bool = False


def find_copies(poses: Poses, silhouettes: Silhouettes) -> list[tuple[int, int, str]]:
    """Pairs (i, j, what) whose calibration or whose pictures are copies of each other."""
    found = []
    spread = np.linalg.norm(poses.center - poses.center.mean(0), axis=1).mean()
    for i in range(len(poses.center)):
        for j in range(i + 1, len(poses.center)):
            turned = np.abs(poses.rotation[i] - poses.rotation[j]).max() < 1e-3
            if turned and np.linalg.norm(poses.center[i] - poses.center[j]) < 1e-3 * spread:
                found.append((i, j, "calibration"))
            both = (silhouettes.area[:, i] > 0) & (silhouettes.area[:, j] > 0)
            same = np.abs(silhouettes.area[both, i] - silhouettes.area[both, j]) <= 0.002 * silhouettes.area[both, i]
            overlap = silhouettes.masks[both, i] & silhouettes.masks[both, j]
            union = silhouettes.masks[both, i] | silhouettes.masks[both, j]
            if both.any() and same.mean() > 0.9 and overlap.sum() > 0.98 * union.sum():
                found.append((i, j, "video"))
    return found


def find_suspect(silhouettes: Silhouettes, poses: Poses, width: float, max_shift: float) -> Suspect | None:
    """The camera that spoils an otherwise consistent rig, or None.

    A disagreement that a small principal-point shift explains is a calibration to refine, not a bad camera.

    Args:
        width: image width, px.
        max_shift: largest shift, as a share of the width, that counts as small.
    """
    for first, second, what in find_copies(poses, silhouettes):
        return _worse_of(first, second, what, silhouettes, poses)
    errors = pair_errors(tangency(silhouettes.outlines, silhouettes.usable, poses))
    views = len(errors)
    if views < 3:
        return None
    ratios = []
    for view in range(views):
        own, rest = _own_and_rest(errors, view)
        ratios.append((own / max(rest, FLOOR * width / SUSPICION), view, own, rest))
    ratio, view, own, rest = max(ratios, key=lambda item: -np.inf if np.isnan(item[0]) else item[0])
    if not ratio > SUSPICION:
        return None
    return _explain(silhouettes, poses, width, max_shift, view, own, rest)


def _own_and_rest(errors: np.ndarray, view: int) -> tuple[float, float]:
    """Median disagreement of a view with the others, and mean disagreement of the others among themselves."""
    others = [v for v in range(len(errors)) if v != view]
    own = errors[view, others]
    rest = errors[np.ix_(others, others)][np.triu_indices(len(others), 1)]
    return (
        float(np.nanmedian(own)) if np.isfinite(own).any() else np.nan,
        float(np.nanmean(rest)) if np.isfinite(rest).any() else np.nan,
    )


def _explain(silhouettes, poses, width, max_shift, view, own, rest) -> Suspect | None:
    shift, after = _best_shift(silhouettes, poses, width, view)
    if np.linalg.norm(shift) <= max_shift * width and after < SUSPICION * max(rest, FLOOR * width):
        return None
    if after < 0.4 * own:
        turned = np.degrees(np.linalg.norm(shift) / poses.focal[view])
        reason = (
            f"its pictures are {np.linalg.norm(shift):.0f} px away, as if it had been turned by {turned:.1f} degrees"
        )
    else:
        reason = "no shift of its pictures explains it: another camera's calibration or video, or rolled or moved"
    return Suspect(view, reason, own, rest, shifted=bool(after < 0.4 * own))


def _best_shift(silhouettes, poses, width, view) -> tuple[np.ndarray, float]:
    """Shift of one camera's pictures that fits the others best, started from a coarse one, and the error that is
    left."""
    shift = np.zeros((len(poses.center), 2))
    rough = _rough_shift(silhouettes, poses, view)
    shift[view] = rough
    moved = apply_correction(poses, shift, np.zeros((len(shift), 3)))
    fine: Refinement = refine(silhouettes, moved, "principal_point", width, only=[view])
    total = shift + fine.shift
    after = pair_errors(
        tangency(silhouettes.outlines, silhouettes.usable, apply_correction(poses, total, np.zeros((len(shift), 3))))
    )
    return total[view], float(np.nanmedian(np.delete(after[view], view)))


def _rough_shift(silhouettes, poses, view) -> np.ndarray:
    """Median distance between where the other views' centroid rays meet and this view's centroid, px."""
    from mousefacelift.capture.tangency import triangulate

    differences = []
    others = [v for v in range(len(poses.center)) if v != view]
    for center in silhouettes.center:
        seen = [v for v in others if np.isfinite(center[v]).all()]
        if len(seen) < 2 or not np.isfinite(center[view]).all():
            continue
        plane = np.concatenate([center[seen] - poses.shift[seen], np.ones((len(seen), 1))], 1)
        rays = np.einsum("vji,vj->vi", poses.rotation[seen], plane)
        point = triangulate(poses.center[seen], rays / np.linalg.norm(rays, axis=1, keepdims=True))
        local = poses.rotation[view] @ (point - poses.center[view])
        if local[2] > 0:
            differences.append((center[view] - poses.shift[view] - local[:2] / local[2]) * poses.focal[view])
    return np.median(differences, axis=0) if differences else np.zeros(2)


def _worse_of(first: int, second: int, what: str, silhouettes: Silhouettes, poses: Poses) -> Suspect:
    """Of two copies, the one that disagrees more with all the rest."""
    found = tangency(silhouettes.outlines, silhouettes.usable, poses)
    scores = {}
    for view, twin in ((first, second), (second, first)):
        keep = [v for v in range(len(poses.center)) if v != twin]
        errors = pair_errors(found[:, keep][:, :, keep])
        scores[view] = _own_and_rest(errors, keep.index(view))[0]
    order = sorted(scores, key=lambda v: -np.inf if np.isnan(scores[v]) else scores[v])
    good, bad = order
    keep = [v for v in range(len(poses.center)) if v != bad]
    rest = mean_pair_error(found[:, keep][:, :, keep])
    return Suspect(bad, f"its {what} is a copy", scores[bad], rest, good)
