"""The truth beside a virtual recording: written while filming, read back as meshes, keypoints, cameras and exact
pictures.

truth/mesh.npz        faces [F, 3], uv [M, 2], faces_uv [F, 3], region [N], part [N], colours [N, 3], rest_vertices,
                      joint_names [J], parents [J]
truth/motion.npz      keypoints_mm [T, 22, 3], keypoint_names, rotations [T, J, 3, 3], positions_mm [T, J, 3], time_s,
                      step_100fps [T], behaviour [T]
truth/vertices_AAAAAA.npz   vertices_mm [t, N, 3] float32 of frames AAAAAA onwards
truth/cameras.json    true lenses (house pixel convention: centres at +0.5) and the calibration as written
truth/parameters.json configuration, name, seed, animal
"""

from __future__ import annotations

import functools
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from mousefacelift.config import load
from mousefacelift.core.cameras import Camera
from mousefacelift.core.files import json_text, write_text
from mousefacelift.core.skinning import Pose
from mousefacelift.errors import DataError
from mousefacelift.virtual.anatomy import KEYPOINTS
from mousefacelift.virtual.config import VirtualConfig
from mousefacelift.virtual.motion import BEHAVIOURS, RATE
from mousefacelift.virtual.painter import Scene, paint_frame
from mousefacelift.virtual.rig import Lens, from_camera
from mousefacelift.virtual.stage import Stage, build_stage

CHUNK = 250  # frames per vertices file


class TruthWriter:
    """Collects the truth of a recording while it is filmed."""

    def __init__(self, folder: Path, stage: Stage) -> None:
        self._folder, self._stage = folder, stage
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("vertices_*.npz"):
            old.unlink()
        self._vertices: list[np.ndarray] = []
        self._start = 0
        self._rotations, self._positions, self._keypoints = [], [], []

    def add(self, frame: int, vertices: np.ndarray, pose: Pose) -> None:
        """Take one frame's vertices [N, 3] mm and pose."""
        self._rotations.append(pose.rotations.astype(np.float32))
        self._positions.append(pose.positions.astype(np.float32))
        self._keypoints.append(self._stage.skinner.keypoints(vertices, pose))
        if self._stage.config.truth_vertices:
            self._vertices.append(vertices.astype(np.float32))
            if len(self._vertices) == CHUNK:
                self._flush()

    def _flush(self) -> None:
        if self._vertices:
            np.savez(self._folder / f"vertices_{self._start:06d}.npz", vertices_mm=np.stack(self._vertices))
            self._start += len(self._vertices)
            self._vertices = []

    def close(self, written: dict[str, list[Lens]]) -> None:
        """Write everything that remains; `written` holds the lenses of each variant as the calibration files state
        them."""
        self._flush()
        stage, mesh = self._stage, self._stage.mesh
        np.savez(
            self._folder / "mesh.npz",
            faces=mesh.faces.astype(np.int32),
            uv=mesh.uv,
            faces_uv=mesh.faces_uv.astype(np.int32),
            region=mesh.region,
            part=mesh.part.astype(np.int16),
            rest_vertices=mesh.vertices,
            parents=mesh.parents,
            colours=vertex_colours(stage).astype(np.float32),
            joint_names=np.array(mesh.joint_names),
        )
        steps = stage.steps
        np.savez(
            self._folder / "motion.npz",
            keypoints_mm=np.stack(self._keypoints),
            keypoint_names=np.array(KEYPOINTS),
            rotations=np.stack(self._rotations),
            positions_mm=np.stack(self._positions),
            step_100fps=steps,
            time_s=np.arange(len(steps)) / stage.config.fps,
            behaviours=np.array(BEHAVIOURS),
            behaviour=stage.puppet.behaviour[steps],
        )
        cameras = {"unit": "mm", "pixels": "centres at +0.5", "true": {}, "written": {}}
        for kind, lenses in (("undistorted", stage.undistorted), ("distorted", stage.distorted)):
            cameras["true"][kind] = [_lens_entry(lens) for lens in lenses]
        cameras["written"] = {kind: [_lens_entry(lens) for lens in lenses] for kind, lenses in written.items()}
        write_text(self._folder / "cameras.json", json_text(cameras, indent=1) + "\n")
        parameters = {
            "recording": stage.name,
            "seed": stage.seed,
            "config": asdict(stage.config),
            "animal": asdict(stage.animal),
            "steps_per_second": RATE,
        }
        write_text(self._folder / "parameters.json", json_text(parameters, indent=1) + "\n")


def vertex_colours(stage: Stage) -> np.ndarray:
    """[N, 3] linear reflectance of the animal's outside: hair where there is fur, else skin."""
    furry = np.clip(stage.mesh.fur * 1.2, 0, 1)[:, None] * (stage.mesh.region == 0)[:, None]
    return stage.mesh.hair * furry + stage.mesh.albedo * (1 - furry)


def _lens_entry(lens: Lens) -> dict:
    names = ("fx", "fy", "cx", "cy", "skew")
    return {
        **dict(zip(names, lens.intrinsics.tolist())),
        "distortion_k1k2p1p2k3": lens.distortion.tolist(),
        "R": lens.rotation.tolist(),
        "t": lens.translation.tolist(),
        "width": lens.width,
        "height": lens.height,
    }


def read_lenses(folder: str | Path, variant: str = "undistorted", kind: str = "true") -> list[Lens]:
    """The lenses of a virtual recording: `kind` "true", or "written" as its calibration files (perhaps wrongly) say."""
    entries = json.loads((_truth(folder) / "cameras.json").read_text())[kind]
    if variant not in entries:
        raise DataError(f"recording {folder} has no {variant} cameras", got=", ".join(entries) or "none")
    return [
        Lens(
            np.array(e["R"]),
            np.array(e["t"]),
            np.array([e[k] for k in ("fx", "fy", "cx", "cy", "skew")]),
            np.array(e["distortion_k1k2p1p2k3"]),
            e["width"],
            e["height"],
        )
        for e in entries[variant]
    ]


def true_cameras(folder: str | Path) -> list[Camera]:
    """The exact pinhole cameras of the undistorted videos, in mm."""
    return [lens.pinhole() for lens in read_lenses(folder)]


def truth_mesh(folder: str | Path, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [N, 3] in mm and faces [F, 3] (closed, outward, with UVs and colours in truth/mesh.npz) of a frame.

    Raises:
        DataError: no truth there, or no such frame.
    """
    stage = _stage_of(str(Path(folder).resolve()))
    return _vertices(Path(folder), stage, frame), stage.mesh.faces


def truth_keypoints(folder: str | Path) -> np.ndarray:
    """[T, 22, 3] keypoints in mm, in the order of anatomy.KEYPOINTS."""
    with np.load(_truth(folder) / "motion.npz") as content:
        return content["keypoints_mm"]


def render_truth(folder: str | Path, frame: int, camera: Camera | Lens, supersample: int = 2) -> np.ndarray:
    """Straight rgba [H, W, 4] float32 of the animal in a frame from any camera (world in mm), without noise or
    arena."""
    lens = camera if isinstance(camera, Lens) else from_camera(camera)
    return paint_frame(truth_scene(folder, frame), lens, supersample)


def truth_scene(folder: str | Path, frame: int) -> Scene:
    """A frame ready for painting from many cameras (the last few frames are kept)."""
    return _scene(str(Path(folder).resolve()), frame)


@functools.lru_cache(maxsize=4)
def _scene(folder: str, frame: int) -> Scene:
    stage = _stage_of(folder)
    return stage.scene(_vertices(Path(folder), stage, frame).astype(np.float64))


@functools.lru_cache(maxsize=4)
def _stage_of(folder: str) -> Stage:
    parameters = json.loads((_truth(folder) / "parameters.json").read_text())
    config = load(VirtualConfig, parameters["config"], where="truth/parameters.json")
    return build_stage(config, parameters["recording"], parameters["seed"])


def _vertices(folder: Path, stage: Stage, frame: int) -> np.ndarray:
    if not 0 <= frame < stage.config.frames:
        raise DataError(f"recording {folder} has no frame {frame}", expected=f"0 to {stage.config.frames - 1}")
    path = _truth(folder) / f"vertices_{frame // CHUNK * CHUNK:06d}.npz"
    if not path.is_file():
        return stage.vertices(stage.pose(frame)).astype(np.float32)
    with np.load(path) as content:
        return content["vertices_mm"][frame % CHUNK]


def _truth(folder: str | Path) -> Path:
    truth = Path(folder) / "truth"
    if not (truth / "parameters.json").is_file():
        raise DataError(
            f"recording {folder} has no truth",
            expected="truth/parameters.json",
            likely="a real recording, or a virtual one whose filming was cut off",
        )
    return truth
