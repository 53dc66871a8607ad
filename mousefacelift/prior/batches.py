"""Batches of training pictures: read in a thread, turned into the view's frame, mirrored and recoloured."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mousefacelift.prior.network import turn_points
from mousefacelift.prior.shards import Shards


@dataclass
class Batch:
    """B pictures with their truth.

    Args:
        picture: [B, 4, S, S] premultiplied rgb and alpha. facts: [B, 3]. known: [B] 1 where the facts may be used.
        heading: [B] radians relative to the view. points: [B, N, 3] in the view's frame. colours: [B, N, 3].
    """

    picture: Tensor
    facts: Tensor
    known: Tensor
    heading: Tensor
    points: Tensor
    colours: Tensor


def make_batch(
    rows: dict[str, np.ndarray], mirror: Tensor, rng: np.random.Generator | None, known: float = 0.7
) -> Batch:
    """A batch of `Shards.rows`; with `rng` augmented: half of it mirrored, other exposures and tints, noise,
    cut-outs."""
    count = len(rows["heading"])
    rgba = torch.from_numpy(rows["rgba"]).permute(0, 3, 1, 2).float() / 255
    offset = torch.from_numpy(rows["points"].astype(np.float32) - rows["anchor"][:, None].astype(np.float32))
    points = offset / torch.from_numpy(rows["unit"].astype(np.float32))[:, None, None]
    colours = torch.from_numpy(rows["colours"]).float() / 255
    heading = torch.from_numpy(rows["heading"].astype(np.float32))
    may_use = torch.ones(count)
    if rng is not None:
        flip = torch.from_numpy(rng.uniform(size=count) < 0.5)
        rgba, points, colours, heading = _mirror(rgba, points, colours, heading, flip, mirror)
        rgba, colours = _recolour(rgba, colours, rng)
        may_use = torch.from_numpy((rng.uniform(size=count) < known).astype(np.float32))
    picture = torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], 1)
    facts = torch.from_numpy(rows["facts"].astype(np.float32))
    return Batch(picture, facts, may_use, heading, turn_points(points, heading), colours)


def _mirror(rgba, points, colours, heading, flip: Tensor, mirror: Tensor):
    """Pictures seen in a mirror, with left and right points exchanged, where `flip` [B] says so."""
    sign = points.new_tensor([1.0, -1.0, 1.0])
    rgba = torch.where(flip[:, None, None, None], rgba.flip(-1), rgba)
    points = torch.where(flip[:, None, None], points[:, mirror] * sign, points)
    colours = torch.where(flip[:, None, None], colours[:, mirror], colours)
    return rgba, points, colours, torch.where(flip, -heading, heading)


def _recolour(rgba: Tensor, colours: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Another exposure, tint and contrast, the same on picture and truth; then noise and a cut-out on the picture
    only."""
    count, size = len(rgba), rgba.shape[-1]

    def draw(spread: float, channels: int) -> Tensor:
        return torch.from_numpy(np.exp(spread * rng.normal(size=(count, channels))).astype(np.float32))

    gain, power = draw(0.10, 1) * draw(0.04, 3), draw(0.08, 1)
    rgb = (rgba[:, :3].clamp_min(1e-3) ** power[:, :, None, None] * gain[:, :, None, None]).clamp(0, 1)
    colours = (colours.clamp_min(1e-3) ** power[:, :, None] * gain[:, None]).clamp(0, 1)
    noise = torch.from_numpy(rng.standard_normal(rgb.shape, np.float32)) * (0.015 * draw(0.7, 1))[:, :, None, None]
    alpha = rgba[:, 3:].clone()
    for i in np.flatnonzero(rng.uniform(size=count) < 0.1):
        y, x = rng.integers(0, size - 4, 2)
        h, w = rng.integers(3, size // 4, 2)
        alpha[i, :, y : y + h, x : x + w] = 0
    return torch.cat([(rgb + noise).clamp(0, 1), alpha], 1), colours


def stream(
    shards: Shards, mirror: Tensor, batch: int, seed: int, start: int, known: float, ahead: int = 6
) -> Iterator[Batch]:
    """Endless batches from number `start` on; batch k depends on `seed` and k alone, so that a resumed run sees the
    same."""
    box: queue.Queue = queue.Queue(maxsize=ahead)

    def work() -> None:
        number = start
        while True:
            rng = np.random.default_rng([seed, 7, number])
            rows = shards.rows(np.sort(rng.integers(0, len(shards), batch)))
            box.put(make_batch(rows, mirror, rng, known))
            number += 1

    threading.Thread(target=work, daemon=True).start()
    while True:
        yield box.get()
