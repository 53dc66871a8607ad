"""OpenCV FileStorage files, found and parsed (in a child process) for the readers that are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mousefacelift.errors import CalibrationError
from mousefacelift.formats.child import read_foreign
from mousefacelift.formats.entries import natural_key

SUFFIXES = (".yml", ".yaml", ".xml")


def is_storage(path: Path, any_content: bool = False) -> bool:
    """Whether `path` is a FileStorage file by its suffix and by what OpenCV's writer puts into every one."""
    if not path.is_file() or path.suffix.lower() not in SUFFIXES:
        return False
    data = path.read_bytes()
    return any_content or b"rvec_cam" not in data and (b"opencv-matrix" in data or b"opencv_storage" in data)


def storages_of(path: Path) -> list[Path]:
    """The FileStorage files at `path` (itself, or in the folder) in natural order of their names."""
    if path.is_dir():
        return sorted((file for file in path.iterdir() if is_storage(file)), key=lambda file: natural_key(file.name))
    return [path] if is_storage(path) else []


def read_storages(paths: Sequence[Path]) -> list[tuple[Path, dict[str, Any]]]:
    """Each file with its content.

    Raises:
        CalibrationError: OpenCV refuses a file (its own reason is passed on), or it holds nothing.
    """
    found = []
    for path, root in zip(paths, read_foreign("opencv", paths) if paths else ()):
        if not root:
            tabs = path.suffix != ".xml" and b"\n\t" in path.read_bytes()
            raise CalibrationError(
                f"calibration {path} holds no named values",
                likely="tabs, which OpenCV's YAML does not allow" if tabs else "an empty or truncated file",
                hint="replace the tabs by spaces" if tabs else "write the calibration again",
            )
        found.append((path, root))
    return found
