"""From a six-camera mouse recording to a network that turns one picture into a 3D mouse."""

import os
from pathlib import Path

__version__ = "0.1.0"


def _keep_kernels_somewhere(package: Path) -> None:
    """Name a folder of this process for compiled kernels where nothing else can be written.

    numba keeps them beside the source or in the user's cache and refuses to compile without either: a read-only
    installation and a user without a home, as in many containers and batch systems. numba reads the variable when it is
    imported, which every module of this package comes before.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    beside = [folder / "__pycache__" for folder in (package, package / "core")]
    if "NUMBA_CACHE_DIR" in os.environ or all(map(_may_write, beside)) or _may_write(cache):
        return
    import atexit
    import shutil
    import tempfile

    folder = tempfile.mkdtemp(prefix="mousefacelift-kernels-")
    os.environ["NUMBA_CACHE_DIR"] = folder
    owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == owner else None)


def _may_write(folder: Path) -> bool:
    """Whether files can be made in `folder`, which may have to be made first."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)


_keep_kernels_somewhere(Path(__file__).parent)
