"""Silhouettes of chosen frames of a recording, read in threads, without keeping any full picture."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mousefacelift.capture.lens import Lens
from mousefacelift.capture.silhouettes import SilhouetteMaker, Silhouettes, clean_mask, stack_silhouettes
from mousefacelift.capture.sources import open_source
from mousefacelift.capture.timeline import Runs, offset_at


def block_frames(total: int, blocks: int, length: int) -> np.ndarray:
    """Rising frame numbers: `blocks` runs of `length` consecutive frames spread over `total`, or all when that is
    more."""
    if blocks * length >= total:
        return np.arange(total)
    starts = np.linspace(0, total - length, blocks).round().astype(int)
    return np.unique(np.concatenate([start + np.arange(length) for start in starts]))


def read_silhouettes(
    masks: Sequence[str],
    lenses: Sequence[Lens],
    sizes: Sequence[tuple[int, int]],
    frames: Sequence[int],
    growth: Sequence[float] | None = None,
    offsets: Sequence[Runs] = (),
    threads: int = 2,
) -> Silhouettes:
    """Silhouettes of `frames` in all mask videos; a frame beyond a video's end is an empty silhouette.

    Args:
        growth: [V] px by which each view's masks are grown first (see `growth.py`).
        offsets: [V] runs that map `frames` to frames of each file; none means that they are the same.
    """

    def one(job) -> list[dict]:
        path, lens, size, pixels, runs = job
        maker, reader = SilhouetteMaker(lens, *size), open_source(path)
        empty = np.zeros((size[1], size[0]), np.uint8)
        try:
            numbers = [int(f) + offset_at(runs, int(f)) for f in frames]
            return [
                maker.make(clean_mask(reader.read(n), pixels) if 0 <= n < reader.frames else empty) for n in numbers
            ]
        finally:
            reader.close()

    with ThreadPoolExecutor(threads) as pool:
        grown = growth if growth is not None else [0.0] * len(masks)
        columns = list(pool.map(one, zip(masks, lenses, sizes, grown, offsets or [[[0, 0]]] * len(masks))))
    return stack_silhouettes(frames, list(zip(*columns)))
