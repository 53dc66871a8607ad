"""Work on many items with a few processes, the results in the items' order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from mousefacelift.collector import spare_imports

Item = TypeVar("Item")
Result = TypeVar("Result")
WAITING = 4  # items a process that are handed out before the first result is taken


def in_processes(work: Callable[[Item], Result], items: Iterable[Item], jobs: int) -> Iterator[tuple[Item, Result]]:
    """(item, work(item)) of every item, in order; in this process for one job.

    Only a few items are handed out at a time: results that nobody has taken yet do not pile up.
    """
    if jobs <= 1:
        for item in items:
            yield item, work(item)
        return
    waiting: deque = deque()
    with ProcessPoolExecutor(jobs, get_context("spawn"), spare_imports) as pool:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) > WAITING * jobs:
                first, result = waiting.popleft()
                yield first, result.result()
        while waiting:
            first, result = waiting.popleft()
            yield first, result.result()
