"""Small images of hundreds of frames, kept while each frame's large ones come and go.

They lie in a few blocks, each allocated at once: kept one by one between large temporary arrays they would scatter the
process's memory, and what is freed could not be used again (measured: 8 MB lost per frame of 512 px).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
import torch
from torch import Tensor

BLOCK = 256  # entries of a block; memory that no entry has filled is not really taken


class SmallImages:
    """Half-precision arrays by key; equal shapes share blocks."""

    def __init__(self) -> None:
        self._blocks: dict[tuple[int, ...], list[np.ndarray]] = {}
        self._counts: dict[tuple[int, ...], int] = {}
        self._places: dict[Hashable, tuple[tuple[int, ...], int]] = {}

    def add(self, key: Hashable, images: Tensor) -> None:
        """Keep `images` of any shape under a new key."""
        shape = tuple(images.shape)
        blocks, place = self._blocks.setdefault(shape, []), self._counts.get(shape, 0)
        if place == BLOCK * len(blocks):
            blocks.append(np.zeros((BLOCK, *shape), np.float16))
        blocks[-1][place % BLOCK] = images.numpy()
        self._counts[shape], self._places[key] = place + 1, (shape, place)

    def __getitem__(self, key: Hashable) -> Tensor:
        """float32 images of a key."""
        shape, place = self._places[key]
        return torch.from_numpy(self._blocks[shape][place // BLOCK][place % BLOCK].astype(np.float32))

    def stack(self, keys: Iterable[Hashable]) -> Tensor:
        """float32 [N, ...] of N keys of one shape."""
        keys = list(keys)
        stacked = torch.empty(len(keys), *self._places[keys[0]][0])
        for row, key in enumerate(keys):
            stacked[row] = self[key]
        return stacked
