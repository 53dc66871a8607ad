"""One camera in OpenCV's words, whatever the file around it: the keys that JSON, YAML and XML exports share."""

from __future__ import annotations

import cv2
import numpy as np

from mousefacelift.capture.readers.pixel_origin import from_zero_based, to_zero_based
from mousefacelift.capture.rig import RawCamera
from mousefacelift.errors import CalibrationError

KEYS = {
    "K": ("K", "camera_matrix", "cameraMatrix", "intrinsic_matrix", "mtx", "A"),
    "dist": ("dist", "distortion_coefficients", "dist_coeffs", "distCoeffs", "distortion", "D"),
    "R": ("R", "rotation_matrix", "rotation", "rvec", "rvecs"),
    "t": ("t", "T", "tvec", "tvecs", "translation"),
}
UNITS = {"mm": 1.0, "cm": 10.0, "m": 1000.0}


def camera_from_entry(entry: dict, name: str) -> RawCamera:
    """RawCamera of a mapping with OpenCV-like keys; R may be a matrix or a rotation vector.

    Raises:
        CalibrationError: K, R or t is missing.
    """
    K, R, t = (_find(entry, key, name) for key in ("K", "R", "t"))
    R = np.asarray(R, np.float64)
    R = cv2.Rodrigues(R.reshape(3))[0] if R.size == 3 else R.reshape(3, 3)
    width, height = _size(entry)
    dist = next((entry[key] for key in KEYS["dist"] if key in entry), [])
    unit = entry.get("units", entry.get("unit"))
    return RawCamera(
        name,
        from_zero_based(np.asarray(K, np.float64).reshape(3, 3)),
        R,
        np.asarray(t, np.float64).reshape(3),
        np.ravel(np.asarray(dist, np.float64)),
        "fisheye" if entry.get("fisheye") else "brown",
        width,
        height,
        UNITS.get(unit) if unit else None,
    )


def entry_from_camera(camera: RawCamera) -> dict:
    """Mapping with the first name of every key, arrays as numpy."""
    entry = {
        "name": camera.name,
        "K": to_zero_based(camera.K),
        "dist": np.asarray(camera.distortion, np.float64),
        "R": np.asarray(camera.R, np.float64),
        "t": np.asarray(camera.t, np.float64),
    }
    if camera.width:
        entry["image_size"] = [camera.width, camera.height]
    if camera.unit:
        entry["units"] = next(name for name, value in UNITS.items() if value == camera.unit)
    return entry | ({"fisheye": 1} if camera.model == "fisheye" else {})


def _find(entry: dict, key: str, name: str):
    for candidate in KEYS[key]:
        if candidate in entry:
            return entry[candidate]
    raise CalibrationError(
        f"camera {name} has no {key}",
        got=", ".join(map(str, entry)),
        expected=" or ".join(KEYS[key]),
        likely="an intrinsics-only calibration" if key in "Rt" else None,
    )


def _size(entry: dict) -> tuple[int, int]:
    if "image_size" in entry or "size" in entry:
        width, height = np.ravel(np.asarray(entry.get("image_size", entry.get("size"))))[:2]
        return int(width), int(height)
    return (
        int(entry.get("image_width", entry.get("width", 0)) or 0),
        int(entry.get("image_height", entry.get("height", 0)) or 0),
    )
