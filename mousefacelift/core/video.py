"""Video files: sequential reading of chosen frames, and H.264 writing that browsers play."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from mousefacelift.core.files import via
from mousefacelift.errors import DataError, unwritable


def open_video(path: str | Path) -> cv2.VideoCapture:
    """An opened video; the caller releases it.

    Raises:
        DataError: missing, empty or unreadable.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"video {path} does not exist", hint="check the recording's path in config.yaml")
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened() or capture.get(cv2.CAP_PROP_FRAME_COUNT) < 1:
        raise DataError(
            f"video {path} cannot be opened",
            got=f"{path.stat().st_size} bytes",
            likely="an empty or truncated file, or a codec that OpenCV lacks",
            hint=f"ffprobe '{path}'",
        )
    return capture


def frame_count(path: str | Path) -> int:
    """Number of frames that the container declares."""
    capture = open_video(path)
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.release()
    return count


def read_frames(path: str | Path, indices: Iterable[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (index, BGR uint8 [H, W, 3]) of the frames at rising `indices`.

    Decodes forward and keeps only what is wanted: seeking in H.264 costs as much as decoding half a group of pictures
    and may be off by frames.

    Raises:
        DataError: the video ends before an index, or indices do not rise.
    """
    capture, position = open_video(path), 0
    try:
        for index in indices:
            if index < position:
                raise DataError("frames must be asked for in rising order", got=f"{index} after {position - 1}")
            while position <= index:
                if not capture.grab():
                    raise DataError(
                        f"video {path} ends early",
                        got=f"{position} frames",
                        expected=f"frame {index}",
                        likely="a truncated file, or fewer frames than its header declares",
                    )
                position += 1
            done, frame = capture.retrieve()
            if not done:
                raise DataError(f"frame {index} of video {path} cannot be decoded")
            yield index, frame
    finally:
        capture.release()


def write_mp4(
    path: str | Path,
    frames: Iterable[np.ndarray],
    fps: float,
    crf: int = 18,
    preset: str = "veryfast",
    gop: int | None = None,
) -> int:
    """Write rgb uint8 [H, W, 3] frames (even sizes) as H.264 in one rename and return their number."""
    import av

    path, count, stream = Path(path), 0, None
    with via(path, "video") as temporary:
        try:
            with av.open(str(temporary), "w") as container:
                for rgb in frames:
                    if stream is None:
                        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
                        stream.height, stream.width = rgb.shape[:2]
                        stream.pix_fmt = "yuv420p"
                        options: dict[str, object] = {"crf": str(crf), "preset": preset, "threads": "1"}
                        stream.options = options | ({"g": str(gop)} if gop else {})
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")))
                    count += 1
                if stream is not None:
                    container.mux(stream.encode())
        except av.error.FFmpegError as error:
            raise unwritable("video", path, error) from error
        if count == 0:
            raise DataError(f"video {path} would have no frames")
    return count
