"""Which of many things to look at, when a few of them tell enough."""

from __future__ import annotations

import numpy as np


def spread(count: int, most: int) -> np.ndarray:
    """At most `most` of the positions 0 .. count - 1, evenly spread, both ends among them."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))
