"""What an audit reads before it judges: cameras left out, frames, time stamps, a resized video. Part of the audit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mousefacelift.capture.audit_gates import HOPELESS
from mousefacelift.capture.clip import Clip
from mousefacelift.capture.config import AuditConfig, RecordingSource
from mousefacelift.capture.conventions import score_conventions
from mousefacelift.capture.lens import Lens
from mousefacelift.capture.recording import Recording
from mousefacelift.capture.sampling import block_frames, read_silhouettes
from mousefacelift.capture.timeline import read_offsets
from mousefacelift.errors import CalibrationError, DataError

RESIZED = (1 / 2, 2 / 3, 1 / 3, 1 / 4, 3 / 4, 2, 3 / 2, 3, 4)  # factors by which people resize videos


def stamped_offsets(recording: Recording, clip: Clip) -> tuple[list, int]:
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


def drop_cameras(recording: Recording, names: tuple[str, ...]) -> Recording:
    """The recording without the cameras `names`; at least three stay."""
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


def explain_resized(recording: Recording, lenses: list[Lens], clip: Clip, picked, stamped) -> None:
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
