"""`python -m mousefacelift`, and the installed `mousefacelift`."""

from __future__ import annotations

import atexit
import os
import sys
import threading

from mousefacelift.cli import main


def run() -> None:
    """Run one command and end the process as it stands.

    To take torch, numba and what they made apart object by object is a tenth of a CPU second, for memory that the
    system takes back at once. Threads that still write are waited for, what asked to be told of the end is told, and
    what was printed is out, in Python's own order; any error ends the process as Python does.
    """
    code = main()
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    run()
