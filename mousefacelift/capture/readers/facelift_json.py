"""FaceLift `opencv_cameras.json`: frames of w, h, fx, fy, cx, cy, w2c; OpenCV axes, cx = W/2 is the middle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mousefacelift.capture.rig import RawCamera

NAME = "facelift_json"
DESCRIPTION = "FaceLift opencv_cameras.json: frames with w, h, fx, fy, cx, cy, w2c"


def matches(path: Path) -> bool:
    return path.is_file() and path.suffix == ".json" and b'"w2c"' in path.read_bytes()


def read(path: Path) -> list[RawCamera]:
    content = json.loads(path.read_text(encoding="utf-8"))
    frames = content["frames"] if isinstance(content, dict) else content
    cameras = []
    for index, frame in enumerate(frames):
        w2c = np.asarray(frame["w2c"], np.float64)
        K = np.array([[frame["fx"], 0, frame["cx"]], [0, frame["fy"], frame["cy"]], [0, 0, 1]], np.float64)
        cameras.append(
            RawCamera(
                str(frame.get("name", index)), K, w2c[:3, :3], w2c[:3, 3], width=int(frame["w"]), height=int(frame["h"])
            )
        )
    return cameras


def write(path: Path, cameras: list[RawCamera]) -> None:
    frames = []
    for index, camera in enumerate(cameras):
        w2c = np.eye(4)
        w2c[:3, :3], w2c[:3, 3] = camera.R, camera.t
        K = np.asarray(camera.K)
        frames.append(
            {
                "w": camera.width,
                "h": camera.height,
                "fx": K[0, 0],
                "fy": K[1, 1],
                "cx": K[0, 2],
                "cy": K[1, 2],
                "w2c": w2c.tolist(),
                "file_path": f"images/cam_{index:03d}.png",
                "name": camera.name,
            }
        )
    Path(path).write_text(json.dumps({"id": Path(path).stem, "frames": frames}), encoding="utf-8")
