"""The MAMMAL articulated mouse from a user's copy of its text files: linear blend skinning in numpy.

Part of the objects stage. Reads `vertices.txt`, `faces_vert.txt`, `t_pose_joints.txt`, `parents.txt`,
`skinning_weights.txt` (joint, vertex, weight) and, for a texture, `textures.txt` and `faces_tex.txt` (the folder
`mouse_model/mouse_txt` of that repository). Nothing of it is part of this project.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial.transform import Rotation

from mousefacelift.errors import DataError

FILES = ("vertices.txt", "faces_vert.txt", "t_pose_joints.txt", "parents.txt", "skinning_weights.txt")


@dataclass(frozen=True)
class ArticulatedMesh:
    """A skinned mesh in its rest pose.

    Attributes:
        vertices: [P, 3]. faces: [F, 3]. joints: [J, 3] rest positions. parents: [J], the root has -1.
        weights: [P, J] sparse, rows sum to 1. uv: [M, 2] and faces_uv: [F, 3], or None.
    """

    vertices: np.ndarray
    faces: np.ndarray
    joints: np.ndarray
    parents: np.ndarray
    weights: csr_matrix
    uv: np.ndarray | None = None
    faces_uv: np.ndarray | None = None


def read_mammal(folder: Path) -> ArticulatedMesh:
    """The articulated mouse of a folder of MAMMAL text files.

    Raises:
        DataError: a file is missing, or the files do not belong together.
    """
    folder = Path(folder)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise DataError(
            "not a folder of MAMMAL text files",
            where=str(folder),
            got=f"no {', '.join(missing)}",
            hint="give the folder mouse_model/mouse_txt of your copy of MAMMAL_mouse",
        )
    vertices, faces, joints, parents, triples = (np.loadtxt(folder / name) for name in FILES)
    faces, parents = faces.astype(np.int32), parents.astype(np.int64).reshape(-1)
    if (
        len(joints) != len(parents)
        or faces.max() >= len(vertices)
        or triples[:, 0].max() >= len(joints)
        or triples[:, 1].max() >= len(vertices)
    ):
        raise DataError(
            "the MAMMAL files do not belong together",
            where=str(folder),
            got=f"{len(vertices)} vertices, {len(joints)} joints, {len(parents)} parents",
        )
    uv = faces_uv = None
    if (folder / "textures.txt").is_file() and (folder / "faces_tex.txt").is_file():
        uv, faces_uv = np.loadtxt(folder / "textures.txt"), np.loadtxt(folder / "faces_tex.txt").astype(np.int32)
    weights = make_weights(triples[:, 0], triples[:, 1], triples[:, 2], (len(vertices), len(joints)), str(folder))
    return ArticulatedMesh(vertices, faces, joints, parents, weights, uv, faces_uv)


def make_weights(
    joint: np.ndarray, vertex: np.ndarray, value: np.ndarray, shape: tuple[int, int], where: str
) -> csr_matrix:
    """[P, J] skinning weights from triples, rows scaled to sum to 1.

    Raises:
        DataError: a vertex has no weight.
    """
    weights = csr_matrix((value, (vertex.astype(int), joint.astype(int))), shape=shape)
    total = np.asarray(weights.sum(axis=1)).reshape(-1)
    if not (total > 0).all():
        raise DataError("vertices without skinning weight", where=where, got=f"{int((total <= 0).sum())} of {shape[0]}")
    return csr_matrix(weights.multiply(1 / total[:, None]))


def pose_mesh(
    mesh: ArticulatedMesh, rotvec: np.ndarray, bone_scale=None, scale: float = 1.0, translation=(0, 0, 0)
) -> np.ndarray:
    """[P, 3] vertices of a pose: v = s sum_j w_j (G_j v0 + P_j - G_j J_j) + t.

    G_j = G_parent R_j and P_j = P_parent + G_parent (J_j - J_parent) b_j: rotations act about the joints, bones
    stretch.

    Args:
        rotvec: [J, 3] axis-angle of each joint relative to the rest pose, radians.
        bone_scale: [J] multiplier of the offset from the parent; None for 1.
        scale, translation: of the whole animal, after posing.
    """
    count = len(mesh.joints)
    local = Rotation.from_rotvec(np.asarray(rotvec, np.float64)).as_matrix()
    stretch = np.ones(count) if bone_scale is None else np.asarray(bone_scale, np.float64)
    turned, placed = np.empty((count, 3, 3)), np.empty((count, 3))
    for j, parent in enumerate(mesh.parents):
        if parent < 0:
            turned[j], placed[j] = local[j], mesh.joints[j]
        else:
            turned[j] = turned[parent] @ local[j]
            placed[j] = placed[parent] + turned[parent] @ (mesh.joints[j] - mesh.joints[parent]) * stretch[j]
    offsets = placed - np.einsum("jab,jb->ja", turned, mesh.joints)
    blended = np.asarray(mesh.weights @ np.concatenate([turned.reshape(count, 9), offsets], axis=1))
    posed = np.einsum("pab,pb->pa", blended[:, :9].reshape(-1, 3, 3), mesh.vertices) + blended[:, 9:]
    return scale * posed + np.asarray(translation, np.float64)
