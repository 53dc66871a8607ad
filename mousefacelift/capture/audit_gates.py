"""What an audit refuses, each with what it found, what it needs and what is likely wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mousefacelift.capture.config import AuditConfig
from mousefacelift.capture.conventions import Convention
from mousefacelift.capture.lens import Lens
from mousefacelift.capture.mask_faults import STATIC, MaskFaults
from mousefacelift.capture.picture_match import PictureMatch
from mousefacelift.capture.recording import Recording
from mousefacelift.capture.silhouettes import Silhouettes
from mousefacelift.capture.sources import open_source
from mousefacelift.capture.suspects import find_suspect
from mousefacelift.errors import CalibrationError, DataError

THRESHOLD = 127  # of 255: what is brighter in a mask is the animal
FOLDED = 0.4  # of a picture: the corners of a fisheye's are a fifth
TOO_FULL = 0.7  # of a picture: no lens shows an animal so large and whole
HOPELESS = 0.06  # of the image width: no refinement brings that down, the convention itself is not confirmed


def require_silhouettes(silhouettes: Silhouettes, recording: Recording, sizes: Sequence[tuple[int, int]]) -> None:
    """Refuse a camera whose masks are empty in most of the frames asked for, or fill most of its picture, and cameras
    of which no two ever show the animal whole; `sizes` are (width, height) px."""
    share = (silhouettes.area > 0).mean(0)
    if share.min() < 0.5:
        worst = int(share.argmin())
        light = _brightest(recording.masks[worst], silhouettes.frames)
        raise DataError(
            f"masks of camera {recording.cameras[worst].name} of {recording.name} are mostly empty",
            got=f"{share[worst]:.0%} of the frames asked for with a mask; the brightest pixel of three has {light}",
            expected=f"at least half, the animal brighter than {THRESHOLD} of 255",
            likely="labels of 1, or a colour, in a video: white (255) is meant"
            if 0 < light <= THRESHOLD
            else "a segmentation that lost the animal, or a camera that does not see it",
            hint="write the masks white on black, or as PNG files, where any value but 0 is the animal"
            if 0 < light <= THRESHOLD
            else "mousefacelift capture masks FOLDER --show PAGE.html draws the masks over the videos",
        )
    filled = np.median(silhouettes.area / np.prod(sizes, axis=1), axis=0)
    full = [camera.name for camera, share in zip(recording.cameras, filled) if share > TOO_FULL]
    if full:
        raise DataError(
            f"masks of camera {', '.join(full)} of {recording.name} fill most of the picture",
            got=f"up to {filled.max():.0%} of it",
            expected=f"the animal alone, at most {TOO_FULL:.0%}",
            likely="an inverted mask: the animal must be white, the background black",
        )
    if silhouettes.usable.sum(1).max() < 2:
        raise DataError(
            f"no frame of {recording.name} shows the animal whole in two cameras",
            got=f"masks that the picture cuts in {(silhouettes.border > 0).mean():.0%} of all",
            expected="masks that do not touch the border of their picture",
            likely="masks with a frame or a wall in them, or pictures cropped closer than the animal",
        )


def require_lenses(recording: Recording, lenses: Sequence[Lens], sizes: Sequence[tuple[int, int]]) -> None:
    """Refuse a lens that folds its picture: pixels to which no direction leads; `sizes` are (width, height) px."""
    for camera, lens, (width, height) in zip(recording.cameras, lenses, sizes):
        x, y = np.meshgrid(np.linspace(0, width, 17), np.linspace(0, height, 15))
        pixels = np.stack([x.ravel(), y.ravel()], -1)
        miss = np.linalg.norm(lens.distort(lens.undistort(pixels)) - pixels, axis=1)
        folded = float((~(miss < 1)).mean())
        if folded > FOLDED:
            raise CalibrationError(
                f"lens of camera {camera.name} of '{recording.name}' folds its picture",
                got=f"no direction leads to {folded:.0%} of its pixels; distortion {lens.distortion.tolist()}",
                expected=f"at most {FOLDED:.0%}",
                likely="distortion coefficients in another order (OpenCV: k1 k2 p1 p2 k3, MATLAB: k1 k2 k3 and p1 p2), "
                "or a fisheye's read as a plain lens's",
                hint="mousefacelift capture readers: what each format holds; write the coefficients in OpenCV's order",
            )


def _brightest(path: str, frames: np.ndarray) -> int:
    """The largest grey value, 0 to 255, of three of the frames of a mask file."""
    reader = open_source(path)
    try:
        few = frames[np.linspace(0, len(frames) - 1, 3).round().astype(int)]
        return max((int(reader.read(int(f)).luma().max()) for f in few if f < reader.frames), default=0)
    finally:
        reader.close()


def choose_convention(scores: list, recording: Recording, config: AuditConfig) -> Convention:
    """The convention under which the silhouettes agree, if one clearly does."""
    best, second = scores[0], scores[1]
    if best.tangency > HOPELESS:
        raise CalibrationError(
            f"cameras of '{recording.name}' do not agree with their masks under any convention",
            got=f"best '{best.convention}': tangency {best.tangency:.1%} of the image width",
            expected=f"below {HOPELESS:.1%}",
            likely=(
                "translations rescaled per camera, cameras in another order than the videos, or another recording's "
                "file"
            ),
            hint="check that video {camera} belongs to camera {camera}; mousefacelift capture readers",
        )
    if second.tangency < config.clear_factor * best.tangency:
        raise CalibrationError(
            f"convention of the calibration of '{recording.name}' is not clear",
            got=f"'{best.convention}' {best.tangency:.2%}, '{second.convention}' {second.tangency:.2%}",
            expected=f"the best {config.clear_factor:g} times better than the next",
            likely="too few frames with motion",
        )
    return best.convention


def require_nothing_static(faults: MaskFaults, recording: Recording) -> None:
    """Refuse masks that hold what never moves: views may agree on it as well as on an animal."""
    fixed = [c.name for c, share in zip(recording.cameras, faults.static) if share > STATIC]
    if fixed:
        raise DataError(
            f"masks of camera {', '.join(fixed)} of '{recording.name}' hold something that never moves",
            got=f"up to {faults.static.max():.0%} of a mask stays where it is while the animal is elsewhere",
            expected=f"at most {STATIC:.0%}",
            likely="bedding, a wall, a cable or the floor in the masks (static foreground)",
            hint="segment again without it, for example against the median picture of each camera",
        )


def require_one_body(faults: MaskFaults, recording: Recording) -> None:
    """Refuse masks on whose two separate bodies all views agree."""
    if faults.bodies > 1:
        raise DataError(
            f"masks of '{recording.name}' hold {faults.bodies} separate bodies that all cameras agree on",
            expected="one animal",
            likely="a second animal, or an object that was segmented with the animal",
            hint="keep one of them in all masks of a frame; only one animal is reconstructed",
        )


def require_no_suspect(silhouettes, poses, width, config, recording, faults: MaskFaults) -> None:
    """Refuse a rig of which one camera contradicts the rest."""
    suspect = find_suspect(silhouettes, poses, width, config.max_shift)
    if suspect is None:
        return
    name = recording.cameras[suspect.camera].name
    twin = "" if suspect.twin is None else f" of camera {recording.cameras[suspect.twin].name}'s"
    masks, reason = faults.says[suspect.camera], suspect.reason + twin
    if twin:  # that is certain, whatever its masks then seem to lack
        masks = ""
    others = "" if masks or twin else _mask_reasons(recording, faults)
    if masks:
        reason = f"{reason}; or not the camera but {masks}" if suspect.shifted else f"{masks}; if not, {reason}"
    elif others:  # with few cameras, what is wrong with one's masks may show in those of the camera opposite
        reason = f"{reason}; or not the camera but masks: {others}"
    what = "masks or calibration" if masks or others else "calibration"
    what = "video and masks" if twin and "video" in suspect.reason else what
    raise CalibrationError(
        f"camera {name} of '{recording.name}' contradicts the other cameras",
        got=(
            f"tangency {suspect.disagreement:.1f} px with the others, {suspect.without:.1f} px among the others "
            "without it"
        ),
        likely=reason,
        hint=f"correct its {what}, or leave it out: drop_cameras: ['{name}']",
    )


def require_small_corrections(
    report: dict, width: float, config: AuditConfig, recording: Recording, faults: MaskFaults
) -> None:
    """Refuse a rig that agrees only after a camera was moved further than a calibration is ever off."""
    moved = [np.hypot(*row["applied_shift_px"]) for row in report["cameras"]]
    worst = int(np.argmax(moved))
    if moved[worst] > config.max_shift * width:
        raise CalibrationError(
            f"cameras of '{recording.name}' agree with their masks only after moves that no true calibration needs",
            got=", ".join(f"{c.name} by {m:.0f} px" for c, m in zip(recording.cameras, moved)),
            expected=f"at most {config.max_shift * width:.0f} px (capture.audit.max_shift)",
            likely=_mask_reasons(recording, faults)
            or "masks that hold something else than the animal in all views (bedding, floor), or K of other pictures",
            hint="look at the picture of the silhouettes",
        )


def require_likely_animal(report: dict, config: AuditConfig, recording: Recording) -> None:
    """Refuse a body that no animal of this kind has, however well the views agree on it."""
    animal = report["animal"]
    low, high = config.animal_volume_cm3
    (shortest, longest), length = config.animal_length_mm, animal["length_mm"]
    if low <= animal["hull_volume_cm3"] <= high and shortest <= length <= longest:
        return
    raise CalibrationError(
        f"the silhouettes of '{recording.name}' agree on a body that is no such animal",
        got=f"{length:.0f} mm long, {animal['hull_volume_cm3']:.1f} cm3 of visual hull",
        expected=f"{shortest:g} to {longest:g} mm, {low:g} to {high:g} cm3",
        likely="masks that hold bedding, floor or a second animal; another unit; or an animal of another kind",
        hint="look at the picture of the silhouettes; where the calibration's unit is its own (squares of a board), "
        "set the recording's mm_per_unit or length_mm; capture.audit.animal_length_mm and animal_volume_cm3",
    )


def require_agreement(report: dict, recording: Recording, config: AuditConfig, faults: MaskFaults) -> None:
    """Refuse a rig whose silhouettes do not fit together."""
    ray_agreement = np.array([row["ray_agreement"] for row in report["cameras"]])
    worst = report["cameras"][int(ray_agreement.argmin())]["name"]
    if report["tangency"] > config.max_tangency or ray_agreement.min() < config.min_ray_agreement:
        masks = _mask_reasons(recording, faults)
        raise CalibrationError(
            f"cameras of '{recording.name}' do not agree with their masks",
            got=f"best convention {report['convention']}/{report['unit']}: "
            f"tangency {report['tangency']:.2%} of the width, ray agreement {ray_agreement.min():.2f}; "
            f"worst view: camera {worst}",
            expected=f"tangency below {config.max_tangency:.2%}, ray agreement above {config.min_ray_agreement:.2f}",
            likely=masks or "cameras that moved after calibration, masks that miss parts, or unsynchronised videos",
            hint="segment that camera again, or leave it out with drop_cameras"
            if masks
            else "look at the picture of the silhouettes; capture.audit.refine: auto corrects small errors",
        )


def require_own_pictures(matches: Sequence[PictureMatch], recording: Recording) -> None:
    """Refuse colours that belong to other masks than theirs."""
    names = [camera.name for camera in recording.cameras]
    wrong = [(name, match) for name, match in zip(names, matches) if match.reading]
    if not wrong:
        return
    said = [
        f"{name}: {match.reading}" + (f" ({names[match.other_camera]})" if match.other_camera is not None else "")
        for name, match in wrong
    ]
    raise DataError(
        f"pictures of '{recording.name}' do not belong to their masks",
        got="; ".join(said)
        + "; fit "
        + ", ".join(f"{name} {match.fit:.2f} (so read {match.other_fit:.2f})" for name, match in wrong),
        expected="edges and changes of each picture under its own mask",
        likely="a file turned or mirrored on export, files swapped or renamed, or a trimmed video",
        hint="compare the colour video with its mask video; both must be of the same frames, the same way up",
    )


def _mask_reasons(recording: Recording, faults: MaskFaults) -> str:
    """What is wrong with masks, by camera, or ""."""
    return "; ".join(f"camera {c.name}: {text}" for c, text in zip(recording.cameras, faults.says) if text)
