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

KEPT = 20_000  # orders kept per camera: all of seven cameras, the best of more
ENOUGH = 8  # frames
AS_WELL = 1.3  # times the disagreement of the best order: noise makes that


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
) -> tuple[list[int], int]:
    """The file of each camera under which the silhouettes agree best, under any convention, and how many other orders
    fit as well: those of a ring of even steps that is turned.

    Args:
        sizes: (width, height) of each file; a camera takes only files of its own file's size.
    """
    few = silhouettes.select(np.arange(len(silhouettes.frames))[:: max(1, len(silhouettes.frames) // ENOUGH)])
    views = len(cameras)
    fits = np.array([[sizes[v] == sizes[file] for file in range(views)] for v in range(views)])
    readings = [_every_pair(few, lenses, np.stack([c.w2c(k.R, k.t) for k in cameras])) for c in CONVENTIONS]
    orders = [_grow(errors, fits) for errors in readings]
    return min(orders, key=lambda found: found[0])[1:]


def _every_pair(silhouettes: Silhouettes, lenses: Sequence[Lens], w2c: np.ndarray) -> np.ndarray:
    """[V, V, V, V] disagreement in px of cameras i and j (first and third axis) that filmed files a and b."""
    views = len(lenses)
    read = [reorder(silhouettes, lenses, [file] * views) for file in range(views)]
    outlines = np.concatenate([r.outlines for r in read], 1)  # files are the slow axis
    usable = np.concatenate([r.usable for r in read], 1)
    focal = [lens.fxfycxcy[:2].mean() for lens in lenses]
    found = pair_errors(tangency(outlines, usable, Poses.of(np.tile(w2c, (views, 1, 1)), np.tile(focal, views))))
    return found.reshape(views, views, views, views).transpose(1, 0, 3, 2)


def _grow(errors: np.ndarray, fits: np.ndarray) -> tuple[float, list[int], int]:
    """The mean disagreement of the best order, the order, and the number of others that fit as well."""
    views = len(errors)
    known, values = np.isfinite(errors), np.nan_to_num(errors)
    orders, total, count = np.zeros((1, 0), int), np.zeros(1), np.zeros(1)
    for view in range(views):
        before = np.arange(view)[:, None]
        more = total[:, None] + values[before, orders.T, view].sum(0)  # [orders, files]
        pairs = count[:, None] + known[before, orders.T, view].sum(0)
        free = np.broadcast_to(fits[view], more.shape).copy()
        free[np.arange(len(orders))[:, None], orders] = False
        cost = np.where(free & (pairs * 3 >= view * (view + 1) / 2), more / np.maximum(pairs, 1), np.inf)
        kept = np.argsort(cost, axis=None, kind="stable")[:KEPT]
        kept = kept[np.isfinite(cost.ravel()[kept])]
        parent, file = np.unravel_index(kept, cost.shape)
        orders = np.column_stack([orders[parent], file])
        total, count = more[parent, file], pairs[parent, file]
    if not len(orders):
        return np.inf, list(range(views)), 0
    costs = total / np.maximum(count, 1)
    alike = int((costs < AS_WELL * costs[0]).sum()) - 1
    return float(costs[0]), [int(file) for file in orders[0]], alike
