"""Python's collector of circular garbage, kept away from what imports make.

torch, numba, scipy and pandas make half a million objects as they are imported, none of them garbage. Going over them
again and again while more is imported, and a last time before the process ends, took 40% of the CPU time of a short
command: a second of each.
"""

from __future__ import annotations

import atexit
import gc
import sys

IMPORTING = "<frozen importlib._bootstrap>"  # file name of the frames of a running import


def spare_imports() -> None:
    """From now on a collection that an import sets off, or the end of the process, looks at nothing that lives by then.

    What lives then is never looked at again (`gc.freeze`): circles of it that become garbage later stay, all else is
    freed as ever. Collections in between, while a command works, are as they were, but do not go over the modules.
    """
    if _look_away not in gc.callbacks:
        gc.callbacks.append(_look_away)
        atexit.register(gc.freeze)


def _look_away(phase: str, info: dict) -> None:
    if phase == "start" and _is_importing():
        gc.freeze()


def _is_importing() -> bool:
    """Whether an import is under way in this thread."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename == IMPORTING:
            return True
        frame = frame.f_back
    return False
