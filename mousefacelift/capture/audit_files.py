"""What an audit reads before it judges: cameras left out, frames, time stamps or starts. Part of the audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mousefacelift.capture.clip import Clip
from mousefacelift.capture.config import AuditConfig, RecordingSource
from mousefacelift.capture.lens import Lens
from mousefacelift.capture.recording import Recording
from mousefacelift.capture.sampling import block_frames
from mousefacelift.capture.starts import start_offsets
from mousefacelift.capture.timeline import read_offsets
from mousefacelift.errors import DataError

FINE = 20  # frames: offsets of up to that are found in the runs of frames that the audit reads anyway
FINE_AFTER_STARTS = 10  # frames that are left to find once the starts are known


def common_timeline(
    recording: Recording, lenses: Sequence[Lens], clip: Clip, config: AuditConfig
) -> tuple[list, int, AuditConfig]:
    """Offsets known before the audit, the number of common frames, and the configuration for what is left to find.

    Time stamps give the offsets where there are any; else the silhouettes do when cameras may have started further
    apart than FINE frames (`capture.audit.max_offset`); else the files begin together.
    """
    if recording.timestamps:
        names = [camera.name for camera in recording.cameras]
        return (*read_offsets(recording.timestamps, clip.frames, names), config)
    if config.max_offset > FINE:
        left = replace(config, max_offset=FINE_AFTER_STARTS)
        return (*start_offsets(recording, lenses, clip, config.max_offset), left)
    return [[[0, 0]] for _ in recording.cameras], min(clip.frames), config


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
        timestamps=tuple(recording.timestamps[i] for i in keep) if recording.timestamps else (),
    )
