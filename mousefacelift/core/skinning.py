"""Linear blend skinning: joints move, the mesh and its keypoints follow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from scipy.spatial.transform import Rotation


@dataclass(frozen=True)
class Pose:
    """Global rotations [J, 3, 3] (relative to the bind pose) and positions [J, 3] of all joints in one frame."""

    rotations: np.ndarray
    positions: np.ndarray


def chain_pose(joints: np.ndarray, parents: np.ndarray, rotvec: np.ndarray, stretch: np.ndarray) -> Pose:
    """The pose of a skeleton: G_j = G_parent R_j, P_j = P_parent + G_parent (J_j - J_parent) b_j.

    Rotations act about the joints; bones stretch.

    Args:
        joints: [J, 3] in the bind pose. parents: [J], each before its children; a root has -1.
        rotvec: [J, 3] axis-angle of each joint relative to the bind pose, radians.
        stretch: [J] multiplier b of the offset from the parent.
    """
    local = Rotation.from_rotvec(np.asarray(rotvec, np.float64)).as_matrix()
    rotations, positions = np.empty_like(local), np.empty((len(local), 3))
    for j, parent in enumerate(parents):
        if parent < 0:
            rotations[j], positions[j] = local[j], joints[j]
            continue
        rotations[j] = rotations[parent] @ local[j]
        positions[j] = positions[parent] + rotations[parent] @ ((joints[j] - joints[parent]) * stretch[j])
    return Pose(rotations, positions)


class Skinner:
    """Skins one mesh; keeps its weights sparse.

    Args:
        mesh: vertices [N, 3], joints [J, 3] and weights [N, J] (dense or sparse) of the bind pose, as in
            `virtual.mesh.MouseMesh` and `formats.mammal.ArticulatedMesh`; `keypoints` [K, N + J] where they are asked.
    """

    def __init__(self, mesh: Any) -> None:
        self._mesh = mesh
        count = len(mesh.vertices)
        weights = sparse.csr_matrix(mesh.weights)
        homogeneous = np.concatenate([mesh.vertices, np.ones((count, 1))], 1)
        # One sparse [N, 4 J] matrix times the joints' stacked affine columns gives the vertices.
        self._matrix = sparse.hstack([weights.multiply(homogeneous[:, i : i + 1]) for i in range(4)]).tocsr()

    def vertices(self, pose: Pose) -> np.ndarray:
        """[N, 3] float64 vertices in the mesh's unit: sum_j w_j (G_j (v - J_j) + P_j)."""
        offset = pose.positions - np.einsum("jab,jb->ja", pose.rotations, self._mesh.joints)
        columns = np.concatenate([pose.rotations[:, :, 0], pose.rotations[:, :, 1], pose.rotations[:, :, 2], offset])
        return self._matrix @ columns

    def keypoints(self, vertices: np.ndarray, pose: Pose) -> np.ndarray:
        """[K, 3] keypoints: means of vertices and joints."""
        return self._keypoints @ np.concatenate([vertices, pose.positions])

    @cached_property
    def _keypoints(self) -> sparse.csr_matrix:
        return sparse.csr_matrix(self._mesh.keypoints)
