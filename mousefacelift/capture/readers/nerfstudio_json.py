"""nerfstudio / instant-ngp `transforms.json`: OpenGL camera-to-world matrices, pixel centres at +0.5."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mousefacelift.capture.rig import RawCamera

NAME = "nerfstudio_json"
DESCRIPTION = "nerfstudio/instant-ngp transforms.json: transform_matrix (OpenGL c2w), fl_x fl_y cx cy, k1 k2 p1 p2 k3"
FLIP = np.diag([1.0, -1.0, -1.0, 1.0])


def matches(path: Path) -> bool:
    return path.is_file() and path.suffix == ".json" and b'"transform_matrix"' in path.read_bytes()


def read(path: Path) -> list[RawCamera]:
    content = json.loads(path.read_text(encoding="utf-8"))
    cameras = []
    for index, frame in enumerate(content["frames"]):
        values = {**content, **frame}
        c2w = np.eye(4)
        c2w[:3] = np.asarray(frame["transform_matrix"], np.float64)[:3]
        w2c = np.linalg.inv(c2w @ FLIP)
        width, height = int(values.get("w", 0)), int(values.get("h", 0))
        fx = values["fl_x"] if "fl_x" in values else 0.5 * width / np.tan(0.5 * values["camera_angle_x"])
        K = np.array(
            [[fx, 0, values.get("cx", width / 2)], [0, values.get("fl_y", fx), values.get("cy", height / 2)], [0, 0, 1]]
        )
        fisheye = values.get("camera_model") == "OPENCV_FISHEYE"
        keys = ("k1", "k2", "k3", "k4") if fisheye else ("k1", "k2", "p1", "p2", "k3")
        cameras.append(
            RawCamera(
                Path(frame.get("file_path", str(index))).stem,
                K,
                w2c[:3, :3],
                w2c[:3, 3],
                np.array([float(values.get(key, 0)) for key in keys]),
                "fisheye" if fisheye else "brown",
                width,
                height,
            )
        )
    return cameras


def write(path: Path, cameras: list[RawCamera]) -> None:
    frames = []
    for camera in cameras:
        w2c = np.eye(4)
        w2c[:3, :3], w2c[:3, 3] = camera.R, camera.t
        K, d = np.asarray(camera.K), np.pad(camera.distortion, (0, 8))
        frame = {
            "file_path": f"images/{camera.name}.png",
            "transform_matrix": (np.linalg.inv(w2c) @ FLIP).tolist(),
            "fl_x": K[0, 0],
            "fl_y": K[1, 1],
            "cx": K[0, 2],
            "cy": K[1, 2],
            "w": camera.width,
            "h": camera.height,
        }
        if camera.model == "fisheye":
            frame |= dict(zip(("k1", "k2", "k3", "k4"), d[:4].tolist()), camera_model="OPENCV_FISHEYE")
        else:
            frame |= dict(zip(("k1", "k2", "p1", "p2", "k3"), d[:5].tolist()), camera_model="OPENCV")
        frames.append(frame)
    Path(path).write_text(json.dumps({"frames": frames}), encoding="utf-8")
