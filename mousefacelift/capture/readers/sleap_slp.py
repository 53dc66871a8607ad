"""sleap-io `.slp`: the camera group of the recording session, JSON inside HDF5, with anipose's keys."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from mousefacelift.capture.readers.about import About
from mousefacelift.capture.readers.anipose_toml import cameras_of
from mousefacelift.core.files import json_text
from mousefacelift.errors import CalibrationError
from mousefacelift.formats.child import read_foreign
from mousefacelift.formats.pixel_origin import to_zero_based
from mousefacelift.formats.raw_camera import RawCamera

NAME = "sleap_slp"
ABOUT = About(
    "SLEAP, sleap-io (recording sessions)",
    "sleap-io 0.9.5 wrote it",
    "open (that of the board)",
    "Rodrigues vector and translation, world to camera",
    "0",
    ".slp with sessions_json: calibration as in anipose's TOML (needs h5py)",
)


def matches(path: Path) -> bool:
    return path.is_file() and path.suffix == ".slp"


def read(path: Path) -> list[RawCamera]:
    (content,) = read_foreign("hdf5", [path])
    rows = content.get("sessions_json") or []
    try:
        sessions = [json.loads(row) for row in rows]
    except ValueError as error:
        raise CalibrationError(f"sessions of {path} are no JSON", got=str(error)) from error
    sessions = [session["calibration"] for session in sessions if session.get("calibration")]
    if len({json.dumps(session, sort_keys=True) for session in sessions}) != 1:
        raise CalibrationError(
            f"{path} has no one camera group",
            got=f"{len(sessions)} sessions with a calibration",
            expected="one, or several with the same calibration",
            likely="a project without a recording session" if not sessions else "sessions of several rigs",
        )
    return cameras_of(sessions[0], str(path))


def write(path: Path, cameras: list[RawCamera]) -> None:
    import h5py

    calibration = {
        f"cam_{index}": {
            "name": camera.name,
            "size": [camera.width, camera.height],
            "matrix": to_zero_based(camera.K).tolist(),
            "distortions": np.asarray(camera.distortion).tolist(),
            "rotation": cv2.Rodrigues(np.asarray(camera.R))[0].ravel().tolist(),
            "translation": np.asarray(camera.t).tolist(),
        }
        for index, camera in enumerate(cameras)
    }
    with h5py.File(path, "w") as file:
        file["sessions_json"] = [json_text({"calibration": calibration, "camcorder_to_video_idx_map": {}})]
