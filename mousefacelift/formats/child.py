"""Foreign binary and OpenCV files, opened in a child process with bounded memory and time.

OpenCV's and MATLAB's parsers are C code that can crash, hang or allocate without bound on a broken file; a crash here
is an error about that file.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mousefacelift.errors import CalibrationError, ConfigError
from mousefacelift.formats.safe_pickle import load_numbers

MEMORY = 2 << 30  # bytes that a parser may add
SECONDS = 60
LARGEST = 512 << 20  # bytes of a file that is still taken for a calibration
MAIN = Path(__file__).with_name("child_main.py")


def read_foreign(kind: str, paths: Sequence[Path]) -> list[Any]:
    """Plain content of each file: dicts, lists, text, numbers and numeric arrays.

    Args:
        kind: opencv, mat, mat73 or hdf5.
        paths: files; all are read by one child.
    Raises:
        CalibrationError: the parser refuses a file, crashes on it, or takes too much memory or time.
        ConfigError: an optional package is not installed.
    """
    for path in paths:
        if path.stat().st_size > LARGEST:
            raise CalibrationError(
                f"{path} is too large for a calibration", got=f"{path.stat().st_size >> 20} MB", likely="another file"
            )
    names = [str(path) for path in paths]
    command = [sys.executable, "-I", str(MAIN), kind, str(MEMORY), str(SECONDS), *names]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OPENCV_LOG_LEVEL": "SILENT"}
    try:
        done = subprocess.run(command, capture_output=True, timeout=2 * SECONDS, env=environment)
    except subprocess.TimeoutExpired as error:
        raise CalibrationError(
            f"calibration {_listed(names)} cannot be parsed",
            got=f"no end after {2 * SECONDS} s",
            likely="a broken file",
        ) from error
    if done.returncode != 0:
        raise CalibrationError(
            f"calibration {_listed(names)} cannot be parsed",
            got=_cause(done.returncode),
            likely="a truncated or damaged file, on which the parser crashes",
            hint="write the calibration again with the tool that made it",
        )
    found = load_numbers(done.stdout)
    return [_content(name, *found[name]) for name in names]


def _content(name: str, state: str, value: Any) -> Any:
    if state == "content":
        return value
    if state == "absent":
        raise ConfigError(
            f"{name} needs the package {value}, which is not installed", hint="pip install 'mousefacelift[files]'"
        )
    raise CalibrationError(
        f"calibration {name} cannot be parsed", got=value, likely="a truncated file, or another format"
    )


def _cause(code: int) -> str:
    return f"the parser died ({signal.Signals(-code).name})" if code < 0 else f"the parser ended with code {code}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} or one of the {len(names) - 1} files beside it"
