"""Videos of all cameras read in step: forward decoding, seeking only past whole groups of pictures, in threads.

Frames stay in the decoder's YUV 4:2:0 planes: masks need only luma, and the warp samples the planes directly, so the
full picture is never converted to RGB.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from mousefacelift.errors import DataError

SEEK_GAP = 300  # frames; longer than the usual group of pictures (250)
PLANAR = ("yuv420p", "yuvj420p")


@dataclass(frozen=True)
class Picture:
    """One decoded frame: uint8 planes y [H, W], u and v [ceil(H/2), ceil(W/2)]; `full_range` is true for 0..255
    luma."""

    y: np.ndarray
    u: np.ndarray
    v: np.ndarray
    full_range: bool

    def luma(self, rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        """Grey picture or a part of it, uint8 [h, w], 0..255."""
        part = self.y[rows, columns]
        return part if self.full_range else cv2.LUT(np.ascontiguousarray(part), _LIMITED_TO_FULL)

    def rgb(self) -> np.ndarray:
        """uint8 [H, W, 3] by BT.601, chroma repeated."""
        h, w = self.y.shape
        u, v = (np.repeat(np.repeat(c, 2, 0), 2, 1)[:h, :w].astype(np.float32) - 128 for c in (self.u, self.v))
        y = self.y.astype(np.float32)
        scale = 1.0 if self.full_range else 255 / 224
        y = y if self.full_range else (y - 16) * (255 / 219)
        rgb = np.stack([y + 1.402 * scale * v, y - scale * (0.344136 * u + 0.714136 * v), y + 1.772 * scale * u], -1)
        return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


_LIMITED_TO_FULL = np.clip(np.rint((np.arange(256) - 16.0) * 255 / 219), 0, 255).astype(np.uint8)


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
        self._decoder, self._next = None, 0
        self.frames = self._stream.frames or self._count()
        if self.frames < 1:
            raise DataError(f"video {self.path} is empty", likely="a recording that was stopped at once")

    def read(self, index: int) -> Picture:
        """Frame `index`; decoding goes forward, so a smaller index than the last one starts the file again."""
        if not 0 <= index < self.frames:
            raise DataError(f"video {self.path} has no frame {index}", got=f"{self.frames} frames")
        if index < self._next or self._decoder is None:
            self._start(index)
        elif index - self._next > SEEK_GAP:
            self._start(index)
        while True:
            frame = self._step(index)
            self._next += 1
            if self._next > index:
                return _planes(frame)

    def close(self) -> None:
        self._container.close()

    def _step(self, index: int):
        try:
            return next(self._decoder)
        except StopIteration:
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
        if index > SEEK_GAP and self._is_regular():
            ticks = index / self.fps / float(self._stream.time_base)
            self._container.seek(int(ticks) + self._first_tick(), stream=self._stream, backward=True)
            decoder = self._container.decode(self._stream)
            first = next(decoder)
            position = (first.pts - self._first_tick()) * float(self._stream.time_base) * self.fps
            if abs(position - round(position)) < 0.01 and round(position) <= index:
                self._decoder, self._next = _chain(first, decoder), round(position)
                return
        self._container.seek(0, stream=self._stream, backward=True)
        self._decoder, self._next = self._container.decode(self._stream), 0

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


def read_in_step(
    paths: Sequence[str], wanted: Iterable[tuple[int, Sequence[int]]], ahead: int = 3, threads: int = 2
) -> Iterator[tuple[int, list[Picture]]]:
    """Yield (frame, [one Picture per path]) for each (frame, file frame per path), decoded `ahead` of the consumer.

    Args:
        paths: S videos; "" gives None in that place.
        wanted: rising common frames, each with its frame number in every file.
        ahead: frames kept ready (bounds memory).
        threads: decoding threads shared by all videos.
    """
    readers = [VideoReader(path) if path else None for path in paths]
    ready: queue.Queue = queue.Queue(maxsize=ahead)
    stop = threading.Event()

    def put(item) -> None:
        while not stop.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except queue.Full:
                continue

    def decode() -> None:
        try:
            with ThreadPoolExecutor(threads) as pool:
                for frame, numbers in wanted:
                    if stop.is_set():
                        return
                    jobs = [pool.submit(r.read, n) if r else None for r, n in zip(readers, numbers)]
                    put((frame, [job.result() if job else None for job in jobs]))
            put(None)
        except BaseException as error:  # handed to the consumer, who raises it
            put(error)

    worker = threading.Thread(target=decode, daemon=True)
    worker.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        worker.join()
        for reader in readers:
            if reader:
                reader.close()
