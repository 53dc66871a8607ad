"""Which frames of a recording are left out, and where its film was cut, told from the places of all frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mousefacelift.capture.config import LocateConfig, RecordingSource
from mousefacelift.capture.place import Place

CUT_CHANGE = 3.5  # a frame whose silhouettes change this many times the usual amount (and by half) follows a cut
CUT_MIN_CHANGE = 0.5
CUT_GAP = 3  # steps between used frames; a cut often takes a frame or two with it, over more a jump tells nothing
TOO_FAST = 2000.0  # mm per second: no mouse runs that fast, so a step is a cut whatever lies beside it
ALONE = 2.5  # times longer than the steps beside it: a cut; an animal needs more than a frame to start and to stop
MIN_FRAMES = 8  # fewer do not tell what is usual
MIN_DROP = 0.08  # of hull IoU or ray agreement: less is never an outlier, however alike the other frames are


def exclude_frames(places: Sequence[Place], source: RecordingSource, config: LocateConfig) -> dict[int, str]:
    """Frame -> reason; `include` of the configuration overrules every reason but a centre that was not found."""
    reasons = {}
    for place in places:
        empty = np.flatnonzero(place.area == 0)
        if place.frame in source.exclude:
            reasons[place.frame] = "listed under exclude"
        elif place.center is None:
            reasons[place.frame] = "animal not found: fewer than three masks or no common body"
        elif place.frame in source.include:
            continue
        elif len(empty):
            reasons[place.frame] = f"no mask in view {', '.join(map(str, empty))}"
        elif place.border.max() > config.max_border_share:
            reasons[place.frame] = f"animal cut by the picture's border in view {int(place.border.argmax())}"
        elif np.nanmean(place.hull_iou) < config.min_hull_iou:
            reasons[place.frame] = f"silhouettes disagree: hull IoU {np.nanmean(place.hull_iou):.2f}"
        elif np.nanmin(place.hull_iou) < config.min_view_hull_iou:
            view = int(np.nanargmin(place.hull_iou))
            reasons[place.frame] = f"silhouettes disagree: hull IoU {place.hull_iou[view]:.2f} in view {view}"
    return reasons


def exclude_outliers(places: Sequence[Place], source: RecordingSource, config: LocateConfig) -> dict[int, str]:
    """Frame -> reason, where one view agrees with the others far less than it usually does; `include` overrules.

    Per frame the largest drop over the views of hull IoU (and of ray agreement) below the view's own median counts; an
    outlier lies `outlier_spread` robust standard deviations above the usual drop. Such a frame is one that a camera did
    not film (a lost frame at a cut), or whose mask is broken.
    """
    if len(places) < MIN_FRAMES:
        return {}
    reasons = {}
    for name, title in (("ray_agreement", "ray agreement"), ("hull_iou", "hull IoU")):
        values = np.stack([getattr(place, name) for place in places])
        usual = np.nanmedian(values, axis=0)
        drops = np.nan_to_num(usual - values, nan=-1.0)
        worst = drops.max(1)
        spread = 1.4826 * np.median(np.abs(worst - np.median(worst)))
        limit = max(np.median(worst) + config.outlier_spread * spread, MIN_DROP)
        for t in np.flatnonzero(worst > limit):
            view = int(drops[t].argmax())
            reasons[places[t].frame] = (
                f"silhouettes disagree: {title} {values[t, view]:.2f} in view {view}, usually {usual[view]:.2f}"
            )
    return {frame: reason for frame, reason in reasons.items() if frame not in source.include}


def find_cuts(
    places: Sequence[Place],
    frames: np.ndarray,
    centers: np.ndarray,
    source: RecordingSource,
    config: LocateConfig,
    fps: float,
) -> list[int]:
    """First used frames after a cut: known ones, jumps of the centre, and sudden changes of all silhouettes.

    A jump is faster than any mouse, or stands alone: an animal that runs moves far in the steps beside it too.
    """
    cuts = {frame for frame in source.cuts if frames[0] < frame <= frames[-1]}
    steps = np.linalg.norm(np.diff(centers, axis=0), axis=1)
    gaps = np.diff(frames)
    nearest = gaps.min() if len(gaps) else 1
    neighbours = gaps == nearest
    usual = float(np.median(steps[neighbours])) if neighbours.any() else 0.0
    limits = np.maximum(config.cut_jump_mm, 4 * usual) + 2 * usual * (gaps / nearest - 1)
    jumps = (steps > limits) & ((steps * fps > TOO_FAST * gaps) | (steps > ALONE * _beside(steps, neighbours)))
    for position in np.flatnonzero((gaps <= CUT_GAP * nearest) & jumps):
        cuts.add(int(frames[position + 1]))
    changes = np.array([place.change for place in places])
    known = changes[np.isfinite(changes)]
    if len(known):
        limit = max(CUT_MIN_CHANGE, CUT_CHANGE * float(np.median(known)))
        first_after = np.searchsorted(frames, [place.frame for place in places if place.change > limit])
        cuts |= {int(frames[position]) for position in first_after if 0 < position < len(frames)}
    return sorted(cuts)


def _beside(steps: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Length [T - 1] of the longer of the steps before and after each one; steps across left-out frames are not
    asked."""
    asked = np.pad(np.where(neighbours, steps, 0.0), 1)
    return np.maximum(asked[:-2], asked[2:])
