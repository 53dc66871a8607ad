"""Kinds of reconstructor and the names of their sizes, as the configuration may name them; their networks are built by
`lrm/models.py`, which has the sizes."""

from __future__ import annotations

PRESET_NAMES = {
    "gslrm": ("facelift", "base", "small", "small_plain", "small_plain_bounded", "tiny"),
    "lgm": ("big", "small", "tiny"),
}
