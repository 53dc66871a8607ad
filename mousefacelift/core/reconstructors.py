"""Kinds of reconstructor and the names of their sizes, as the configuration may name them; their networks are built by
`lrm/models.py`, which has the sizes."""

from __future__ import annotations

PRESET_NAMES = {
    "gslrm": ("facelift", "base", "small", "small_plain", "small_plain_bounded", "tiny"),
    "lgm": ("big", "small", "tiny"),
}

# Norm of a step's gradients above which it is not applied, where `train.optimizer.skip_norm` leaves it open. GS-LRM
# begins with norms of 0.1 to 0.2, LGM, whose first Gaussians fill the room, with 26 (`tiny` and `small`).
SKIP_NORM = {"gslrm": 20.0, "lgm": 2000.0}
