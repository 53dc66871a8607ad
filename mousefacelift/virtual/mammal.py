"""A user's copy of the MAMMAL articulated mouse in place of the procedural one; nothing of it is part of this project.

Reads a folder with the text files of `mouse_model/mouse_txt` (vertices.txt, faces_vert.txt, t_pose_joints.txt,
parents.txt, joint_names.txt, skinning_weights.txt: joint, vertex, weight; textures.txt, faces_tex.txt),
`keypoint22_mapper.json` there or one folder up, and `poses.npz`: `pose_rotvec` [T, J, 3] radians, optional `bone_scale`
[J], `global_scale` (mm per unit), `translation_mm` [T, 3], `fps` (20 when absent). Rest pose: head -y, tail +y, up +z.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial.transform import Rotation

from mousefacelift.errors import ConfigError, DataError
from mousefacelift.virtual import coat, loft
from mousefacelift.virtual.anatomy import Animal
from mousefacelift.virtual.body_parts import BARE, EYE, FUR
from mousefacelift.virtual.mesh import MouseMesh
from mousefacelift.virtual.skin import Pose

FILES = (
    "vertices.txt",
    "faces_vert.txt",
    "t_pose_joints.txt",
    "parents.txt",
    "joint_names.txt",
    "skinning_weights.txt",
    "textures.txt",
    "faces_tex.txt",
    "poses.npz",
)
_NAKED = ("paw", "tail_", "ear_")  # joints whose skin has no fur


class MammalPuppet:
    """Plays a stored motion of the MAMMAL mouse; `pose(step)` is its step-th pose, `rate` poses per second.

    Raises:
        DataError: files are missing or do not belong together.
    """

    def __init__(self, folder: str | Path, animal: Animal) -> None:
        self._folder = Path(folder)
        missing = [name for name in FILES if not (self._folder / name).is_file()]
        if missing:
            raise DataError(
                "virtual.mesh is not a folder of MAMMAL text files and poses",
                where=str(folder),
                got=f"no {', '.join(missing)}",
                expected=", ".join(FILES),
                hint="copy mouse_model/mouse_txt of your MAMMAL_mouse and put poses.npz into it",
            )
        with np.load(self._folder / "poses.npz", allow_pickle=False) as content:
            poses = dict(content)
        if "pose_rotvec" not in poses:
            raise DataError(f"{self._folder / 'poses.npz'} holds no pose_rotvec", got=", ".join(poses))
        scale = float(poses.get("global_scale", 1.0))
        self.mesh = read_mammal_mesh(self._folder, scale, animal)
        self._rotvec = poses["pose_rotvec"].astype(np.float64)
        count, joints = self._rotvec.shape[:2]
        if joints != len(self.mesh.joints):
            raise DataError(
                "poses and mesh have different joints", where=str(folder), got=joints, expected=len(self.mesh.joints)
            )
        self._bones = np.asarray(poses.get("bone_scale", np.ones(joints)), np.float64)
        self._translation = np.asarray(poses.get("translation_mm", np.zeros((count, 3))), np.float64)
        self.rate, self.behaviour = float(poses.get("fps", 20.0)), np.full(count, -1)

    def steps(self, frames: int, fps: float) -> np.ndarray:
        """[frames] pose of each video frame.

        Raises:
            ConfigError: the recording would be longer than the motion.
        """
        steps = np.round(np.arange(frames) * self.rate / fps).astype(int)
        if steps[-1] >= len(self._rotvec):
            raise ConfigError(
                "virtual.frames asks for more than the motion in poses.npz",
                got=f"{frames} frames at {fps} per second",
                expected=f"at most {int((len(self._rotvec) - 1) * fps / self.rate) + 1}",
            )
        return steps

    def pose(self, step: int) -> Pose:
        """Global transforms of all joints: G_j = G_parent R_j, P_j = P_parent + G_parent (J_j - J_parent) b_j."""
        local, mesh = Rotation.from_rotvec(self._rotvec[step]).as_matrix(), self.mesh
        rotations, positions = np.empty_like(local), np.empty((len(local), 3))
        for j, parent in enumerate(mesh.parents):
            if parent < 0:
                rotations[j], positions[j] = local[j], mesh.joints[j]
                continue
            rotations[j] = rotations[parent] @ local[j]
            offset = (mesh.joints[j] - mesh.joints[parent]) * self._bones[j]
            positions[j] = positions[parent] + rotations[parent] @ offset
        return Pose(rotations, positions + self._translation[step])


def read_mammal_mesh(folder: Path, scale: float, animal: Animal) -> MouseMesh:
    """The mesh of a folder of MAMMAL text files, `scale` mm per unit, dressed in an animal's coat."""
    vertices, joints = (scale * np.loadtxt(folder / name) for name in ("vertices.txt", "t_pose_joints.txt"))
    faces, faces_uv = (np.loadtxt(folder / name).astype(np.int64) for name in ("faces_vert.txt", "faces_tex.txt"))
    uv = np.loadtxt(folder / "textures.txt")[:, :2]
    parents = np.loadtxt(folder / "parents.txt").astype(np.int64).ravel()
    names = tuple((folder / "joint_names.txt").read_text().split())
    joint, vertex, value = np.loadtxt(folder / "skinning_weights.txt").T
    if not len(names) == len(parents) == len(joints) or faces.max() >= len(vertices) or joint.max() >= len(joints):
        raise DataError(
            "the MAMMAL files do not belong together",
            where=str(folder),
            got=f"{len(vertices)} vertices, {len(joints)} joints, {len(parents)} parents, {len(names)} names",
        )
    weights = np.zeros((len(vertices), len(joints)))
    weights[vertex.astype(int), joint.astype(int)] = value
    if not weights.sum(1).all():
        raise DataError("vertices without skinning weight", where=str(folder), got=int((weights.sum(1) == 0).sum()))
    weights /= weights.sum(1, keepdims=True)
    part, region, fur = _regions(vertices, faces, weights, names)
    looks = _looks(vertices, faces, region, fur, names, weights, animal)
    return MouseMesh(
        vertices,
        faces,
        uv,
        faces_uv,
        region=region,
        part=part,
        fur=fur,
        **looks,
        weights=weights,
        joint_names=names,
        parents=parents,
        joints=joints,
        keypoints=_keypoint_rows(folder, len(vertices), len(joints)),
    )


def _regions(
    vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray, names: tuple[str, ...]
) -> tuple[np.ndarray, ...]:
    """Piece, region and fur weight per vertex: paws, tail and ears are bare; eyes are the pieces at the sides of the
    head."""
    edges = np.concatenate([faces[:, :2], faces[:, 1:]])
    graph = coo_matrix((np.ones(len(edges)), edges.T), (len(vertices),) * 2)
    count, part = connected_components(graph, directed=False)
    main = np.bincount(part).argmax()
    naked = weights @ np.array([float(name.startswith(_NAKED) or "_paw" in name) for name in names])
    fur = np.where(part == main, np.clip(1.2 - 1.6 * naked, 0, 1), 0.0)
    region = np.where(fur >= 0.3, FUR, BARE)
    half = 0.025 * np.ptp(vertices[:, 1])  # teeth lie nearer to the middle than this, eyes farther
    for piece in range(count):
        if piece != main and abs(vertices[part == piece, 0].mean()) > half:
            region[part == piece] = EYE
    return part.astype(np.int16), region.astype(np.uint8), fur


def _looks(vertices, faces, region, fur, names, weights, animal: Animal) -> dict[str, np.ndarray]:
    """fur_length, flow, albedo, hair and gloss (see MouseMesh), by the same colours as the procedural mouse."""
    turned = np.stack([-vertices[:, 1], vertices[:, 0], vertices[:, 2]], -1)  # to the body frame: +x toward the nose
    normals = loft.vertex_normals(turned, faces)
    head = weights @ np.array([float(name in ("skull", "snout", "cheeks", "mandible")) for name in names])
    flow = np.array([-1.0, 0.0, -0.28]) - normals * (normals @ [-1.0, 0.0, -0.28])[:, None]
    flow /= np.maximum(np.linalg.norm(flow, axis=1, keepdims=True), 1e-6)
    hair = coat.hair_colour(turned, normals, animal)
    furry = np.clip(fur * 1.2, 0, 1)[:, None]
    albedo = hair * coat.SKIN_UNDER_FUR * furry + coat.SKIN_PINK * (1 - furry)
    albedo = np.where((region == EYE)[:, None], coat.EYE_COLOUR, albedo)
    return {
        "fur_length": 2.9 - 1.7 * np.clip(head, 0, 1),
        "flow": np.stack([flow[:, 1], -flow[:, 0], flow[:, 2]], -1),
        "albedo": albedo,
        "hair": hair,
        "gloss": np.where(region == EYE, 1.0, 0.05),
    }


def _keypoint_rows(folder: Path, vertices: int, joints: int) -> np.ndarray:
    """[22, N + J] from keypoint22_mapper.json: entries of type V (vertices) or J (joints)."""
    path = next(
        (p for p in (folder / "keypoint22_mapper.json", folder.parent / "keypoint22_mapper.json") if p.is_file()), None
    )
    if path is None:
        raise DataError(
            "keypoint22_mapper.json is missing",
            where=str(folder),
            hint="it lies in mouse_model/ of MAMMAL_mouse; copy it beside the text files",
        )
    rows = np.zeros((22, vertices + joints))
    for entry in json.loads(path.read_text()):
        ids = np.array(entry["ids"]) + (vertices if entry["type"] == "J" else 0)
        rows[entry["keypoint"], ids] = 1.0 / len(ids)
    return rows
