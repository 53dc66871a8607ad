"""What in the vectors is pose, and what is the camera: learnt from a recording that several cameras filmed.

The vectors of one moment differ between cameras by nothing but error. Directions in which they differ much are shrunk,
those in which moments differ are kept: Fisher's discriminant with every moment a class (Fisher 1936), its within-class
covariance drawn toward a ball because moments are few. Learnt on training frames only, so that the share of triples on
the others is honest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mousefacelift.errors import DataError

SHRINK = 0.2  # share of the ball in the within-moment covariance
KEPT = 16  # directions kept at most
FEWEST = 4  # moments below which nothing is learnt


@dataclass(frozen=True)
class ViewMetric:
    """invariant = (vector - mean) @ projection.

    Args:
        mean: [C]. projection: [C, K], K at most KEPT and at most the moments less one.
    """

    mean: np.ndarray
    projection: np.ndarray

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """[N, K] of vectors [N, C]: Euclidean distances between them are distances of pose."""
        return (vectors - self.mean) @ self.projection


def learn_metric(vectors: np.ndarray, moments: np.ndarray) -> ViewMetric:
    """The metric of vectors [N, C] with the number of their moment [N].

    Every direction is weighted by the share of its spread that is between moments.

    Raises:
        DataError: too few moments, or none with several cameras.
    """
    names, place, counts = np.unique(moments, return_inverse=True, return_counts=True)
    if len(names) < FEWEST or counts.max() < 2:
        raise DataError(
            "too few moments to learn what in a vector is pose",
            got=f"{len(names)} moments, at most {counts.max() if len(counts) else 0} cameras",
            expected=f"{FEWEST} moments of several cameras",
        )
    means = np.stack([vectors[place == k].mean(0) for k in range(len(names))])
    away = vectors - means[place]
    within = away.T @ away / len(vectors)
    ball = np.trace(within) / len(within) * np.eye(len(within))
    values, axes = np.linalg.eigh((1 - SHRINK) * within + SHRINK * ball)
    whiten = axes / np.sqrt(np.maximum(values, 1e-12))
    between, turn = np.linalg.eigh(whiten.T @ np.cov(means.T) @ whiten)
    order = np.argsort(-between)[: min(KEPT, len(names) - 1)]
    weight = np.sqrt(np.maximum(between[order], 0) / (np.maximum(between[order], 0) + 1))
    return ViewMetric(vectors.mean(0), whiten @ turn[:, order] * weight)
