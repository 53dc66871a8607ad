"""Pictures of all cameras read in step: each source goes forward, in threads, ahead of the consumer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from mousefacelift.capture.sources import open_source


class Reader(Protocol):
    """Pictures, masks or parts of them by number, in rising order."""

    def read(self, index: int) -> Any:
        """What has this number."""

    def close(self) -> None:
        """Give files back."""


def read_in_step(
    paths: Sequence[str | Reader], wanted: Iterable[tuple[int, Sequence[int]]], ahead: int = 3, threads: int = 2
) -> Iterator[tuple[int, list]]:
    """Yield (frame, [one Picture per path]) for each (frame, file frame per path), decoded `ahead` of the consumer.

    Args:
        paths: S sources of masks (see `capture.sources`), or readers, which are closed at the end; "" gives None there.
        wanted: rising common frames, each with its frame number in every file.
        ahead: frames kept ready (bounds memory).
        threads: decoding threads shared by all videos.
    """
    readers = [(open_source(path) if isinstance(path, str) else path) if path else None for path in paths]
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
