"""Which frame of a video a time stamp names: what seeking and leaving pictures out stand on.

A stamp is believed only where the file proves it. MP4 and AVI list their packets: where these come at even times, the
number is arithmetic. Where they do not (a camera that dropped frames, a screen recorder), the stamps are read once and
sorted. AVI keeps no time of display: with B-frames FFmpeg makes the stamps up, out of order.
"""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from mousefacelift.errors import DataError

RATE_ERROR = 0.05  # of a stated rate
STAMP_ERROR = 0.1  # frames; containers that count in milliseconds round
INDEXED = ("mov", "matroska", "avi")  # containers in which a seek ends at a key frame


class Stamps:
    """Time stamps of one video stream.

    Attributes:
        fps: pictures per second, 0 where nothing tells.
        frames: frames that are shown. Those that an edit list cuts off (`ffmpeg -ss ... -c copy` leaves them in the
            file) do not count: no player and no decoder shows them.
        believed: whether the file keeps the times at which pictures are shown, and a seek ends at a key frame.
        even: whether numbers are arithmetic; otherwise the file's packets are read once, where it is needed.
    """

    def __init__(self, path: Path, container, stream) -> None:
        self._path, self.fps, self._base = path, float(stream.average_rate or 0), float(stream.time_base)
        self._first = stream.start_time or 0
        listed = list(stream.index_entries) if stream.frames else []
        kind = container.format.name.split(",")[0]
        complete = len(listed) == stream.frames > 0 or kind == "avi" and _has_empty_places(listed, stream)
        shown = sum(entry.size > 0 and not entry.is_discard for entry in listed)
        self.frames = shown if complete else stream.frames
        if not self.frames:
            self.frames, mean = _count(path)
            # a header that states a rate which the pictures do not keep: a camera that dropped some, a screen recorder
            self.fps = mean if mean > 0 and not abs(self.fps / mean - 1) < RATE_ERROR else self.fps
        self.believed = kind in INDEXED and not (kind == "avi" and stream.codec_context.has_b_frames)
        whole = complete and all(entry.size > 0 for entry in listed) and self.fps > 0
        self.even = whole and _is_even([entry.timestamp for entry in listed], 1 / (self.fps * self._base))
        self._sorted: np.ndarray | None = None

    def number(self, ticks: int | None) -> int | None:
        """The frame of a stamp; None where it names none."""
        if ticks is None:
            return None
        if self.even:
            place = (ticks - self._first) * self._base * self.fps
            return round(place) if abs(place - round(place)) < STAMP_ERROR else None
        stamps = self._read()
        place = int(np.searchsorted(stamps, ticks))
        return place if place < len(stamps) and stamps[place] == ticks else None

    def ticks(self, number: int) -> int:
        """The stamp of a frame, to seek by."""
        if self.even:
            return int(number / self.fps / self._base) + self._first
        stamps = self._read()
        return int(stamps[min(number, len(stamps) - 1)]) if len(stamps) else self._first

    def _read(self) -> np.ndarray:
        """Sorted stamps of all packets that show something; none where two are equal or one is missing."""
        if self._sorted is None:
            with av.open(str(self._path)) as container:
                found = [p.pts for p in container.demux(container.streams.video[0]) if p.size and not p.is_discard]
            distinct = None not in found and len(set(found)) == len(found) == self.frames
            self._sorted = np.array(sorted(found) if distinct else [], np.int64)
        return self._sorted


def _has_empty_places(listed: list, stream) -> bool:
    """Whether an AVI's list reaches its last place, with empty ones before it: pictures that a camera or a converter
    dropped. A truncated file has lost its list, which lies at the end."""
    if not listed or not stream.frames or not stream.average_rate:
        return False
    last = listed[-1].timestamp * stream.time_base * stream.average_rate
    return len(listed) < stream.frames and round(last) == stream.frames - 1


def _is_even(times: list[int], step: float) -> bool:
    late = np.asarray(times, float) - times[0] - step * np.arange(len(times))
    return bool(np.abs(late).max() < STAMP_ERROR * step)


def _count(path: Path) -> tuple[int, float]:
    """The pictures of a file without a list of them, and how many there are per second by their stamps (0: unknown)."""
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stamps = [packet.pts for packet in container.demux(stream) if packet.size]
            known = [stamp for stamp in stamps if stamp is not None]
            span = float((max(known) - min(known)) * stream.time_base) if len(known) > 1 else 0.0
            return len(stamps), (len(known) - 1) / span if span > 0 else 0.0
    except av.error.FFmpegError as error:
        raise DataError(
            f"video {path} cannot be read to its end", got=str(error), likely="a damaged file", hint="copy it again"
        ) from error
