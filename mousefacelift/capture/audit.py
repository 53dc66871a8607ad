"""Rig audit, the first job of every recording: proves from the silhouettes that the cameras are true, or refuses.

Reads a recording folder (videos, masks, calibration), writes `rig.json`, `rig.png` and `rig.html`, and
`rig.refused.png` when it refuses; run by `mousefacelift capture audit`. In order: files and lengths, convention, what
is wrong with masks, time offsets, refinement, a bad camera, unit, the numbers that must hold (tangency, leave-one-out
ray agreement, the animal's size), and at the end whether the colour pictures belong to their masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mousefacelift.capture import audit_gates as gates
from mousefacelift.capture.align import Alignment, align
from mousefacelift.capture.audit_files import audited_frames, common_timeline, drop_cameras
from mousefacelift.capture.audit_report import report_audit
from mousefacelift.capture.body_facts import describe_volume
from mousefacelift.capture.clip import Clip, inspect_files
from mousefacelift.capture.config import AuditConfig, RecordingSource
from mousefacelift.capture.conventions import raw_lenses, score_conventions
from mousefacelift.capture.evidence import Evidence
from mousefacelift.capture.explain import CauseFound, explain_refusal, require_lens_of_the_videos
from mousefacelift.capture.mask_faults import MaskFaults, find_mask_faults
from mousefacelift.capture.picture_match import match_pictures
from mousefacelift.capture.recording import Recording
from mousefacelift.capture.refine import apply_correction
from mousefacelift.capture.rig import Rig, RigCamera
from mousefacelift.capture.sampling import block_frames, read_silhouettes
from mousefacelift.capture.silhouettes import Silhouettes, working_cameras
from mousefacelift.capture.tangency import Poses
from mousefacelift.capture.timeline import compose
from mousefacelift.capture.units import choose_unit
from mousefacelift.capture.upright import cameras_up
from mousefacelift.errors import CalibrationError

PICTURE_BLOCKS, PICTURE_FRAMES = 3, 24  # runs of neighbouring frames whose colours are compared with their masks


def audit(recording: Recording, source: RecordingSource, config: AuditConfig, evidence: Evidence | None = None) -> Rig:
    """The proven rig of a recording.

    Args:
        evidence: is told what was seen as it is found, so that a refusal can be drawn.
    Raises:
        DataError: broken or contradicting files. CalibrationError: the cameras do not agree with the silhouettes.
    """
    evidence = Evidence() if evidence is None else evidence
    recording = drop_cameras(recording, source.drop_cameras)
    clip = inspect_files(recording, config.max_offset, source.span[1])
    lenses, k_transposed = raw_lenses(recording.cameras)
    gates.require_lenses(recording, lenses, clip.sizes)
    stamped, total, config = common_timeline(recording, lenses, clip, config)
    picked = audited_frames(source, total, config)
    try:
        cameras, offsets, report = _prove(
            recording, source, config, (clip, lenses, k_transposed), (picked, stamped), evidence
        )
    except CauseFound:
        raise
    except CalibrationError:
        explain_refusal(recording, lenses, clip, picked, stamped, config)
        raise
    report["pictures"] = _match_pictures(recording, picked, stamped, config, evidence)
    return _rig(recording, source, (clip, total), cameras, offsets, report)


def _prove(
    recording: Recording, source: RecordingSource, config: AuditConfig, files: tuple, times: tuple, evidence: Evidence
) -> tuple[list[RigCamera], list, dict]:
    """The true cameras in mm, their time offsets, and everything that was measured.

    Args:
        files: clip, lenses, and whether K was transposed. times: frames to read, and the offsets known beforehand.
    """
    (clip, lenses, k_transposed), (picked, stamped) = files, times

    def read(growth: np.ndarray) -> Silhouettes:
        return read_silhouettes(recording.masks, lenses, clip.sizes, picked, growth, stamped)

    silhouettes = read(np.zeros(len(lenses)))
    evidence.saw(recording, silhouettes)
    gates.require_silhouettes(silhouettes, recording, clip.sizes)
    width = float(np.mean([w for w, _ in clip.sizes]))

    scores = score_conventions(recording.cameras, lenses, [w for w, _ in clip.sizes], silhouettes)
    convention = gates.choose_convention(scores, recording, config)
    w2c = np.stack([convention.w2c(c.R, c.t) for c in recording.cameras])
    poses = Poses.of(w2c, [lens.fxfycxcy[:2].mean() for lens in lenses])
    faults = _faults(_corrected(recording, lenses, w2c, None, clip), silhouettes, evidence)
    gates.require_nothing_static(faults, recording)
    gates.require_one_body(faults, recording)
    found = align(read, poses, config, width)
    silhouettes, correction = found.silhouettes, found.correction
    offsets = [compose(runs, inner) for runs, inner in zip(found.offsets, stamped)]
    gates.require_no_suspect(silhouettes, poses, width, config, recording, faults)
    require_lens_of_the_videos(recording, lenses, clip, found, poses)
    poses = apply_correction(poses, correction.shift, correction.rotation)

    cameras = _corrected(recording, lenses, w2c, found, clip)
    faults = _faults(cameras, silhouettes, evidence)
    volume = describe_volume(cameras, silhouettes, _zenith(source, cameras))
    stated, kind = recording.cameras[0].unit, recording.calibration_format
    unit, size = choose_unit(volume["length"], config.animal_length_mm, stated, source, kind)
    cameras = [replace(c, w2c=_scaled(c.w2c, size)) for c in cameras]
    report = report_audit(
        recording, clip, scores, convention, k_transposed, (unit, size), found, volume, poses, width, faults
    )
    gates.require_small_corrections(report, width, config, recording, faults)
    gates.require_agreement(report, recording, config, faults)
    gates.require_likely_animal(report, config, recording)
    return cameras, offsets, report


def _faults(cameras: list[RigCamera], silhouettes: Silhouettes, evidence: Evidence) -> MaskFaults:
    small, _ = working_cameras([camera.pinhole() for camera in cameras])
    faults = find_mask_faults(small, silhouettes)
    evidence.found(silhouettes, faults)
    return faults


def _match_pictures(
    recording: Recording, picked: np.ndarray, stamped: list, config: AuditConfig, evidence: Evidence
) -> list[dict]:
    """What `match_pictures` says of every camera, as it stands in rig.json.

    Raises:
        DataError: a camera's pictures do not belong to its masks.
    """
    frames = picked[block_frames(len(picked), PICTURE_BLOCKS, PICTURE_FRAMES)]
    matches, films = match_pictures(recording.videos, recording.masks, frames, config.max_offset, stamped)
    evidence.compared(matches, films)
    gates.require_own_pictures(matches, recording)
    return [
        {"name": camera.name, "fit": match.fit, "chance": match.chance, "next": match.other_fit}
        for camera, match in zip(recording.cameras, matches)
    ]


def _rig(
    recording: Recording,
    source: RecordingSource,
    films: tuple[Clip, int],
    cameras: list[RigCamera],
    offsets: list,
    report: dict,
) -> Rig:
    clip, total = films
    frames = min(total, *(n - runs[-1][1] for n, runs in zip(clip.frames, offsets)))
    up = _zenith(source, cameras)
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


def _zenith(source: RecordingSource, cameras: Sequence[RigCamera]) -> np.ndarray:
    """Floor normal [3] in the calibration's world as far as the audit knows it: a track is not located yet, and what is
    up for the cameras stands for it."""
    if source.up == "track":
        return cameras_up(cameras)
    return np.array(source.up if isinstance(source.up, tuple) else (0.0, 0.0, 1.0), np.float64)


def _corrected(
    recording: Recording, lenses: list, w2c: np.ndarray, found: Alignment | None, clip: Clip
) -> list[RigCamera]:
    """The cameras with what `align` found applied; as they are stated without it."""
    import cv2

    views = len(recording.cameras)
    rotation = found.correction.rotation if found else np.zeros((views, 3))
    shift = found.correction.shift if found else np.zeros((views, 2))
    growth = found.growth if found else np.zeros(views)
    cameras = []
    for i, raw in enumerate(recording.cameras):
        turn = np.eye(4)
        turn[:3, :3] = cv2.Rodrigues(rotation[i])[0]
        cameras.append(
            RigCamera(raw.name, turn @ w2c[i], lenses[i].shifted(shift[i]), *clip.sizes[i], float(growth[i]))
        )
    return cameras


def _scaled(w2c: np.ndarray, size: float) -> np.ndarray:
    scaled = w2c.copy()
    scaled[:3, 3] *= size
    return scaled
