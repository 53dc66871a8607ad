"""One video file: forward decoding, seeking only past whole groups of pictures, turned as its display matrix says.

On the way to a frame, pictures that no other is built on (half of an x264 file's) are left out where the time stamps
tell which frame a packet holds (stamps.py).

Frames stay in the decoder's YUV 4:2:0 planes: masks need only luma, and the warp samples the planes directly, so the
full picture is never converted to RGB.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.video.reformatter import ColorRange, Colorspace

from mousefacelift.capture.sources.picture import BT601, BT709, BT2020, Picture
from mousefacelift.capture.sources.stamps import Stamps
from mousefacelift.errors import DataError

SEEK_GAP = 300  # frames; longer than the usual group of pictures (250)
NONREF_CODECS = ("h264", "mpeg4", "mpeg2video", "mpeg1video")  # those in which "no reference" holds for all layers
SHARES = {Colorspace.ITU709: BT709, Colorspace.BT2020: BT2020}  # by the stream's colour matrix
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
        self._decoder, self._next, self._target = None, 0, 0
        self._untouched = True  # nothing was read yet: a seek now would lose a palette that comes with the first packet
        self._may_skip, self._skipped = self._stream.codec_context.name in NONREF_CODECS, False
        self._seen: dict[int | None, int] = {}
        self._stamps = Stamps(self.path, self._container, self._stream)
        self.frames, self.fps = self._stamps.frames, self._stamps.fps
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
            place = self._place(frame)
            if place is not None and place <= index and self._told(place):
                self._next = place + 1
            elif self._skipped:  # a stamp that lies, or a picture left out that was asked for: with every picture
                self._may_skip = False
                self._start(index)
            else:
                raise DataError(
                    f"frame {index} of video {self.path} cannot be decoded",
                    got=f"frame {place} after frame {self._next - 1}",
                    likely="a damaged file: the decoder passes over some of its pictures",
                    hint="copy the file again; written anew (ffmpeg -i IN OUT) it lacks them, as the audit will say",
                )
        return _turned(_planes(frame), self._turns)

    def close(self) -> None:
        self._container.close()

    def _place(self, frame) -> int | None:
        """The number of the picture that was decoded last: what its stamp says, where all are even and where pictures
        were left out; else it is counted."""
        if not self._skipped and not (self._stamps.believed and self._stamps.even):
            return self._next
        place = self._stamps.number(frame.pts) if frame else None
        return place if self._skipped else max(self._next, place or 0)

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
        """Point the decoder at or before `index`: by the nearest key frame if the stamps are believed, else at 0."""
        self._skipped, self._target, self._seen = False, 0, {}
        if index > SEEK_GAP and self._stamps.believed:
            decoder, first = self._decoded(), None
            with suppress(av.error.FFmpegError):  # a damaged place: the way from the beginning says where
                self._container.seek(self._stamps.ticks(index), stream=self._stream, backward=True)
                first = next(decoder, None)
            place = self._stamps.number(first.pts) if first else None
            if place is not None and place <= index:
                self._decoder, self._next = _chain(first, decoder), place
                return
        if not self._untouched:
            self._container.seek(0, stream=self._stream, backward=True)
        self._untouched = False
        self._decoder, self._next = self._decoded(), 0

    def _decoded(self) -> Iterator:
        """Frames in the order of their times from where the file is read, without those before the target that no other
        needs."""
        may_skip = self._may_skip and self._stamps.believed
        for packet in self._container.demux(self._stream):
            left_out = False
            if may_skip and (self._stamps.even or self._next < self._target):
                place = self._stamps.number(packet.pts)
                self._seen[place] = self._seen.get(place, 0) + 1
                left_out = place is not None and place < self._target
            self._skipped |= left_out
            self._stream.codec_context.skip_frame = "NONREF" if left_out else "DEFAULT"
            yield from packet.decode()

    def _told(self, place: int) -> bool:
        """Whether a frame is at `place`: where pictures were left out, one packet claims each place on the way (stamps
        that were read and sorted are distinct)."""
        way = range(self._next, place + 1)
        claimed = not self._skipped or not self._stamps.even or all(self._seen.get(at) == 1 for at in way)
        return len(way) > 0 and claimed

    def _quarter_turns(self) -> int:
        """Counter-clockwise quarter turns that show the stored picture upright, from the first frame's display
        matrix."""
        self._start(0)
        frame = self._step(0)
        self._decoder = None
        if _is_mirrored(frame):
            raise DataError(
                f"video {self.path} is to be shown mirrored",
                got="a display matrix with a reflection",
                likely="a front camera, or a converter's flip: players mirror such a video, OpenCV turns it",
                hint="write the pictures as your calibration and masks have them: ffmpeg -i IN OUT mirrors them, "
                "ffmpeg -noautorotate -i IN OUT leaves them as stored",
            )
        angle = frame.rotation
        if angle % 90:
            raise DataError(
                f"video {self.path} is stored turned by {angle} degrees",
                expected="a multiple of 90",
                hint="write it upright: ffmpeg -i IN OUT (which applies the display matrix)",
            )
        return int(angle // 90) % 4


def _is_mirrored(frame) -> bool:
    """Whether a frame's display matrix (9 int32, rows a b u, c d v, x y w) has a reflection."""
    found = frame.side_data.get(SideData.DISPLAYMATRIX)
    a, b, _, c, d = np.frombuffer(bytes(found), "<i4")[:5].astype(float) if found else (1, 0, 0, 0, 1)
    return bool(a * d - b * c < 0)


def _chain(first, rest) -> Iterator:
    yield first
    yield from rest


def _planes(frame) -> Picture:
    shares = BT601 if frame.format.is_rgb else SHARES.get(frame.colorspace, BT601)  # untagged: as FFmpeg's own tools
    if frame.format.name not in PLANAR:
        frame = frame.reformat(format="yuv420p")
    y, u, v = (np.frombuffer(p, np.uint8).reshape(p.height, p.line_size)[:, : p.width] for p in frame.planes)
    full = frame.format.name == "yuvj420p" or frame.color_range == ColorRange.JPEG
    return Picture(y, u, v, bool(full), shares)


def _turned(picture: Picture, turns: int) -> Picture:
    """The picture after `turns` counter-clockwise quarter turns."""
    if turns == 0:
        return picture
    planes = {name: np.ascontiguousarray(np.rot90(getattr(picture, name), turns)) for name in "yuv"}
    return replace(picture, **planes)
