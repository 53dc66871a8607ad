"""nerfstudio and instant-ngp `transforms.json`: OpenGL camera-to-world matrices, pixel centres at +0.5.

nerfstudio's perspective k4 is the coefficient of r^8 (not OpenCV's rational one) and its fisheye has no tangential
terms in OpenCV's sense; both are refused where they are not 0. instant-ngp says `is_fisheye`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mousefacelift.errors import CalibrationError
from mousefacelift.formats.axes import FLIP, opengl_c2w
from mousefacelift.formats.entries import Entry, count_of, lens_model, number_array
from mousefacelift.formats.raw_camera import RawCamera, w2c_of

BROWN = ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV")
# what the tools write beside the cameras and what moves no point: the box, colours, other pictures, the fit's scene
KNOWN = (
    "frames aabb_scale scale offset applied_transform applied_scale orientation_override auto_scale_poses_override "
    "ply_file_path train_filenames val_filenames test_filenames fisheye_crop_radius n_frames sharpness depth_file_path "
    "colmap_im_id mask_path depth_unit_scale_factor integer_depth_scale enable_depth_loading white_transparent "
    "black_transparent is_hdr fix_premult from_na up colorspace images_downscale time bg_color mousefacelift_meta "
    "timestamp camera_id camera_name"
).split()


@dataclass(frozen=True)
class Frame:
    """One frame: its picture and its mask ("" for none) as the file names them, its camera, and its own keys."""

    file_path: str
    mask_path: str
    camera: RawCamera
    values: dict[str, Any]


def is_transforms(path: Path) -> bool:
    """Whether `path` is such a JSON file."""
    return path.is_file() and path.suffix == ".json" and b'"transform_matrix"' in path.read_bytes()


def read_frames(path: Path) -> tuple[list[Frame], dict[str, Any]]:
    """The frames of a file in its order, and the whole document.

    Raises:
        CalibrationError: no such file, no frames, no intrinsics, or a lens that cannot be held.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CalibrationError(f"cameras {path} cannot be read", got=str(error), likely="a truncated file") from error
    if not isinstance(document, dict) or not isinstance(document.get("frames"), list) or not document["frames"]:
        raise CalibrationError(f"cameras {path} hold no frames", expected='{"frames": [{"transform_matrix": ...}]}')
    return [_frame(document, frame, index, path) for index, frame in enumerate(document["frames"])], document


def _frame(document: dict, values: Any, index: int, path: Path) -> Frame:
    where = f"frame {index} of {path}"
    if not isinstance(values, dict):
        raise CalibrationError(f"{where} holds no named values", got=type(values).__name__)
    entry = Entry({**document, **values}, where)
    c2w = np.eye(4)
    c2w[:3] = number_array(entry.need("transform_matrix"), None, f"transform_matrix of {where}")[:3]
    if abs(np.linalg.det(c2w)) < 1e-9:
        raise CalibrationError(f"transform_matrix of {where} cannot be inverted", got=c2w.tolist())
    w2c = np.linalg.inv(c2w @ FLIP)
    file_path, mask_path = str(entry.take("file_path", default=str(index))), str(entry.take("mask_path", default=""))
    K, width, height = _intrinsics(entry)
    distortion, model = _distortion(entry, where)
    entry.ignore(*KNOWN)
    entry.finish()
    camera = RawCamera(file_path, K, w2c[:3, :3], w2c[:3, 3], distortion, model, width, height)
    return Frame(file_path, mask_path, camera, values)


def _intrinsics(entry: Entry) -> tuple[np.ndarray, int, int]:
    """K, width and height; a field of view (radians) stands for a focal length where there is none."""
    width, height = (count_of(entry.take(key, default=0), f"'{key}' of {entry.where}") for key in ("w", "h"))
    angles = [entry.take(key) for key in ("camera_angle_x", "camera_angle_y")]
    focal = [entry.take(key) for key in ("fl_x", "fl_y")]
    for axis, size in enumerate((width, height)):
        if focal[axis] is None and angles[axis] is not None and size:
            focal[axis] = 0.5 * size / np.tan(0.5 * float(angles[axis]))
    if focal[0] is None and focal[1] is None:
        raise CalibrationError(
            f"{entry.where} has no focal length",
            expected="fl_x, or camera_angle_x and the picture's width w",
            likely="a file of the original NeRF, which leaves the size to the pictures",
            hint="add w and h to the file",
        )
    fx, fy = (float(f if f is not None else focal[1 - axis]) for axis, f in enumerate(focal))
    cx, cy = (float(entry.take(key, default=size / 2)) for key, size in (("cx", width), ("cy", height)))
    if not width and cx == 0:
        raise CalibrationError(f"{entry.where} has no principal point", expected="cx and cy, or w and h")
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), width, height


def _distortion(entry: Entry, where: str) -> tuple[np.ndarray, str]:
    model = str(entry.take("camera_model", default="OPENCV"))
    fisheye = entry.flag("is_fisheye") or model == "OPENCV_FISHEYE"
    if model not in BROWN:
        fisheye |= lens_model(model, where) == "fisheye"
    names = ("k1", "k2", "k3", "k4", "p1", "p2")
    values = {name: float(entry.take(name, default=0.0)) for name in names}
    packed = entry.take("distortion_params")
    if packed is not None:
        values = dict(zip(names, number_array(packed, (6,), f"distortion_params of {where}").tolist()))
    k1, k2, k3, k4, p1, p2 = (values[name] for name in names)
    if fisheye and (p1 or p2) or not fisheye and k4:
        raise CalibrationError(
            f"lens of {where} has terms that are not supported",
            got=", ".join(f"{name} = {value:g}" for name, value in values.items() if value),
            expected="k1 k2 k3 k4 of a fisheye lens, or k1 k2 p1 p2 k3 of any other",
            likely="nerfstudio's k4 of a perspective lens is the coefficient of r^8",
            hint="undistort the pictures first",
        )
    return (np.array([k1, k2, k3, k4]), "fisheye") if fisheye else (np.array([k1, k2, p1, p2, k3]), "brown")


def frame_of(camera: RawCamera, file_path: str) -> dict[str, Any]:
    """The keys of one frame for `camera`."""
    K, d = np.asarray(camera.K, np.float64), np.pad(camera.distortion, (0, 8))
    if camera.model == "brown" and d[5:8].any():
        raise CalibrationError(f"lens of camera {camera.name} does not fit transforms.json", got="k4 to k6")
    frame = {
        "file_path": file_path,
        "w": camera.width,
        "h": camera.height,
        "fl_x": float(K[0, 0]),
        "fl_y": float(K[1, 1]),
        "cx": float(K[0, 2]),
        "cy": float(K[1, 2]),
        "transform_matrix": opengl_c2w(w2c_of(camera)).tolist(),
    }
    if camera.model == "fisheye":
        return frame | dict(zip(("k1", "k2", "k3", "k4"), d[:4].tolist()), camera_model="OPENCV_FISHEYE")
    if d.any():
        frame |= dict(zip(("k1", "k2", "p1", "p2", "k3"), d[:5].tolist()), camera_model="OPENCV")
    return frame
