"""The MAMMAL articulated mouse from a user's copy of its text files; nothing of it is part of this project.

Reads the folder `mouse_model/mouse_txt` of that repository (vertices.txt, faces_vert.txt, t_pose_joints.txt,
parents.txt, skinning_weights.txt: joint, vertex, weight; joint_names.txt, textures.txt and faces_tex.txt where they
are) and `poses.npz`: `pose_rotvec` [T, J, 3] radians, optional `bone_scale` [J] or [T, J], `global_scale` (length of a
unit), `translation_mm` [T, 3], `fps`. Rest pose: head -y, tail +y, up +z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from mousefacelift.core.skinning import Pose, chain_pose
from mousefacelift.errors import DataError

FILES = ("vertices.txt", "faces_vert.txt", "t_pose_joints.txt", "parents.txt", "skinning_weights.txt")
FPS = 20.0  # of the published fits; where poses.npz says nothing


@dataclass(frozen=True)
class ArticulatedMesh:
    """A skinned mesh in its rest pose.

    Attributes:
        vertices: [P, 3]. faces: [F, 3]. joints: [J, 3] rest positions. parents: [J], the root has -1.
        weights: [P, J] sparse, rows sum to 1. names: of the joints; () without joint_names.txt.
    """

    vertices: np.ndarray
    faces: np.ndarray
    joints: np.ndarray
    parents: np.ndarray
    weights: csr_matrix
    names: tuple[str, ...] = ()

    def scaled(self, factor: float) -> ArticulatedMesh:
        """The same in a unit of which `factor` make one of this."""
        return replace(self, vertices=factor * self.vertices, joints=factor * self.joints)


@dataclass(frozen=True)
class MammalPoses:
    """A stored motion of T steps.

    Attributes:
        rotvec: [T, J, 3] radians. bones: [T, J] multipliers of the bones' lengths. scale: length of the mesh's unit.
        translation: [T, 3]. fps: steps per second.
    """

    rotvec: np.ndarray
    bones: np.ndarray
    scale: float
    translation: np.ndarray
    fps: float

    def pose(self, joints: np.ndarray, parents: np.ndarray, step: int) -> Pose:
        """Global transforms of all joints at a step; `joints` [J, 3] in the unit of the translation."""
        found = chain_pose(joints, parents, self.rotvec[step], self.bones[step])
        return Pose(found.rotations, found.positions + self.translation[step])


def require_mammal(folder: str | Path, files: Sequence[str] = FILES) -> Path:
    """The folder; DataError when one of `files` is not in it."""
    folder = Path(folder)
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        raise DataError(
            "not a folder of MAMMAL text files",
            where=str(folder),
            got=f"no {', '.join(missing)}",
            expected=", ".join(files),
            hint="give the folder mouse_model/mouse_txt of your copy of MAMMAL_mouse (and put poses.npz into it)",
        )
    return folder


def read_mammal(folder: str | Path) -> ArticulatedMesh:
    """The articulated mouse of a folder of MAMMAL text files, in their unit.

    Raises:
        DataError: a file is missing, the files do not belong together, or a vertex has no weight.
    """
    folder = require_mammal(folder)
    vertices, faces, joints, parents, triples = (np.loadtxt(folder / name, ndmin=2) for name in FILES)
    faces, parents = faces.astype(np.int64), parents.astype(np.int64).reshape(-1)
    names = folder / "joint_names.txt"
    words = tuple(names.read_text().split()) if names.is_file() else ()
    if (
        not len(joints) == len(parents) == (len(words) or len(joints))
        or faces.max() >= len(vertices)
        or triples[:, 0].max() >= len(joints)
        or triples[:, 1].max() >= len(vertices)
    ):
        raise DataError(
            "the MAMMAL files do not belong together",
            where=str(folder),
            got=f"{len(vertices)} vertices, {len(joints)} joints, {len(parents)} parents, {len(words)} names",
        )
    weights = make_weights(triples, (len(vertices), len(joints)), str(folder))
    return ArticulatedMesh(vertices, faces, joints, parents, weights, words)


def make_weights(triples: np.ndarray, shape: tuple[int, int], where: str) -> csr_matrix:
    """[P, J] skinning weights from rows (joint, vertex, weight), scaled so that those of a vertex sum to 1."""
    joint, vertex, value = np.asarray(triples, np.float64).T
    weights = csr_matrix((value, (vertex.astype(int), joint.astype(int))), shape=shape)
    total = np.asarray(weights.sum(axis=1)).reshape(-1)
    if not (total > 0).all():
        raise DataError("vertices without skinning weight", where=where, got=f"{int((total <= 0).sum())} of {shape[0]}")
    return csr_matrix(weights.multiply(1 / total[:, None]))


def read_poses(path: str | Path, joints: int) -> MammalPoses:
    """The motion of a poses.npz for a skeleton of `joints` joints.

    Raises:
        DataError: no poses there, or those of another skeleton.
    """
    with np.load(path, allow_pickle=False) as content:
        poses = dict(content)
    rotvec = poses.get("pose_rotvec")
    if rotvec is None or rotvec.ndim != 3 or rotvec.shape[1:] != (joints, 3):
        raise DataError(
            "poses do not fit the articulated mesh",
            where=str(path),
            expected=f"pose_rotvec [T, {joints}, 3]",
            got="none" if rotvec is None else rotvec.shape,
        )
    steps = len(rotvec)
    return MammalPoses(
        rotvec.astype(np.float64),
        np.broadcast_to(np.asarray(poses.get("bone_scale", 1.0), np.float64), (steps, joints)),
        float(poses.get("global_scale", 1.0)),
        np.asarray(poses.get("translation_mm", np.zeros((steps, 3))), np.float64),
        float(poses.get("fps", FPS)),
    )
