"""Where a recording's videos, masks and calibration lie: the public markerless-mouse layout, or paths given in
config."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from mousefacelift.capture.config import RecordingSource
from mousefacelift.capture.readers import read_calibration
from mousefacelift.capture.rig import RawCamera
from mousefacelift.errors import DataError

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm")
LAYOUTS = {
    "undistorted": ("videos_undist", "simpleclick_undist", ("new_cam.pkl",)),
    "distorted": (
        "videos",
        "masks",
        (
            "label3d_dannce.mat",
            "calibration.toml",
            "calibration",
            "cameras.json",
            "opencv_cameras.json",
            "transforms.json",
            "sparse",
            "multicam_calibration.npz",
        ),
    ),
}


@dataclass(frozen=True)
class Recording:
    """The files of one recording, cameras in calibration order; `masks` holds "" where there is none."""

    name: str
    folder: Path
    cameras: tuple[RawCamera, ...]
    calibration: Path
    calibration_format: str
    videos: tuple[str, ...]
    masks: tuple[str, ...]
    licence: str = "unknown"


def open_recording(name: str, folder: str | Path, source: RecordingSource) -> Recording:
    """Find the files of a recording and read its calibration.

    Raises:
        DataError: no such folder, no layout recognised, or videos and cameras differ in number.
        CalibrationError: see `read_calibration`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(
            f"recording folder {folder} does not exist", hint=f"check recordings.{name}.path in config.yaml"
        )
    videos, masks, calibration = _layout(name, folder, source)
    cameras, found = read_calibration(folder / calibration, source.calibration_format)
    video_paths = _per_camera(folder, videos, cameras, name, "video")
    mask_paths = _per_camera(folder, masks, cameras, name, "mask") if masks else ("",) * len(cameras)
    return Recording(
        name, folder, tuple(cameras), folder / calibration, found, video_paths, mask_paths, _licence(folder)
    )


def _licence(folder: Path) -> str:
    """What the recording's own description (virtual recordings have one) says of its licence."""
    path = folder / "recording.json"
    try:
        return json.loads(path.read_text()).get("licence", "unknown") if path.is_file() else "unknown"
    except ValueError as error:
        raise DataError(f"{path} is no JSON", got=str(error), likely="a file cut off while it was copied") from error


def _layout(name: str, folder: Path, source: RecordingSource) -> tuple[str, str, str]:
    """Patterns of videos and masks ("" for none) and the calibration, relative to the folder."""
    if source.videos and source.calibration:
        return source.videos, source.masks, source.calibration
    order = ("undistorted", "distorted") if source.variant == "auto" else (source.variant,)
    for variant in order:
        videos, masks, calibrations = LAYOUTS[variant]
        calibration = source.calibration or next((c for c in calibrations if (folder / c).exists()), "")
        if (folder / videos).is_dir() and calibration:
            found = source.masks or (f"{masks}/{{camera}}" if (folder / masks).is_dir() else "")
            return source.videos or f"{videos}/{{camera}}", found, calibration
    raise DataError(
        f"recording {name} in {folder} has no layout that is known",
        got=", ".join(sorted(p.name for p in folder.iterdir())[:12]) or "an empty folder",
        expected="videos_undist/, simpleclick_undist/ and new_cam.pkl; or videos/, masks/ and a calibration",
        hint=f"give recordings.{name}.videos, .masks and .calibration in config.yaml",
    )


def _per_camera(folder: Path, pattern: str, cameras: list[RawCamera], name: str, what: str) -> tuple[str, ...]:
    """One file per camera: `{camera}` in the pattern is the camera's number from 0, its number from 1, or its name."""
    if "{camera}" not in pattern:
        raise DataError(
            f"{what} pattern of recording {name} has no {{camera}}", got=pattern, expected="cam{camera}.mp4"
        )
    counts = {}
    for style in (lambda i, c: str(i), lambda i, c: c.name, lambda i, c: str(i + 1)):
        paths = [_existing(folder, pattern.replace("{camera}", style(i, c))) for i, c in enumerate(cameras)]
        if all(paths):
            _refuse_extra(folder, pattern, paths, name, what)
            return tuple(str(path) for path in paths)
        counts[sum(map(bool, paths))] = paths
    best = counts[max(counts)]
    missing = [camera.name for camera, path in zip(cameras, best) if not path]
    raise DataError(
        f"recording {name} lacks the {what} of camera {', '.join(missing)}",
        where=str(folder / pattern),
        got=f"{sum(map(bool, best))} files",
        expected=f"{len(cameras)}, one per calibrated camera",
    )


def _existing(folder: Path, relative: str) -> Path | None:
    path = folder / relative
    if path.is_file():
        return path
    return next((p for s in VIDEO_SUFFIXES if (p := path.with_name(path.name + s)).is_file()), None)


def _refuse_extra(folder: Path, pattern: str, paths: list[Path], name: str, what: str) -> None:
    """A numbered file without a camera means a calibration with a camera missing."""
    base = (folder / pattern).parent
    stem = re.escape((folder / pattern).name).replace(re.escape("{camera}"), r"\d+")
    suffix = "" if Path(pattern).suffix in VIDEO_SUFFIXES else r"\.(?:" + "|".join(s[1:] for s in VIDEO_SUFFIXES) + ")"
    extra = [p.name for p in base.iterdir() if re.fullmatch(stem + suffix, p.name) and p not in paths]
    if extra:
        raise DataError(
            f"recording {name} has a {what} without a calibrated camera",
            got=", ".join(sorted(extra)),
            expected=f"{len(paths)} files",
            likely="a camera is missing from the calibration",
        )
