"""Files of a recording before anything is compared: sizes, lengths, masks against videos, calibration against size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mousefacelift.capture.recording import Recording
from mousefacelift.capture.sources import Source, open_film, open_source
from mousefacelift.errors import DataError
from mousefacelift.formats.raw_camera import RawCamera


@dataclass(frozen=True)
class Clip:
    """Sizes and lengths of a recording's files: sizes [V] of (width, height), frames [V], fps (0 where no file says it)
    and the rates [V] that the files state."""

    sizes: list[tuple[int, int]]
    frames: list[int]
    fps: float
    rates: tuple[float, ...] = ()


def inspect_files(recording: Recording, max_difference: int, wanted: int = 0) -> Clip:
    """Sizes, lengths and rate of all files, read from their headers and their last frames.

    Raises:
        DataError: a video and its masks differ in size or length, a file ends before its header says, a calibration is
            for another picture size, or lengths differ by more than `max_difference` between cameras, one of them ends
            before frame `wanted`, and no time stamps say which frames belong together.
    """
    sizes, lengths, rates = [], [], []
    for camera, video, mask in zip(recording.cameras, recording.videos, recording.masks):
        reader = open_film(video)
        reader.read(reader.frames - 1)
        size = (reader.width, reader.height)
        if camera.width and (camera.width, camera.height) != size:
            raise _other_size(camera, size, recording.name)
        if mask:
            _check_mask(recording.name, camera.name, reader, mask)
        sizes.append(size)
        lengths.append(reader.frames)
        rates.append(reader.fps)
        reader.close()
    differ = max(lengths) - min(lengths) > max_difference
    if differ and not recording.timestamps and min(lengths) < max(wanted, 1):
        raise DataError(
            f"videos of recording {recording.name} differ in length",
            got=", ".join(f"{c.name}: {n}" for c, n in zip(recording.cameras, lengths)),
            expected=f"at most {max_difference} frames apart",
            likely="a truncated video, or cameras that started or stopped at different times",
            hint="let the recording's frames end before the shortest; give its timestamps (a CSV per camera); raise "
            "capture.audit.max_offset; or name the camera under drop_cameras",
        )
    return Clip(sizes, lengths, float(np.median([rate for rate in rates if rate > 0] or [0.0])), tuple(rates))


def _other_size(camera: RawCamera, size: tuple[int, int], name: str) -> DataError:
    """What to say of a video that has another size than its calibration."""
    ratio = size[0] / camera.width, size[1] / camera.height
    resized = abs(ratio[0] / ratio[1] - 1) < 0.01
    return DataError(
        f"calibration and video of camera {camera.name} of {name} differ in size",
        got=f"video {size[0]}x{size[1]}",
        expected=f"{camera.width}x{camera.height}",
        likely=f"a video resized by {ratio[0]:.4g}; K does not follow by itself"
        if resized
        else "a cropped video, or a phone's turned one; K does not follow by itself",
        hint=f"multiply the first two rows of every camera's matrix by {ratio[0]:.4g} and set its size, or give the "
        "videos at the size at which they were calibrated"
        if resized
        else "give the videos as they were when they were calibrated",
    )


def _check_mask(name: str, camera: str, video: Source, mask: str) -> None:
    reader = open_source(mask)
    reader.read(reader.frames - 1)
    if (reader.width, reader.height) != (video.width, video.height):
        raise DataError(
            f"masks of camera {camera} of {name} have another size than its video",
            got=f"{reader.width}x{reader.height}",
            expected=f"{video.width}x{video.height}",
            hint="export the masks at the video's size",
        )
    if reader.frames != video.frames:
        raise DataError(
            f"masks and video of camera {camera} of {name} differ in length",
            got=f"{reader.frames} masks",
            expected=f"{video.frames} frames",
            likely="a segmentation that stopped early or skipped frames"
            if reader.frames < video.frames
            else "a video that was cut short, or masks of another one",
            hint="a mask must exist for every frame; segment this camera again"
            if reader.frames < video.frames
            else "copy the video again, or cut its masks to the same frames",
        )
    reader.close()
