"""The conventions that a calibration may have been written in, and which one the silhouettes confirm.

Eight ways to read (R, t): R or its transpose, world-to-camera or camera-to-world, OpenCV or OpenGL camera axes. A
transposed K shows by its shape. The unit changes no pixel and is told by the size of the animal. Where the first
pixel's centre lies is stated by the format, never guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from mousefacelift.capture.lens import Lens
from mousefacelift.capture.silhouettes import Silhouettes
from mousefacelift.capture.tangency import Poses, pair_errors, tangency, triangulate
from mousefacelift.errors import CalibrationError
from mousefacelift.formats.axes import FLIP
from mousefacelift.formats.raw_camera import RawCamera


@dataclass(frozen=True)
class Convention:
    """One reading of (R, t)."""

    transposed: bool = False
    camera_to_world: bool = False
    opengl: bool = False

    def __str__(self) -> str:
        return (
            f"{'R^T' if self.transposed else 'R'} {'c2w' if self.camera_to_world else 'w2c'} "
            f"{'OpenGL' if self.opengl else 'OpenCV'}"
        )

    def w2c(self, R: np.ndarray, t: np.ndarray) -> np.ndarray:
        """[4, 4] OpenCV w2c of a stored rotation and translation."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.asarray(R).T if self.transposed else R
        matrix[:3, 3] = t
        if self.camera_to_world:
            rotation = matrix[:3, :3].T
            matrix[:3, 3] = -rotation @ matrix[:3, 3]
            matrix[:3, :3] = rotation
        return FLIP @ matrix if self.opengl else matrix


CONVENTIONS = tuple(Convention(*flags) for flags in product((False, True), repeat=3))


@dataclass(frozen=True)
class ConventionScore:
    """How well a convention agrees with the silhouettes; `tangency` is a share of the image width, infinite when
    hopeless."""

    convention: Convention
    tangency: float
    pairs: np.ndarray


def raw_lenses(cameras: Sequence[RawCamera]) -> tuple[list[Lens], bool]:
    """Lenses of raw cameras, and whether K was stored transposed (told by where its zeros are).

    Raises:
        CalibrationError: K is neither upper triangular nor the transpose of such a matrix.
    """
    transposed = [abs(c.K[2][0]) > 1 and abs(c.K[0][2]) < 1e-9 for c in cameras]
    if any(transposed) != all(transposed):
        raise CalibrationError(
            "some cameras have K transposed and others not",
            got=", ".join(c.name for c, t in zip(cameras, transposed) if t),
        )
    lenses = [Lens(np.asarray(c.K).T if t else c.K, c.distortion, c.model) for c, t in zip(cameras, transposed)]
    return lenses, all(transposed)


def score_conventions(
    cameras: Sequence[RawCamera],
    lenses: Sequence[Lens],
    widths: Sequence[int],
    silhouettes: Silhouettes,
    allow_bad: bool = True,
) -> list[ConventionScore]:
    """All conventions, best first.

    With `allow_bad` and four views or more, a score forgives the one camera that disagrees most, so that a single bad
    camera does not hide the right convention.
    """
    focal = np.array([0.5 * (lens.K[0, 0] + lens.K[1, 1]) for lens in lenses])
    scores = []
    for convention in CONVENTIONS:
        w2c = np.stack([convention.w2c(c.R, c.t) for c in cameras])
        pairs = pair_errors(tangency(silhouettes.outlines, silhouettes.usable, Poses.of(w2c, focal)))
        pairs = pairs / np.mean(widths)
        behind = _views_behind(w2c, silhouettes)
        scores.append(ConventionScore(convention, _score(pairs, behind, allow_bad and len(cameras) >= 4), pairs))
    return sorted(scores, key=lambda s: s.tangency)


def _views_behind(w2c: np.ndarray, silhouettes: Silhouettes) -> np.ndarray:
    """[V] whether the animal, triangulated from the silhouettes' centres, lies behind the view in most frames."""
    rotation, centers = w2c[:, :3, :3], -np.einsum("vji,vj->vi", w2c[:, :3, :3], w2c[:, :3, 3])
    behind = []
    for center in silhouettes.center:
        seen = np.flatnonzero(np.isfinite(center).all(1))
        if len(seen) < 2:
            continue
        rays = np.einsum("vji,vj->vi", rotation[seen], np.concatenate([center[seen], np.ones((len(seen), 1))], 1))
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        pair_points = [triangulate(centers[seen[[a, b]]], rays[[a, b]]) for a in range(len(seen)) for b in range(a)]
        point = np.median(pair_points, axis=0)
        depth = np.full(len(w2c), np.nan)
        depth[seen] = np.einsum("vj,vj->v", rotation[seen, 2], point - centers[seen])
        behind.append(depth <= 0)
    return np.mean(behind, axis=0) > 0.5 if behind else np.zeros(len(w2c), bool)


def _score(pairs: np.ndarray, behind: np.ndarray, forgive_one: bool) -> float:
    views = len(pairs)
    worst = np.where(behind[:, None] | behind[None], np.inf, pairs)
    drops = [None, *range(views)] if forgive_one else [None]
    scores = []
    for drop in drops:
        keep = [v for v in range(views) if v != drop]
        values = worst[np.ix_(keep, keep)][np.triu_indices(len(keep), 1)]
        values = values[~np.isnan(values)]
        enough = max(1, len(keep) * (len(keep) - 1) // 6)
        if len(values) >= enough:
            scores.append(float(np.mean(np.minimum(values, 1.0))) if np.isfinite(values).all() else np.inf)
    return min(scores, default=np.inf)
