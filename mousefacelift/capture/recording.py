"""Where a recording's videos, masks and calibration lie: the public markerless-mouse layout, or paths given in
config."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from mousefacelift.capture.config import RecordingSource
from mousefacelift.capture.locators import locate_sources
from mousefacelift.capture.readers import read_calibration
from mousefacelift.errors import DataError
from mousefacelift.formats.raw_camera import RawCamera

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
            "sparse/0",
            "sparse",
            "multicam_calibration.npz",
            "multicam_calibration.npy",
            "multicam_calibration.yml",
            "multicam_calibration.mat",
            "camera_array.toml",
            "intri.yml",
            "calibration.json",
            "calibration.h5",
        ),
    ),
}


@dataclass(frozen=True)
class Recording:
    """The files of one recording, cameras in calibration order; `masks` holds "" where there is none, the others
    where a camera that will be dropped has none."""

    name: str
    folder: Path
    cameras: tuple[RawCamera, ...]
    calibration: Path
    calibration_format: str
    videos: tuple[str, ...]
    masks: tuple[str, ...]
    licence: str = "unknown"
    timestamps: tuple[str, ...] = ()


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
    names = [camera.name for camera in cameras]
    video_paths = locate_sources(folder, videos, names, name, "video", source.drop_cameras)
    mask_paths = ("",) * len(cameras)
    if masks:
        number = f"#{source.mask_object}" if source.mask_object else ""
        mask_paths = locate_sources(folder, masks + number, names, name, "mask", source.drop_cameras)
    stamps: tuple[str, ...] = ()
    if source.timestamps:
        stamps = locate_sources(folder, source.timestamps, names, name, "timestamp", source.drop_cameras)
    return Recording(
        name, folder, tuple(cameras), folder / calibration, found, video_paths, mask_paths, _licence(folder), stamps
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
