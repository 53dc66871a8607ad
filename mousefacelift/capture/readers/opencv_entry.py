"""One camera in OpenCV's words, whatever the file around it: the keys that JSON, YAML and XML exports share."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from mousefacelift.errors import CalibrationError
from mousefacelift.formats.entries import Entry, image_size, lens_model, number_array
from mousefacelift.formats.pixel_origin import from_zero_based, to_zero_based
from mousefacelift.formats.raw_camera import RawCamera

K_KEYS = ("K", "camera_matrix", "cameraMatrix", "intrinsic_matrix", "intrinsic", "intrinsics", "mtx", "A")
DIST_KEYS = (
    "dist distortion_coefficients distortion_coefs dist_coeffs dist_coefs distCoeffs distCoefs distortionCoefficients "
    "distortion_coeffs distortion distortions dist_coef D"
).split()
ROTATION_KEYS = ("R", "rotation_matrix", "rotation", "rvec", "rvecs", "Rvec")
TRANSLATION_KEYS = ("t", "T", "tvec", "tvecs", "translation", "Tvec")
MODEL_KEYS = ("distortion_model", "lens_model", "camera_model", "projection_model", "model")
SIZE_KEYS = ("image_size", "imageSize", "img_size", "size", "resolution", "sensor_size")
SIDE_KEYS = (("image_width", "width", "w", "W"), ("image_height", "height", "h", "H"))
UNITS = {"mm": 1.0, "cm": 10.0, "m": 1000.0}


def is_camera(content: Any) -> bool:
    """Whether a mapping holds a camera matrix."""
    return isinstance(content, dict) and any(key in content for key in K_KEYS)


def camera_from_entry(content: dict, name: str, where: str) -> RawCamera:
    """RawCamera of a mapping with OpenCV-like keys; the rotation may be a matrix, a vector, or both.

    Raises:
        CalibrationError: K, R or t is missing, R and rvec differ, or a key that speaks of the lens is not understood.
    """
    entry = Entry(content, f"camera {name} of {where}")
    K = entry.array((3, 3), *K_KEYS)
    R = _rotation(entry)
    t = entry.array((3,), *TRANSLATION_KEYS)
    distortion = entry.numbers(*DIST_KEYS)
    model = _model(entry, distortion)
    width, height = image_size(_size(entry), K, entry.where)
    unit = entry.take("units", "unit")
    if unit is not None and unit not in UNITS:
        raise CalibrationError(f"unit of {entry.where} is not known", got=unit, expected=", ".join(UNITS))
    entry.ignore("name", "camera_name", "cameraName", "id", "image_shape")
    _check_numbers(entry, K)
    _check_projection(entry, K, R, t)
    entry.finish()
    return RawCamera(
        name, from_zero_based(K), R, t, distortion, model, width, height, UNITS[unit] if unit is not None else None
    )


def _rotation(entry: Entry) -> np.ndarray:
    """[3, 3]; a vector and a matrix beside each other must agree."""
    found = []
    for keys in (("R", "rotation_matrix", "rotation"), ("rvec", "rvecs", "Rvec")):
        value = entry.take(*keys)
        if value is not None:
            numbers = number_array(value, None, f"{keys[0]} of {entry.where}")
            if numbers.size not in (3, 9):
                raise CalibrationError(f"{keys[0]} of {entry.where} is no rotation", got=f"{numbers.size} numbers")
            found.append(cv2.Rodrigues(numbers.reshape(3))[0] if numbers.size == 3 else numbers.reshape(3, 3))
    if not found:
        raise CalibrationError(
            f"{entry.where} has no rotation",
            expected=" or ".join(ROTATION_KEYS),
            likely="an intrinsics-only calibration",
        )
    if len(found) == 2 and np.abs(found[0] - found[1]).max() > 1e-4:
        raise CalibrationError(
            f"rotation matrix and rotation vector of {entry.where} differ", likely="a file merged from two calibrations"
        )
    return found[0]


def _model(entry: Entry, distortion: np.ndarray) -> str:
    word = entry.take(*MODEL_KEYS, default="")
    model = lens_model(word, entry.where)
    if entry.flag("fisheye", "is_fisheye"):
        model = "fisheye"
    if model == "fisheye" and distortion.size > 4 and distortion[4:].any():
        raise CalibrationError(
            f"fisheye lens of {entry.where} has more than four terms", got=distortion.tolist(), expected="k1 k2 k3 k4"
        )
    return model


def _size(entry: Entry) -> Any:
    size = entry.take(*SIZE_KEYS)
    sides = [entry.take(*keys) for keys in SIDE_KEYS]
    return size if size is not None or None in sides else sides


def _check_numbers(entry: Entry, K: np.ndarray) -> None:
    """fx, fy, cx, cy beside K say the same."""
    for name, value in (("fx", K[0, 0]), ("fy", K[1, 1]), ("cx", K[0, 2]), ("cy", K[1, 2])):
        given = entry.take(name)
        if given is not None and abs(float(number_array(given, (), f"{name} of {entry.where}")) - value) > 1e-3:
            raise CalibrationError(f"{name} of {entry.where} is not its camera matrix's", got=given, expected=value)


def _check_projection(entry: Entry, K: np.ndarray, R: np.ndarray, t: np.ndarray) -> None:
    """A projection matrix beside K, R and t says the same, up to its scale, or the file contradicts itself."""
    P = entry.take("P", "projection_matrix", "proj")
    if P is None:
        return
    P, expected = number_array(P, (3, 4), f"P of {entry.where}"), K @ np.column_stack([R, t])
    scale = np.linalg.norm(P) / max(np.linalg.norm(expected), 1e-300)
    if min(np.abs(P / scale - sign * expected).max() for sign in (1, -1)) > 1e-3 * np.abs(expected).max():
        raise CalibrationError(f"projection matrix of {entry.where} is not K [R | t]", likely="rectified cameras")


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
