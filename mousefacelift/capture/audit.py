"""Rig audit, the first job of every recording: proves from the silhouettes that the cameras are true, or refuses.

Reads a recording folder (videos, masks, calibration), writes `rig.json` and `rig.png`; run by
`mousefacelift capture audit`. In order: files and lengths, convention, time offsets, a bad camera, refinement, unit,
and at the end the numbers that must hold (tangency and leave-one-out containment).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mousefacelift.capture.align import Alignment, align
from mousefacelift.capture.body_facts import describe_volume
from mousefacelift.capture.clip import Clip, inspect_files
from mousefacelift.capture.config import AuditConfig, RecordingSource
from mousefacelift.capture.conventions import Convention, raw_lenses, score_conventions
from mousefacelift.capture.lens import Lens
from mousefacelift.capture.recording import Recording
from mousefacelift.capture.refine import apply_correction, mean_pair_error
from mousefacelift.capture.rig import Rig, RigCamera
from mousefacelift.capture.sampling import block_frames, read_silhouettes
from mousefacelift.capture.silhouettes import Silhouettes
from mousefacelift.capture.suspects import find_suspect
from mousefacelift.capture.tangency import Poses, pair_errors, tangency
from mousefacelift.capture.timeline import compose, read_offsets
from mousefacelift.capture.units import choose_unit
from mousefacelift.errors import CalibrationError, DataError

RESIZED = (1 / 2, 2 / 3, 1 / 3, 1 / 4, 3 / 4, 2, 3 / 2, 3, 4)  # factors by which people resize videos
HOPELESS = 0.06  # of the image width: no refinement brings that down, the convention itself is not confirmed


def audit(recording: Recording, source: RecordingSource, config: AuditConfig) -> Rig:
    """The proven rig of a recording.

    Raises:
        DataError: broken or contradicting files. CalibrationError: the cameras do not agree with the silhouettes.
    """
    recording = _drop(recording, source.drop_cameras)
    clip = inspect_files(recording, config.max_offset, source.span[1])
    stamped, total = _stamped(recording, clip)
    lenses, k_transposed = raw_lenses(recording.cameras)
    picked = audited_frames(source, total, config)

    def read(growth: np.ndarray) -> Silhouettes:
        return read_silhouettes(recording.masks, lenses, clip.sizes, picked, growth, stamped)

    silhouettes = read(np.zeros(len(lenses)))
    _require_silhouettes(silhouettes, recording)
    width = float(np.mean([w for w, _ in clip.sizes]))

    scores = score_conventions(recording.cameras, lenses, [w for w, _ in clip.sizes], silhouettes)
    if scores[0].tangency > HOPELESS:
        _explain_resized(recording, lenses, clip, picked, stamped, width)
    convention = _choose_convention(scores, recording, config)
    w2c = np.stack([convention.w2c(c.R, c.t) for c in recording.cameras])
    poses = Poses.of(w2c, [lens.fxfycxcy[:2].mean() for lens in lenses])
    found = align(read, poses, config, width)
    silhouettes, correction = found.silhouettes, found.correction
    offsets = [compose(runs, inner) for runs, inner in zip(found.offsets, stamped)]
    _require_no_suspect(silhouettes, poses, width, config, recording)
    poses = apply_correction(poses, correction.shift, correction.rotation)

    cameras = _corrected(recording, lenses, w2c, found, clip)
    volume = describe_volume(cameras, silhouettes)
    stated, kind = recording.cameras[0].unit, recording.calibration_format
    unit, size = choose_unit(volume["length"], config.animal_length_mm, stated, source, kind)
    cameras = [replace(c, w2c=_scaled(c.w2c, size)) for c in cameras]
    report = _report(recording, clip, scores, convention, k_transposed, unit, size, found, volume, poses, width)
    _require_agreement(report, recording, config)
    frames = min(total, *(n - runs[-1][1] for n, runs in zip(clip.frames, offsets)))
    up = np.array(source.up if isinstance(source.up, tuple) else (0.0, 0.0, 1.0), np.float64)
    return Rig(
        recording.name,
        tuple(cameras),
        recording.videos,
        recording.masks,
        int(frames),
        source.fps or clip.fps,
        tuple(offsets),
        up / np.linalg.norm(up),
        source.licence or recording.licence,
        report,
    )


def _stamped(recording: Recording, clip: Clip) -> tuple[list, int]:
    """Offsets that the cameras' time stamps give, and the number of common frames; none where there are no stamps."""
    if not recording.timestamps:
        return [[[0, 0]] for _ in recording.cameras], min(clip.frames)
    return read_offsets(recording.timestamps, clip.frames, [camera.name for camera in recording.cameras])


def audited_frames(source: RecordingSource, total: int, config: AuditConfig) -> np.ndarray:
    """Rising numbers of the frames that the audit reads: runs of frames that the recording uses and does not exclude.

    Raises:
        DataError: the recording's frames begin behind the end of its files.
    """
    start, stop, _ = source.span
    used = np.setdiff1d(np.arange(start, min(stop, total)), source.exclude)
    if len(used) == 0:
        raise DataError(
            "no frame is left to audit", got=f"frames {start} to {stop}, {total} in the files", expected="frames inside"
        )
    return used[block_frames(len(used), config.blocks, config.block_frames)]


def _drop(recording: Recording, names: tuple[str, ...]) -> Recording:
    known = [camera.name for camera in recording.cameras]
    for name in names:
        if name not in known:
            raise DataError(f"recording {recording.name} has no camera {name} to drop", got=", ".join(known))
    keep = [i for i, name in enumerate(known) if name not in names]
    if len(keep) < 3:
        raise DataError(f"recording {recording.name} has too few cameras", got=len(keep), expected="3 or more")
    return replace(
        recording,
        cameras=tuple(recording.cameras[i] for i in keep),
        videos=tuple(recording.videos[i] for i in keep),
        masks=tuple(recording.masks[i] for i in keep),
    )


def _require_silhouettes(silhouettes: Silhouettes, recording: Recording) -> None:
    share = (silhouettes.area > 0).mean(0)
    if share.min() < 0.5:
        worst = int(share.argmin())
        raise DataError(
            f"masks of camera {recording.cameras[worst].name} of {recording.name} are mostly empty",
            got=f"{share[worst]:.0%} of the frames with a mask",
            expected="at least half",
            likely="an inverted mask, another threshold, or a camera that does not see the animal",
        )


def _choose_convention(scores: list, recording: Recording, config: AuditConfig) -> Convention:
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


def _explain_resized(recording: Recording, lenses: list[Lens], clip: Clip, picked, stamped, width: float) -> None:
    """Say so when one factor on all focal lengths and principal points makes the cameras agree with the masks.

    Raises:
        CalibrationError: such a factor was found.
    """
    for factor in RESIZED:
        scaled = [lens.scaled(factor) for lens in lenses]
        few = picked[:: max(1, len(picked) // 24)]
        silhouettes = read_silhouettes(recording.masks, scaled, clip.sizes, few, None, stamped)
        best = score_conventions(recording.cameras, scaled, [w for w, _ in clip.sizes], silhouettes)[0]
        if best.tangency < 0.25 * HOPELESS:
            raise CalibrationError(
                f"videos of '{recording.name}' were resized after the calibration",
                got=f"tangency {best.tangency:.2%} of the width with every matrix times {factor:.4g}",
                expected=f"that without a factor, where it is over {HOPELESS:.0%}",
                likely=f"videos at {factor:.4g} times the calibrated size",
                hint=f"multiply the first two rows of every matrix by {factor:.4g}, or give the original videos",
            )


def _require_no_suspect(silhouettes, poses, width, config, recording) -> None:
    suspect = find_suspect(silhouettes, poses, width, config.max_shift)
    if suspect is None:
        return
    name = recording.cameras[suspect.camera].name
    twin = "" if suspect.twin is None else f" of camera {recording.cameras[suspect.twin].name}'s"
    raise CalibrationError(
        f"camera {name} of '{recording.name}' contradicts the other cameras",
        got=(
            f"tangency {suspect.disagreement:.1f} px with the others, {suspect.without:.1f} px among the others "
            "without it"
        ),
        likely=suspect.reason + twin,
        hint=f"correct its calibration, or set drop_cameras: ['{name}'] for this recording",
    )


def _require_agreement(report: dict, recording: Recording, config: AuditConfig) -> None:
    containment = np.array([row["containment"] for row in report["cameras"]])
    worst = report["cameras"][int(containment.argmin())]["name"]
    if report["tangency"] > config.max_tangency or containment.min() < config.min_containment:
        raise CalibrationError(
            f"cameras of '{recording.name}' do not agree with their masks",
            got=f"best convention {report['convention']}/{report['unit']}: "
            f"tangency {report['tangency']:.2%} of the width, containment {containment.min():.2f}; "
            f"worst view: camera {worst}",
            expected=f"tangency below {config.max_tangency:.2%}, containment above {config.min_containment:.2f}",
            likely="cameras that moved after calibration, masks that miss parts, or unsynchronised videos",
            hint="look at rig.png; capture.audit.refine: auto corrects small errors",
        )


def _corrected(recording, lenses, w2c, found: Alignment, clip: Clip) -> list[RigCamera]:
    import cv2

    cameras, correction = [], found.correction
    for i, raw in enumerate(recording.cameras):
        turn = np.eye(4)
        turn[:3, :3] = cv2.Rodrigues(correction.rotation[i])[0]
        cameras.append(
            RigCamera(
                raw.name, turn @ w2c[i], lenses[i].shifted(correction.shift[i]), *clip.sizes[i], float(found.growth[i])
            )
        )
    return cameras


def _scaled(w2c: np.ndarray, size: float) -> np.ndarray:
    scaled = w2c.copy()
    scaled[:3, 3] *= size
    return scaled


def _report(
    recording, clip, scores, convention, k_transposed, unit, size, alignment: Alignment, volume, poses, width
) -> dict:
    silhouettes, correction = alignment.silhouettes, alignment.correction
    found = tangency(silhouettes.outlines, silhouettes.usable, poses)
    errors = pair_errors(found)
    cameras = [
        {
            "name": camera.name,
            "tangency_px": float(np.nanmedian(np.delete(errors[i], i))),
            "containment": float(volume["containment"][i]),
            "hull_iou": float(volume["hull_iou"][i]),
            "shift_px": correction.shift[i].tolist(),
            "rotation_deg": np.degrees(correction.rotation[i]).tolist(),
            "mask_growth_px": float(alignment.growth[i]),
            "azimuth": volume["azimuth"][i],
            "elevation": volume["elevation"][i],
            "distance_mm": volume["distance"][i] * size,
            "frames": clip.frames[i],
        }
        for i, camera in enumerate(recording.cameras)
    ]
    return {
        "calibration": recording.calibration.name,
        "format": recording.calibration_format,
        "convention": str(convention),
        "K_transposed": bool(k_transposed),
        "unit": unit,
        "conventions": [
            {"name": str(s.convention), "tangency": s.tangency if np.isfinite(s.tangency) else None} for s in scores
        ],
        "tangency": mean_pair_error(found) / width,
        "pairs_px": [[None if np.isnan(e) else float(e) for e in row] for row in errors],
        "refinement": {
            "kind": correction.kind,
            "held_out_before_px": _number(correction.before),
            "held_out_after_px": _number(correction.after),
        },
        "sync": alignment.sync,
        "cameras": cameras,
        "frames_used": len(silhouettes.frames),
        "animal": {
            "center_mm": (volume["center"] * size).tolist(),
            "length_mm": volume["length"] * size,
            "hull_volume_cm3": volume["volume"] * size**3 / 1000,
        },
        "ring_order": [recording.cameras[i].name for i in np.argsort(volume["azimuth"])],
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
