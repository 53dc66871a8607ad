"""calibcam (`multicam_calibration` .npy, .yml, .npz, .mat): `calibs`, per camera A, k, rvec_cam, tvec_cam.

OpenCV axes, Rodrigues rotation world to camera, 0-based pixels. `projection_model: fisheye_equidistant` stores
k1 k2 0 0 k3 of OpenCV's fisheye; xi (the omnidirectional model) is refused unless it is 0.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from mousefacelift.capture.readers.about import About
from mousefacelift.errors import CalibrationError
from mousefacelift.formats.child import read_foreign
from mousefacelift.formats.entries import Entry, camera_names, image_size, lens_model
from mousefacelift.formats.pixel_origin import from_zero_based, to_zero_based
from mousefacelift.formats.raw_camera import RawCamera
from mousefacelift.formats.safe_pickle import array_of_bytes, load_object_array

NAME = "calibcam"
ABOUT = About(
    "calibcam (bbo-lab)",
    "files (.npy and .yml) written by 4.2.0, taken from a rig of known truth",
    "open (that of the board, usually mm)",
    "rvec_cam and tvec_cam, world to camera",
    "0",
    "multicam_calibration.npy/.yml/.npz/.mat: calibs with A, k, rvec_cam, tvec_cam, projection_model, xi",
)
STACKED = ("A", "k", "rvec_cam", "tvec_cam", "sensor_size", "xi", "name", "projection_model")
# of the optimisation: board poses, corners used, errors, options
KNOWN = (
    "rvecs tvecs frames_mask repro_error std_k std_A std_rvec std_tvec rms board_params corners used_frames_ids info "
    "opts version rec_file_names vid_headers date_str calibcam_version"
).split()


def matches(path: Path) -> bool:
    if not path.is_file():
        return False
    if path.suffix == ".mat":
        return b"rvec_cam" in path.read_bytes() or path.stem.startswith("multicam_calibration")
    if path.suffix in (".npz", ".npy"):
        return True
    return path.suffix in (".yml", ".yaml") and b"rvec_cam" in path.read_bytes()


def read(path: Path) -> list[RawCamera]:
    entries = _entries(path)
    for entry in entries:
        if not isinstance(entry, dict):
            raise CalibrationError(f"calibration {path} holds no cameras", got=f"a list of {type(entry).__name__}")
    names = camera_names([_text(entry.get("name")) for entry in entries], map(str, range(len(entries))))
    return [_camera(Entry(entry, f"camera {name} of {path}"), name) for entry, name in zip(entries, names)]


def _text(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else str(np.asarray(value).item())


def _entries(path: Path) -> list[dict]:
    if path.suffix in (".yml", ".yaml"):
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise CalibrationError(
                f"calibration {path} is no YAML", got=str(error), likely="a file cut off while it was copied"
            ) from error
    elif path.suffix == ".mat":
        (content,) = read_foreign("mat", [path])
    else:
        content = _arrays(path)
    if isinstance(content, dict) and "calibs" not in content and "A" in content:
        return _unstacked(content, path)
    calibs = content.get("calibs") if isinstance(content, dict) else content
    if isinstance(calibs, np.ndarray):
        calibs = list(np.atleast_1d(calibs))
    if not isinstance(calibs, list):
        raise CalibrationError(f"calibration {path} has no calibs", got=type(content).__name__)
    return calibs


def _unstacked(content: dict, path: Path) -> list[dict]:
    """One dict per camera of arrays whose first axis is the camera."""
    count = len(np.asarray(content["A"]))
    entries: list[dict] = [{} for _ in range(count)]
    for key, value in content.items():
        if key in STACKED and len(np.atleast_1d(value)) != count:
            raise CalibrationError(
                f"{key} of {path} is not one per camera", got=len(np.atleast_1d(value)), expected=count
            )
        for index in range(count):
            if key in STACKED:
                entries[index][key] = np.asarray(value)[index]
            else:
                entries[index][key] = value
    return entries


def _arrays(path: Path) -> Any:
    """Arrays of an .npz, or the content of an object .npy; object arrays go through the numbers-only unpickler."""
    if path.suffix == ".npy":
        content = load_object_array(path)
        return content if isinstance(content, dict) else {"calibs": content}
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.removesuffix(".npy"): archive.read(name) for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile, EOFError, RuntimeError) as error:
        raise CalibrationError(
            f"calibration {path} cannot be read", got=f"{type(error).__name__}: {error}", likely="a truncated file"
        ) from error
    return {name: array_of_bytes(data, f"{name} of {path}") for name, data in members.items()}


def _camera(entry: Entry, name: str) -> RawCamera:
    A = entry.array((3, 3), "A")
    R = cv2.Rodrigues(entry.array((3,), "rvec_cam"))[0]
    t, k = entry.array((3,), "tvec_cam"), entry.numbers("k")
    width, height = image_size(entry.take("sensor_size", "size"), A, entry.where)
    model = _model(entry)
    if model == "fisheye":
        k = _fisheye(k, entry.where)
    entry.ignore("name", *KNOWN)
    entry.finish()
    return RawCamera(name, from_zero_based(A), R, t, k, model, width, height)


def _model(entry: Entry) -> str:
    """The lens model; xi is the mirror parameter of the omnidirectional one, 0 for every other."""
    xi = entry.numbers("xi")
    word = _text(entry.take("projection_model", default=""))
    if np.any(xi) or "omni" in str(word).lower():
        raise CalibrationError(
            f"lens of {entry.where} is omnidirectional",
            got=f"projection_model {word}, xi {xi.tolist()}",
            expected="perspective or fisheye_equidistant, xi 0",
            hint="undistort the videos with calibcamlib first",
        )
    return lens_model(word, entry.where)


def _fisheye(k: np.ndarray, where: str) -> np.ndarray:
    """k1 k2 k3 0 of calibcam's five terms, whose third and fourth have no meaning in an equidistant lens."""
    if k.size == 5 and not k[2:4].any():
        return np.array([k[0], k[1], k[4], 0.0])
    if k.size <= 4 and not k[2:].any():
        return np.pad(k, (0, 4 - k.size))
    raise CalibrationError(
        f"fisheye lens of {where} has tangential terms", got=k.tolist(), expected="k1 k2 0 0 k3", hint="undistort first"
    )


def write(path: Path, cameras: list[RawCamera]) -> None:
    rvecs = [cv2.Rodrigues(np.asarray(c.R))[0].ravel() for c in cameras]
    ks = [np.pad(c.distortion, (0, 5))[:5] for c in cameras]
    if Path(path).suffix in (".yml", ".yaml"):
        calibs = [
            {
                "name": c.name,
                "A": to_zero_based(c.K).tolist(),
                "k": k.tolist(),
                "rvec_cam": r.tolist(),
                "tvec_cam": np.asarray(c.t).tolist(),
            }
            for c, k, r in zip(cameras, ks, rvecs)
        ]
        Path(path).write_text(yaml.safe_dump({"calibs": calibs}), encoding="utf-8")
    else:
        np.savez(
            path,
            A=np.stack([to_zero_based(c.K) for c in cameras]),
            k=np.stack(ks),
            rvec_cam=np.stack(rvecs),
            tvec_cam=np.stack([np.asarray(c.t) for c in cameras]),
        )
