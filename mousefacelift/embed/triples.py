"""Is the same moment, seen from different cameras, nearer than another moment? The test that an embedding must pass."""

from __future__ import annotations

import numpy as np

from mousefacelift.core.spread import spread

ASKED = 500  # moments that are compared with all others


def standardise(vectors: np.ndarray) -> np.ndarray:
    """Vectors [N, C] with mean 0 and standard deviation 1 in every number that varies; the others become 0."""
    spread = vectors.std(0)
    return np.where(spread > 1e-9, (vectors - vectors.mean(0)) / np.where(spread > 1e-9, spread, 1), 0.0)


def triple_share(vectors: np.ndarray, moments: np.ndarray, apart: int = 1) -> dict[str, float]:
    """Share of all triples (a view, another view of its moment, any view of another moment) in which the own moment is
    nearer; ties count half. Of more than ASKED moments so many, evenly spread, are compared with all.

    Args:
        vectors: [N, C]. moments: [N] number of the moment of each, in time order. apart: moments that lie nearer in
            time than this are not compared: they are nearly the same pose.
    Returns:
        {"share", "triples"}; NaN without a triple.
    """
    names = np.unique(moments)
    asked = np.flatnonzero(np.isin(moments, names[spread(len(names), ASKED)])) if len(names) else ()
    won, count = 0.0, 0
    for i in asked:
        distance = np.linalg.norm(vectors[i] - vectors, axis=-1)
        is_own = moments == moments[i]
        is_own[i] = False
        own, other = distance[is_own], np.sort(distance[np.abs(moments - moments[i]) >= max(apart, 1)])
        if len(own) and len(other):
            farther = len(other) - np.searchsorted(other, own, "right")
            ties = np.searchsorted(other, own, "right") - np.searchsorted(other, own, "left")
            won += float((farther + 0.5 * ties).sum())
            count += len(own) * len(other)
    return {"share": won / count if count else float("nan"), "triples": float(count)}
