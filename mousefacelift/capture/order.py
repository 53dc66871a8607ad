"""Files that belong to other cameras than they are read for: the one order under which all silhouettes agree.

Tried when an audit refuses: cables that were plugged in another way round, files numbered in another order than the
calibration's. Of every pair of cameras and every pair of files the epipolar tangency is taken once; orders are then
grown camera by camera, the best few at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mousefacelift.capture.conventions import CONVENTIONS
from mousefacelift.capture.lens import Lens
from mousefacelift.capture.silhouettes import Silhouettes
from mousefacelift.capture.tangency import Poses, pair_errors, tangency
from mousefacelift.formats.raw_camera import RawCamera

KEPT = 400  # orders kept per camera: all of five cameras, a beam of more
ENOUGH = 8  # frames


def reorder(silhouettes: Silhouettes, lenses: Sequence[Lens], order: Sequence[int]) -> Silhouettes:
    """Silhouettes read as if camera v had filmed the file of camera `order[v]`; small masks stay as they are."""
    moved = silhouettes.views(order)
    outlines, center = moved.outlines.copy(), moved.center.copy()
    for view, file in enumerate(order):
        if view != file:
            for points in (outlines, center):
                points[:, view] = lenses[view].undistort(lenses[file].distort(points[:, view]))
    return replace(moved, outlines=outlines, center=center)


def best_order(
    cameras: Sequence[RawCamera], lenses: Sequence[Lens], sizes: Sequence[tuple[int, int]], silhouettes: Silhouettes
) -> list[int]:
    """The file of each camera under which the silhouettes agree best, under any convention.

    Args:
        sizes: (width, height) of each file; a camera takes only files of its own file's size.
    """
    few = silhouettes.select(np.arange(len(silhouettes.frames))[:: max(1, len(silhouettes.frames) // ENOUGH)])
    views = len(cameras)
    fits = np.array([[sizes[v] == sizes[file] for file in range(views)] for v in range(views)])
    readings = [_every_pair(few, lenses, np.stack([c.w2c(k.R, k.t) for k in cameras])) for c in CONVENTIONS]
    orders = [_grow(errors, fits) for errors in readings]
    return min(orders, key=lambda found: found[0])[1]


def _every_pair(silhouettes: Silhouettes, lenses: Sequence[Lens], w2c: np.ndarray) -> np.ndarray:
    """[V, V, V, V] disagreement in px of cameras i and j (first and third axis) that filmed files a and b."""
    views = len(lenses)
    read = [reorder(silhouettes, lenses, [file] * views) for file in range(views)]
    outlines = np.concatenate([r.outlines for r in read], 1)  # files are the slow axis
    usable = np.concatenate([r.usable for r in read], 1)
    focal = [lens.fxfycxcy[:2].mean() for lens in lenses]
    found = pair_errors(tangency(outlines, usable, Poses.of(np.tile(w2c, (views, 1, 1)), np.tile(focal, views))))
    return found.reshape(views, views, views, views).transpose(1, 0, 3, 2)


def _grow(errors: np.ndarray, fits: np.ndarray) -> tuple[float, list[int]]:
    """The mean disagreement of the best order, and the order."""
    views = len(errors)
    grown: list[tuple[float, list[int]]] = [(0.0, [])]
    for view in range(views):
        longer = []
        for _, files in grown:
            for file in np.flatnonzero(fits[view]):
                if file not in files:
                    longer.append((_cost(errors, [*files, int(file)]), [*files, int(file)]))
        grown = sorted(longer)[:KEPT]
    return grown[0]


def _cost(errors: np.ndarray, files: list[int]) -> float:
    """Mean disagreement of the pairs that know of each other; infinite where most do not."""
    views = range(len(files))
    pairs = np.array([errors[i, files[i], j, files[j]] for i in views for j in views if i < j])
    known = np.isfinite(pairs)
    if len(files) < 2:
        return 0.0
    return float(pairs[known].mean()) if known.sum() * 3 >= len(pairs) and known.any() else np.inf
