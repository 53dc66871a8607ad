"""Why cameras do not agree with their masks: one change of all cameras that would make them agree, named when there is.

Tried when an audit refuses: videos that were undistorted after the calibration, cameras of other rates, files in
another order, videos that were resized (one factor on every matrix), cameras that started further apart than the audit
looks. Undistorted videos, and focal lengths that are all off by one factor, are also looked for in a rig that passes: a
small correction of each camera can hide them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from scipy.optimize import minimize_scalar

from mousefacelift.capture.align import Alignment
from mousefacelift.capture.audit_gates import HOPELESS
from mousefacelift.capture.border import SAME, border_agreement
from mousefacelift.capture.clip import Clip
from mousefacelift.capture.config import AuditConfig
from mousefacelift.capture.conventions import score_conventions
from mousefacelift.capture.lens import Lens
from mousefacelift.capture.order import best_order, reorder
from mousefacelift.capture.picture_change import UNCHANGED, Readings, best_crop, best_factor, relens
from mousefacelift.capture.recording import Recording
from mousefacelift.capture.refine import held_out_error, refine, split_frames
from mousefacelift.capture.sampling import read_silhouettes
from mousefacelift.capture.silhouettes import Silhouettes
from mousefacelift.capture.sources import split_object
from mousefacelift.capture.starts import find_starts
from mousefacelift.capture.tangency import Poses
from mousefacelift.errors import CalibrationError, DataError

ALL_KEPT = "the K of all pixels kept"
FEW = 16  # frames that an explanation is tried on
EXPLAINED = 0.25 * HOPELESS  # of the width: what is left of the disagreement under a true explanation
BETTER = 0.5  # and it must be below this share of what there is without
OTHER_RATE = 0.05  # log of a factor on the rate, and how well the lengths must follow it
FOCAL_LOGS = (-0.2, 0.2)  # logs of the factors on the focal lengths that an undistortion may bring
NOTICED = 0.003  # of the width: disagreement below that needs no other explanation than small errors
WIDE = 600  # frames: starts further apart than that are not looked for unasked


class CauseFound(CalibrationError):
    """A refusal that says already what would make the cameras agree."""


def explain_refusal(
    recording: Recording, lenses: Sequence[Lens], clip: Clip, picked: np.ndarray, stamped: list, config: AuditConfig
) -> None:
    """Say what would make refused cameras agree with their masks, if something does.

    Raises:
        CalibrationError, DataError: such a cause was found.
    """
    few = picked[:: max(1, len(picked) // FEW)]
    silhouettes = read_silhouettes(recording.masks, lenses, clip.sizes, few, None, stamped)
    stated = _tangency(recording, lenses, clip, silhouettes)
    for name, plain in undistorted_lenses(lenses, clip).items():
        found = _tangency(recording, plain, clip, relens(silhouettes, lenses, plain))
        if _explains(found, stated):
            raise _undistorted(recording, name, found, stated)
    _explain_rates(recording, clip)
    _explain_order(recording, lenses, clip, silhouettes, stated)
    _explain_changed_pictures(recording, lenses, clip, silhouettes, stated)
    if not recording.timestamps:
        _explain_starts(recording, lenses, clip, config)


def require_lens_of_the_videos(
    recording: Recording, lenses: Sequence[Lens], clip: Clip, found: Alignment, poses
) -> None:
    """Refuse a rig whose videos agree clearly better without the stated distortion, or with other focal lengths.

    A small correction of each camera can hide both: a change of all cameras at once is believed when it alone halves
    the disagreement that was there before any correction, and leaves less after one.

    Args:
        found: the alignment under `lenses`. poses: the cameras before its correction.
    Raises:
        CalibrationError: the videos were undistorted after the calibration.
    """
    width = float(np.mean([w for w, _ in clip.sizes]))
    stated = found.correction
    _refuse_border(recording, lenses, clip, found.silhouettes.frames)
    left = stated.before if stated.kind == "off" else stated.after
    if not np.isfinite(stated.before) or stated.before < NOTICED * width:
        return
    _, test = split_frames(found.silhouettes)
    nothing = replace(stated, kind="off", **_zeros(len(lenses)))

    def under(others: Sequence[Lens]) -> tuple[Silhouettes, Poses]:
        focal = np.array([lens.fxfycxcy[:2].mean() for lens in others])
        return relens(found.silhouettes, lenses, others), Poses(poses.rotation, poses.center, focal, poses.shift)

    def error(others: Sequence[Lens]) -> float:
        silhouettes, moved = under(others)
        return held_out_error(silhouettes.select(test), moved, nothing)

    def believed(others: Sequence[Lens]) -> bool:
        if error(others) > BETTER * stated.before:
            return False
        other = refine(*under(others), "auto", width)
        return (other.before if other.kind == "off" else other.after) < left

    for name, plain in undistorted_lenses(lenses, clip).items():
        if believed(plain):
            raise _undistorted(recording, name, error(plain) / width, stated.before / width)
    best = minimize_scalar(lambda log: error(_zoomed(lenses, log)), bounds=FOCAL_LOGS, options={"xatol": 1e-3})
    if abs(best.x) > UNCHANGED and believed(_zoomed(lenses, best.x)):
        raise _other_focal(recording, float(np.exp(best.x)), best.fun / width, stated.before / width)


def _refuse_border(recording: Recording, lenses: Sequence[Lens], clip: Clip, frames: np.ndarray) -> None:
    """Refuse distortion on videos that show the border of its removal."""
    kept = undistorted_lenses(lenses, clip).get(ALL_KEPT)
    few = frames[np.linspace(0, len(frames) - 1, 3).round().astype(int)]
    same = border_agreement(recording.videos, lenses, kept, clip.sizes, few) if kept else 0.0
    if same > SAME:
        raise CauseFound(
            f"calibration of '{recording.name}' is that of distorted pictures, its videos are undistorted",
            got=f"the videos' black border is the one that undistorting by this calibration leaves (IoU {same:.2f})",
            expected=f"none like it (IoU below {SAME})",
            likely="videos that were undistorted with all pixels kept (alpha 1), beside the file of the calibration",
            hint="set every camera's distortion to 0 and K to cv2.getOptimalNewCameraMatrix(K, distortion, size, 1), "
            "or give the original videos",
        )


def _zoomed(lenses: Sequence[Lens], log_factor: float) -> list[Lens]:
    """The lenses with all focal lengths (and the skew) times one factor, principal points as they are."""
    factor = np.exp(log_factor)
    return [
        Lens(lens.K * [[factor, factor, 1], [1, factor, 1], [1, 1, 1]], lens.distortion, lens.model) for lens in lenses
    ]


def _other_focal(recording: Recording, factor: float, found: float, stated: float) -> CauseFound:
    return CauseFound(
        f"focal lengths of '{recording.name}' are not those of its videos",
        got=f"tangency {found:.2%} of the width with every focal length times {factor:.3f}, {stated:.2%} as stated",
        expected="the camera matrix of the videos that are given",
        likely="K of the distorted pictures on videos that were undistorted with a new matrix (one focal factor for "
        "all cameras), or a zoom that was changed",
        hint="take the new camera matrix of the undistortion, or give the original videos with their distortion",
    )


def _zeros(views: int) -> dict[str, np.ndarray]:
    return {"shift": np.zeros((views, 2)), "rotation": np.zeros((views, 3)), "border": np.zeros(views)}


def undistorted_lenses(lenses: Sequence[Lens], clip: Clip) -> dict[str, list[Lens]]:
    """The lenses of videos that OpenCV undistorted, by how it was asked: with the same matrix, or a new one.

    Nothing where no lens has distortion; a new matrix is left out where OpenCV finds none.
    """
    if not any(lens.distortion.any() for lens in lenses):
        return {}
    found = {"the same K": [Lens(lens.K) for lens in lenses]}
    if all(lens.model == "brown" for lens in lenses):
        for alpha, name in ((0.0, "the K of all pixels valid"), (1.0, ALL_KEPT)):
            matrices = [_new_matrix(lens, size, alpha) for lens, size in zip(lenses, clip.sizes)]
            if all(np.isfinite(K).all() and min(K[0, 0], K[1, 1]) > 1 for K in matrices):
                found[name] = [Lens(K) for K in matrices]
    return found


def _new_matrix(lens: Lens, size: tuple[int, int], alpha: float) -> np.ndarray:
    """[3, 3] of the undistorted pictures, in +0.5 pixels; not finite, or without focal length, where OpenCV fails."""
    half = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    K = lens.K - half
    K[0, 1] = 0
    return cv2.getOptimalNewCameraMatrix(K, lens.distortion, size, alpha)[0] + half


def _tangency(recording: Recording, lenses: Sequence[Lens], clip: Clip, silhouettes: Silhouettes) -> float:
    """Disagreement under the best convention, a share of the picture's width."""
    return score_conventions(recording.cameras, lenses, [w for w, _ in clip.sizes], silhouettes)[0].tangency


def _explains(found: float, stated: float) -> bool:
    return found < EXPLAINED and found < BETTER * stated


def _undistorted(recording: Recording, name: str, found: float, stated: float) -> CauseFound:
    return CauseFound(
        f"calibration of '{recording.name}' is that of distorted pictures, its videos are undistorted",
        got=f"tangency {found:.2%} of the width without the lens distortion ({name}), {stated:.2%} with it",
        likely="videos that were undistorted after the calibration, whose file still holds the distortion",
        hint="set every camera's distortion to 0 and K to that of the undistorted videos, or give the original videos",
    )


def _explain_rates(recording: Recording, clip: Clip) -> None:
    """Cameras that filmed at other rates than the others: their headers and their lengths say so alike."""
    rates, lengths = np.array(clip.rates), np.array(clip.frames)
    if len(rates) == 0 or rates.min() <= 0 or recording.timestamps:
        return
    rate, length = rates / np.median(rates), lengths / np.median(lengths)
    other = (np.abs(np.log(rate)) > OTHER_RATE) & (np.abs(np.log(length / rate)) < OTHER_RATE)
    if other.any():
        raise CauseFound(
            f"cameras of '{recording.name}' filmed at different rates",
            got=", ".join(f"{c.name}: {n} frames at {r:g}/s" for c, n, r in zip(recording.cameras, lengths, rates)),
            expected="one rate: frame n of every camera at the same moment",
            hint="write all videos and masks at the slowest rate (ffmpeg -i IN -r RATE OUT), give the recording's "
            "timestamps (a CSV per camera), or leave cameras out: drop_cameras: "
            f"{[c.name for c, wrong in zip(recording.cameras, other) if wrong]}",
        )


def _explain_order(recording, lenses, clip, silhouettes: Silhouettes, stated: float) -> None:
    """Files that belong to other cameras than they are read for."""
    order, alike = best_order(recording.cameras, lenses, clip.sizes, silhouettes)
    if order == sorted(order):
        return
    found = _tangency(recording, lenses, clip, reorder(silhouettes, lenses, order))
    if _explains(found, stated):
        names = [camera.name for camera in recording.cameras]
        files = [Path(split_object(path)[0]).name for path in recording.masks]
        said = ", ".join(f"{files[file]} is camera {names[v]}'s" for v, file in enumerate(order) if v != file)
        raise CauseFound(
            f"files of '{recording.name}' belong to other cameras than they are read for",
            got=f"tangency {found:.2%} of the width when {said}; {stated:.2%} as they are read"
            + (f"; {alike} other orders fit as well (a ring of even steps, turned)" if alike else ""),
            likely="cables or file numbers in another order than the calibration's cameras",
            hint="look which file is which camera's, and rename masks and videos"
            if alike
            else "rename the masks and, where they are in the same order, the videos; capture masks --show draws both",
        )


def _explain_changed_pictures(recording, lenses, clip, silhouettes: Silhouettes, stated: float) -> None:
    """Pictures that were resized, or cropped alike, after the calibration; the change that leaves less."""
    known = Readings.of(recording.cameras, lenses, clip.sizes, silhouettes)
    changed: dict[str, list[Lens]] = {}
    factor, crop = best_factor(known), best_crop(known)
    if factor is not None:
        changed["resized"] = [lens.scaled(factor) for lens in lenses]
    if crop is not None:
        changed["cropped"] = [lens.shifted(-crop) for lens in lenses]
    left = {how: _tangency(recording, new, clip, relens(silhouettes, lenses, new)) for how, new in changed.items()}
    how = min(left, key=lambda name: left[name], default="")
    if not how or not _explains(left[how], stated):
        return
    said = f"tangency {left[how]:.2%} of the width with every"
    if how == "resized":
        raise CauseFound(
            f"videos of '{recording.name}' were resized after the calibration",
            got=f"{said} matrix times {factor:.4g}, {stated:.2%} without",
            expected="the calibration's own picture size",
            likely=f"videos at {factor:.4g} times the calibrated size: one focal factor for all cameras explains it",
            hint=f"multiply the first two rows of every matrix by {factor:.4g}, or give the original videos",
        )
    raise CauseFound(
        f"videos of '{recording.name}' were cropped after the calibration",
        got=f"{said} principal point moved by ({-crop[0]:.0f}, {-crop[1]:.0f}) px, {stated:.2%} without",
        expected="principal points of the pictures that are given",
        likely="a region of the pictures was cut out (ffmpeg crop, a region of interest of the cameras)",
        hint="subtract the left and top border that were cut off from every cx and cy, or give the original videos "
        "(the silhouettes tell how much to the left better than how much above)",
    )


def _explain_starts(recording: Recording, lenses, clip: Clip, config: AuditConfig) -> None:
    """Starts further apart than the audit looked."""
    if config.max_offset >= WIDE or min(clip.frames) < 3 * FEW:
        return
    found = find_starts(recording, lenses, clip, min(WIDE, max(clip.frames) // 2))
    late = int(found.offsets.max())
    if found.believed and late > config.max_offset:
        apart = ", ".join(f"{camera.name}: {late - int(o)}" for camera, o in zip(recording.cameras, found.offsets))
        raise DataError(
            f"cameras of '{recording.name}' did not start together",
            got=f"silhouettes agree ({found.cost:.2%} of the width) when they started late by, in frames, {apart}",
            expected=f"at most {config.max_offset} frames apart (capture.audit.max_offset)",
            hint=f"set capture.audit.max_offset: {2 * late}, or give the recording's timestamps (a CSV per camera)",
        )
