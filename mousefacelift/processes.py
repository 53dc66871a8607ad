"""Work on many items with a few processes, the results in the items' order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from mousefacelift.collector import spare_imports

Item = TypeVar("Item")
Result = TypeVar("Result")
WAITING = 4  # items a process that are handed out before the first result is taken


class Processes:
    """A few processes that stay for several lists of items, because each takes half a CPU second to start.

    There are none for one job, and none before a list of several items: one alone is done here.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs, self._pool = jobs, None

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
        """(item, work(item)) of every item, in order.

        Only a few items are handed out at a time: results that nobody has taken yet do not pile up.
        """
        if self._jobs <= 1 or isinstance(items, Sized) and len(items) < 2:
            for item in items:
                yield item, work(item)
            return
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._jobs, get_context("spawn"), spare_imports)
        waiting: deque = deque()
        for item in items:
            waiting.append((item, self._pool.submit(work, item)))
            if len(waiting) > WAITING * self._jobs:
                first, result = waiting.popleft()
                yield first, result.result()
        while waiting:
            first, result = waiting.popleft()
            yield first, result.result()


def in_processes(work: Callable[[Item], Result], items: Iterable[Item], jobs: int) -> Iterator[tuple[Item, Result]]:
    """(item, work(item)) of every item, in order; in this process for one job. See `Processes.each`."""
    with Processes(jobs) as processes:
        yield from processes.each(work, items)
