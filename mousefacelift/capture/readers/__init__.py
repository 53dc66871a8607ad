"""Calibration formats: each module here is one format; a new one is one small file added to FORMATS.

A format module has NAME, ABOUT, `matches(path)`, `read(path) -> list[RawCamera]` and, so that the reader can be tested
against itself, `write(path, cameras)`. A reader states what its format documents (row or column vectors, 0- or 1-based
pixels, axes) and accounts for every key that speaks of the picture; whether a file keeps to it is proven by the audit
from the silhouettes.
"""

from __future__ import annotations

import struct
import tokenize
from pathlib import Path
from types import ModuleType

from mousefacelift.capture.readers import (
    anipose_toml,
    beast3d,
    calibcam,
    caliscope_toml,
    camera_hdf5,
    colmap,
    dannce_mat,
    easymocap,
    facelift_json,
    jarvis,
    mammal_pickle,
    multicamselfcal,
    nerfstudio_json,
    opencv_json,
    opencv_yaml,
    sleap_slp,
)
from mousefacelift.errors import CalibrationError, ConfigError
from mousefacelift.formats.raw_camera import RawCamera, check_raw_cameras

FORMATS: dict[str, ModuleType] = {
    module.NAME: module
    for module in (
        mammal_pickle,
        dannce_mat,
        anipose_toml,
        caliscope_toml,
        calibcam,
        colmap,
        jarvis,
        easymocap,
        camera_hdf5,
        sleap_slp,
        multicamselfcal,
        beast3d,
        facelift_json,
        nerfstudio_json,
        opencv_json,
        opencv_yaml,
    )
}
# what broken content may still provoke behind the readers' own checks
CONTENT_ERRORS = (
    KeyError,
    ValueError,
    TypeError,
    IndexError,
    AttributeError,
    OSError,
    EOFError,
    struct.error,
    tokenize.TokenError,  # numpy, of the header of a broken .npy
)


def read_calibration(path: str | Path, name: str = "auto") -> tuple[list[RawCamera], str]:
    """Cameras of a calibration file or folder, and the name of its format.

    Args:
        path: file or folder.
        name: a key of FORMATS, or "auto" to recognise the format by its content.
    Raises:
        CalibrationError: nothing there, no format (or several) recognised, or the content is no calibration.
        ConfigError: unknown format name, or an optional package is missing.
    """
    path = Path(path)
    if name != "auto" and name not in FORMATS:
        raise ConfigError(f"calibration format '{name}' is not known", expected=f"auto, {', '.join(FORMATS)}")
    if not path.exists():
        raise CalibrationError(
            f"calibration {path} does not exist", hint="check the recording's calibration in config.yaml"
        )
    try:
        name = recognise(path) if name == "auto" else name
        cameras = FORMATS[name].read(path)
    except CONTENT_ERRORS as error:
        raise CalibrationError(
            f"calibration {path} cannot be read as {name}",
            got=f"{type(error).__name__}: {error}",
            likely="a truncated file, or another format",
            hint="mousefacelift capture readers",
        ) from error
    return check_raw_cameras(cameras, str(path)), name


def recognise(path: Path) -> str:
    """Name of the one format that `path` looks like."""
    found = [name for name, module in FORMATS.items() if module.matches(path)]
    if len(found) != 1:
        raise CalibrationError(
            f"format of calibration {path} is not clear",
            got=", ".join(found) or "none",
            expected=f"one of {', '.join(FORMATS)}",
            hint="set calibration_format in config.yaml; mousefacelift capture readers lists them",
        )
    return found[0]
