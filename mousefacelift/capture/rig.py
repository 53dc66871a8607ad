"""The rig: lens cameras in millimetres, the videos they made, and what the audit found; `rig.json`.

Written by `mousefacelift capture audit`, read by `locate` and `normalise`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mousefacelift.capture.lens import Lens
from mousefacelift.core.cameras import Camera
from mousefacelift.core.files import json_text, read_json, readable, write_text
from mousefacelift.errors import DataError

RIG_VERSION = 2
SHAPE = {
    "recording": str,
    "cameras": [dict],
    "videos": [str],
    "masks": [str],
    "frames": int,
    "fps": float,
    "offsets": [[[float]]],
    "up": [float],
    "licence": str,
    "report": dict,
}


@dataclass(frozen=True)
class RigCamera:
    """One calibrated camera.

    Args:
        name: of the camera.
        w2c: [4, 4], mm.
        lens: intrinsics and distortion.
        width, height: pixels.
        mask_growth: px by which its masks are grown (negative: shrunk) before use, so that all views' masks agree.
    """

    name: str
    w2c: np.ndarray
    lens: Lens
    width: int
    height: int
    mask_growth: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "w2c", np.array(self.w2c, np.float64))
        self.pinhole()

    @property
    def R(self) -> np.ndarray:  # noqa: N802 - the field's name
        return self.w2c[:3, :3]

    @property
    def center(self) -> np.ndarray:
        """[3] optical centre, mm."""
        return -self.R.T @ self.w2c[:3, 3]

    def pinhole(self, width: int | None = None, height: int | None = None) -> Camera:
        """The pinhole camera without skew and distortion that shares centre, axes and size (or another size)."""
        camera = Camera(self.w2c, self.lens.fxfycxcy, self.width, self.height)
        return camera if width is None else camera.scaled_to(width, height)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels [..., 2] through the lens and depths [...] (mm) of world points [..., 3] mm; NaN behind the camera."""
        local = np.asarray(points) @ self.R.T + self.w2c[:3, 3]
        depth = local[..., 2]
        front = np.where(depth > 1e-9, depth, np.nan)
        return self.lens.distort(local[..., :2] / front[..., None]), depth

    def shifted(self, shift: np.ndarray) -> RigCamera:
        """The camera with its principal point moved by `shift` [2] pixels."""
        return replace(self, lens=self.lens.shifted(shift))

    def to_json(self) -> dict:
        """JSON-able record of the camera."""
        return {
            "name": self.name,
            "w2c": self.w2c.tolist(),
            "K": self.lens.K.tolist(),
            "model": self.lens.model,
            "distortion": self.lens.distortion.tolist(),
            "width": self.width,
            "height": self.height,
            "mask_growth": self.mask_growth,
        }

    @classmethod
    def from_json(cls, record: dict) -> RigCamera:
        """Inverse of `to_json`."""
        lens = Lens(record["K"], record["distortion"], record["model"])
        return cls(record["name"], record["w2c"], lens, record["width"], record["height"], record["mask_growth"])


@dataclass(frozen=True)
class Rig:
    """An audited recording.

    Args:
        recording: name.
        cameras: V calibrated cameras in file order, bad ones already dropped.
        videos, masks: V paths; on disk they are relative to the recording's folder.
        frames: number of common frames.
        fps: frames per second.
        offsets: per camera, a list of [from_frame, offset]: common frame f is frame f + offset of that camera's file.
        up: [3] unit normal of the floor in the calibration's world.
        licence: of the videos, "unknown" where nobody said.
        report: the numbers of the audit, for people and the report stage.
    """

    recording: str
    cameras: tuple[RigCamera, ...]
    videos: tuple[str, ...]
    masks: tuple[str, ...]
    frames: int
    fps: float
    offsets: tuple = ()
    up: np.ndarray = field(default_factory=lambda: np.array([0.0, 0.0, 1.0]))
    licence: str = "unknown"
    report: dict = field(default_factory=dict)

    def file_frame(self, camera: int, frame: int) -> int:
        """Frame number in camera `camera`'s files of common frame `frame`."""
        offset = 0
        for start, value in self.offsets[camera] if self.offsets else ():
            if frame >= start:
                offset = value
        return frame + offset

    def is_filmed(self, frame: int) -> bool:
        """Whether every camera has a picture of common frame `frame`."""
        return frame < self.frames and all(self.file_frame(v, frame) >= 0 for v in range(len(self.cameras)))

    def to_key(self) -> list:
        """What decides pixels: cameras, files and offsets; two rigs with equal keys give equal samples."""
        return [[camera.to_json() for camera in self.cameras], self.videos, self.masks, self.offsets]

    def write(self, path: str | Path, folder: str | Path) -> None:
        """Write `rig.json` in one rename; files are stored relative to the recording's `folder`."""
        document = {
            "version": RIG_VERSION,
            "recording": self.recording,
            "unit": "mm",
            "frames": self.frames,
            "fps": self.fps,
            "up": np.asarray(self.up).tolist(),
            "cameras": [camera.to_json() for camera in self.cameras],
            "videos": [os.path.relpath(p, folder) for p in self.videos],
            "masks": [os.path.relpath(p, folder) for p in self.masks],
            "offsets": [list(o) for o in self.offsets],
            "licence": self.licence,
            "report": self.report,
        }
        write_text(path, json_text(document, indent=1))

    @classmethod
    def read(cls, path: str | Path, folder: str | Path) -> Rig:
        """The rig of a `rig.json`, whose recording lies in `folder`.

        Raises:
            DataError: missing or broken file, or one written by another version.
        """
        document = read_json(path, dict, "rig")
        if document.get("version") != RIG_VERSION:
            raise DataError(
                f"rig {path} was written by another version",
                got=document.get("version"),
                expected=RIG_VERSION,
                hint="mousefacelift capture audit",
            )
        document = read_json(path, SHAPE, "rig")
        videos, masks = (tuple(str(Path(folder) / p) for p in document[key]) for key in ("videos", "masks"))
        with readable(path, "rig"):
            return cls(
                document["recording"],
                tuple(RigCamera.from_json(c) for c in document["cameras"]),
                videos,
                masks,
                document["frames"],
                document["fps"],
                tuple(document["offsets"]),
                np.array(document["up"], np.float64).reshape(3),
                document["licence"],
                document["report"],
            )
