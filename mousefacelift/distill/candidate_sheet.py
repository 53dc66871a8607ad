"""Picture of every candidate of a frame, so that a person can judge the gate: what it kept, and what it refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mousefacelift.core.images import composite, contact_sheet, resize_rgba

FRAMES = {
    "accepted": (0.1, 0.6, 0.2),
    "duplicate": (0.6, 0.6, 0.6),
    "photo": (0.2, 0.4, 0.8),
    "refused": (0.8, 0.15, 0.1),
}
EDGE, BORDER = 64, 2  # pixels


def candidate_sheet(candidates: Sequence) -> np.ndarray:
    """rgb [H, W, 3]: one row per input photo, one column per output, framed green (accepted), grey (duplicate), blue (a
    photo is at this angle) or red (refused).

    Args:
        candidates: all candidates of a frame, in the order of inputs and outputs, judged (`row["status"]`).
    """
    columns = 1 + max(candidate.row["output"] for candidate in candidates)
    pictures = []
    for candidate in candidates:
        picture = np.empty((EDGE + 2 * BORDER, EDGE + 2 * BORDER, 3), np.float32)
        picture[:] = FRAMES[candidate.row["status"]]
        picture[BORDER:-BORDER, BORDER:-BORDER] = composite(resize_rgba(candidate.view.rgba, EDGE, EDGE))
        pictures.append(picture)
    return contact_sheet(pictures, columns)
