"""Time offsets, small corrections of the cameras, and the growth of the masks: found together, because each hides the others.

A calibration that is off by more than the animal moves in a frame covers a lost frame, and a lost frame pulls the
correction; masks that are fat in one view and thin in another pull both. Used by the audit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mousefacelift.capture.config import AuditConfig
from mousefacelift.capture.refine import MIN_GAIN, Refinement, apply_correction, held_out_error, refine, split_frames
from mousefacelift.capture.silhouettes import Silhouettes
from mousefacelift.capture.sync import apply_offsets, find_offsets
from mousefacelift.capture.tangency import Poses

ROUNDS = 4  # of synchronisation and refinement in turn
GROWTH_ROUNDS = 3
GROWTH_STEP = 0.6  # of the outlines' difference: a shrunk mask loses its thin tips, which moves its outline by more than its edge


@dataclass(frozen=True)
class Alignment:
    """What brings the views together.

    Attributes:
        silhouettes: in common frames, masks grown.
        offsets, sync: see `find_offsets`.
        correction: of the cameras.
        growth: [V] px by which the masks were grown.
    """

    silhouettes: Silhouettes
    offsets: list
    sync: dict
    correction: Refinement
    growth: np.ndarray


def align(read: Callable[[np.ndarray], Silhouettes], poses: Poses, config: AuditConfig, width: float) -> Alignment:
    """The alignment that held-out frames prefer.

    Args:
        read: growth [V] -> silhouettes in file frames.
        width: image width, px.
    """
    best = _align(read, poses, config, width, np.zeros(len(poses.center)))
    for _ in range(GROWTH_ROUNDS):
        if best.correction.kind == "off":
            break
        trial = _align(read, poses, config, width, best.growth + GROWTH_STEP * best.correction.border)
        if _disagreement(trial, poses) >= MIN_GAIN * _disagreement(best, poses):
            break
        best = trial
    return best


def _align(read, poses: Poses, config: AuditConfig, width: float, growth: np.ndarray) -> Alignment:
    silhouettes = read(growth)
    offsets, sync, correction = synchronise_and_refine(silhouettes, poses, config, width)
    return Alignment(apply_offsets(silhouettes, offsets), offsets, sync, correction, growth)


def _disagreement(found: Alignment, poses: Poses) -> float:
    """Held-out px of tangency with the masks as they are."""
    _, test = split_frames(found.silhouettes)
    plain = replace(found.correction, border=np.zeros_like(found.correction.border))
    return held_out_error(found.silhouettes.select(test), poses, plain)


def synchronise_and_refine(silhouettes: Silhouettes, poses: Poses, config: AuditConfig,
                           width: float) -> tuple[list, dict, Refinement]:
    """Time offsets per camera, the numbers behind them, and the correction of the cameras.

    Offsets are searched again under the corrected cameras, and the correction is then made anew, until the offsets stay.
    """
    offsets, sync = find_offsets(silhouettes, poses, config.max_offset)
    correction = refine(apply_offsets(silhouettes, offsets), poses, config.refine, width)
    for _ in range(ROUNDS):
        if correction.kind == "off":
            break
        corrected = apply_correction(poses, correction.shift, correction.rotation)
        again, numbers = find_offsets(silhouettes, corrected, config.max_offset)
        if again == offsets:
            break
        offsets, sync = again, numbers
        correction = refine(apply_offsets(silhouettes, offsets), poses, config.refine, width)
    return offsets, sync, correction
