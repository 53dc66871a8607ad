"""One video file: forward decoding, seeking only past whole groups of pictures, turned as its display matrix says.

On the way to a frame, pictures that no other is built on (half of an x264 file's) are left out where the time stamps
tell which frame a packet holds.

Frames stay in the decoder's YUV 4:2:0 planes: masks need only luma, and the warp samples the planes directly, so the
full picture is never converted to RGB.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np

from mousefacelift.capture.sources.picture import Picture
from mousefacelift.errors import DataError

SEEK_GAP = 300  # frames; longer than the usual group of pictures (250)
STAMP_ERROR = 0.1  # frames; containers that count in milliseconds round
PLANAR = ("yuv420p", "yuvj420p")


class VideoReader:
    """Frames of one video by number, in rising order.

    Raises:
        DataError: missing, empty or unreadable file; a frame that does not exist or cannot be decoded.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise DataError(f"video {self.path} does not exist", hint="check the recording's paths in config.yaml")
        try:
            self._container = av.open(str(self.path))
            self._stream = self._container.streams.video[0]
        except (av.error.FFmpegError, IndexError) as error:
            raise DataError(
                f"video {self.path} cannot be opened",
                got=f"{self.path.stat().st_size} bytes, {error}",
                likely="an empty or truncated file",
                hint="copy the file again",
            ) from error
        self._stream.thread_type = "NONE"
        self.width, self.height = self._stream.codec_context.width, self._stream.codec_context.height
        self.fps = float(self._stream.average_rate or 0)
        self._decoder, self._next, self._target = None, 0, 0
        self._may_skip, self._skipped = True, False
        self._seen: dict[int | None, int] = {}
        self.frames = self._stream.frames or self._count()
        if self.frames < 1:
            raise DataError(f"video {self.path} is empty", likely="a recording that was stopped at once")
        self._turns = self._quarter_turns()
        if self._turns % 2:
            self.width, self.height = self.height, self.width

    def read(self, index: int) -> Picture:
        """Frame `index`; decoding goes forward, so a smaller index than the last one starts the file again."""
        if not 0 <= index < self.frames:
            raise DataError(f"video {self.path} has no frame {index}", got=f"{self.frames} frames")
        if index < self._next or self._decoder is None or index - self._next > SEEK_GAP:
            self._start(index)
        self._target = index
        while self._next <= index:
            frame = self._step(index)
            place = self._next if not self._skipped else self._frame_of(frame.pts) if frame else None
            if place is not None and place <= index and self._told(place):
                self._next = place + 1
            else:  # a stamp that lies, or a picture left out that was asked for: again, with every picture
                self._may_skip = False
                self._start(index)
        return _turned(_planes(frame), self._turns)

    def close(self) -> None:
        self._container.close()

    def _step(self, index: int):
        """The next picture that was decoded; None at an end that pictures left out may have hidden."""
        try:
            return next(self._decoder)
        except StopIteration:
            if self._skipped:
                return None
            raise DataError(
                f"video {self.path} ends early",
                got=f"{self._next} frames",
                expected=f"{self.frames} as its header says",
                likely="a truncated file",
                hint="copy the file again",
            ) from None
        except av.error.FFmpegError as error:
            raise DataError(
                f"video {self.path} cannot be decoded",
                where=f"on the way to frame {index}",
                got=str(error),
                likely="a damaged file",
                hint="copy the file again",
            ) from error

    def _start(self, index: int) -> None:
        """Point the decoder at or before `index`: by the nearest key frame if the time stamps are regular, else at
        0."""
        self._skipped, self._target, self._seen = False, 0, {}
        if index > SEEK_GAP and self._is_regular():
            ticks = index / self.fps / float(self._stream.time_base)
            self._container.seek(int(ticks) + self._first_tick(), stream=self._stream, backward=True)
            decoder = self._decoded()
            first = next(decoder)
            place = self._frame_of(first.pts)
            if place is not None and place <= index:
                self._decoder, self._next = _chain(first, decoder), place
                return
        self._container.seek(0, stream=self._stream, backward=True)
        self._decoder, self._next = self._decoded(), 0

    def _decoded(self) -> Iterator:
        """Frames in the order of their times from where the file is read, without those before the target that no other
        needs."""
        may_skip = self._may_skip and self._is_regular()
        for packet in self._container.demux(self._stream):
            place = self._frame_of(packet.pts) if may_skip else None
            self._seen[place] = self._seen.get(place, 0) + 1
            left_out = place is not None and place < self._target
            self._skipped |= left_out
            self._stream.codec_context.skip_frame = "NONREF" if left_out else "DEFAULT"
            yield from packet.decode()

    def _told(self, place: int) -> bool:
        """Whether a frame is at `place`: where pictures were left out, one packet claims each place on the way."""
        way = range(self._next, place + 1)
        return len(way) > 0 and (not self._skipped or all(self._seen.get(at) == 1 for at in way))

    def _frame_of(self, ticks: int | None) -> int | None:
        """The number of the frame of a time stamp, None where the stamp is none of a regular video's."""
        if ticks is None:
            return None
        place = (ticks - self._first_tick()) * float(self._stream.time_base) * self.fps
        return round(place) if abs(place - round(place)) < STAMP_ERROR else None

    def _quarter_turns(self) -> int:
        """Counter-clockwise quarter turns that show the stored picture upright, from the first frame's display
        matrix."""
        self._start(0)
        angle = self._step(0).rotation
        self._decoder = None
        if angle % 90:
            raise DataError(
                f"video {self.path} is stored turned by {angle} degrees",
                expected="a multiple of 90",
                hint="write it upright: ffmpeg -i IN OUT (which applies the display matrix)",
            )
        return int(angle // 90) % 4

    def _first_tick(self) -> int:
        return self._stream.start_time or 0

    def _is_regular(self) -> bool:
        if not (self.fps and self._stream.duration and self._stream.frames):
            return False
        return abs(self._stream.duration * float(self._stream.time_base) * self.fps - self._stream.frames) < 0.6

    def _count(self) -> int:
        count = sum(1 for packet in self._container.demux(self._stream) if packet.size)
        self._container.seek(0, stream=self._stream, backward=True)
        return count


def _chain(first, rest) -> Iterator:
    yield first
    yield from rest


def _planes(frame) -> Picture:
    if frame.format.name not in PLANAR:
        frame = frame.reformat(format="yuv420p")
    y, u, v = (np.frombuffer(p, np.uint8).reshape(p.height, p.line_size)[:, : p.width] for p in frame.planes)
    full = frame.format.name == "yuvj420p" or frame.color_range == av.video.reformatter.ColorRange.JPEG
    return Picture(y, u, v, bool(full))


def _turned(picture: Picture, turns: int) -> Picture:
    """The picture after `turns` counter-clockwise quarter turns."""
    if turns == 0:
        return picture
    planes = {name: np.ascontiguousarray(np.rot90(getattr(picture, name), turns)) for name in "yuv"}
    return replace(picture, **planes)
