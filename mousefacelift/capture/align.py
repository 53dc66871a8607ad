"""Time offsets, small corrections of the cameras, and the growth of the masks: found together, because each hides the
others.

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
GROWTH_STEP = (
    0.6  # of the outlines' difference: a shrunk mask loses its thin tips, which moves its outline by more than its edge
)
MAX_GROWTH = 3.5 / 1152  # of the image width: masks that are off by more lack parts or hold others


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
        step = GROWTH_STEP * best.correction.border
        # where a tail is as thin as a pixel, shrinking a mask may break it off; growing the thin ones alone never does
        limit_px = MAX_GROWTH * width
        changed = (np.clip(best.growth + change, -limit_px, limit_px) for change in (step, np.maximum(step, 0)))
        trials = (_align(read, poses, config, width, growth) for growth in changed)
        limit = MIN_GAIN * _disagreement(best, poses)
        better = next((trial for trial in trials if _disagreement(trial, poses) < limit), None)
        if better is None:
            break
        best = better
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


def synchronise_and_refine(
    silhouettes: Silhouettes, poses: Poses, config: AuditConfig, width: float
) -> tuple[list, dict, Refinement]:
    """Time offsets per camera, the numbers behind them, and the correction of the cameras.

    While an animal walks straight, a late camera and a shifted principal point look alike. So two orders are tried,
    correction first (all cameras in step) and offsets first, and offsets must beat none clearly on held-out frames.
    """
    together = [[[0, 0]] for _ in poses.center]
    plain = _settle(silhouettes, poses, config, width, together, {"gain": {}})
    found, numbers = find_offsets(silhouettes, poses, config.max_offset)
    if found == together:
        return plain
    moved = _settle(silhouettes, poses, config, width, found, numbers)
    simple, other = sorted((plain, moved), key=lambda result: _complexity(result[0]))
    return other if _error(other[2]) < MIN_GAIN * _error(simple[2]) else simple


def _settle(
    silhouettes: Silhouettes, poses: Poses, config: AuditConfig, width: float, offsets: list, numbers: dict
) -> tuple[list, dict, Refinement]:
    """Correct the cameras under `offsets`, search offsets again under the corrected cameras, until they stay."""
    correction = refine(apply_offsets(silhouettes, offsets), poses, config.refine, width)
    for _ in range(ROUNDS):
        corrected = apply_correction(poses, correction.shift, correction.rotation)
        again, again_numbers = find_offsets(silhouettes, corrected, config.max_offset)
        if again == offsets:
            break
        offsets, numbers = again, again_numbers
        correction = refine(apply_offsets(silhouettes, offsets), poses, config.refine, width)
    return offsets, numbers, correction


def _complexity(offsets: list) -> int:
    """Frames by which cameras are out of step, changes included."""
    return sum(abs(runs[0][1]) + sum(abs(b[1] - a[1]) for a, b in zip(runs, runs[1:])) for runs in offsets)


def _error(correction: Refinement) -> float:
    """Held-out px of what a correction leaves."""
    return correction.before if correction.kind == "off" else correction.after
