"""Linear blend skinning: joints move, the mesh and its keypoints follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse


@dataclass(frozen=True)
class Pose:
    """Global rotations [J, 3, 3] (relative to the bind pose) and positions [J, 3] in mm of all joints in one frame."""

    rotations: np.ndarray
    positions: np.ndarray


class Skinner:
    """Skins one mesh; keeps its weights sparse.

    Args:
        mesh: a MouseMesh.
    """

    def __init__(self, mesh) -> None:
        self._mesh = mesh
        count = len(mesh.vertices)
        weights = sparse.csr_matrix(mesh.weights)
        homogeneous = np.concatenate([mesh.vertices, np.ones((count, 1))], 1)
        # One sparse [N, 4 J] matrix times the joints' stacked affine columns gives the vertices.
        self._matrix = sparse.hstack([weights.multiply(homogeneous[:, i : i + 1]) for i in range(4)]).tocsr()
        self._keypoints = sparse.csr_matrix(mesh.keypoints)

    def vertices(self, pose: Pose) -> np.ndarray:
        """[N, 3] float64 vertices in mm: sum_j w_j (G_j (v - J_j) + P_j)."""
        offset = pose.positions - np.einsum("jab,jb->ja", pose.rotations, self._mesh.joints)
        columns = np.concatenate([pose.rotations[:, :, 0], pose.rotations[:, :, 1], pose.rotations[:, :, 2], offset])
        return self._matrix @ columns

    def keypoints(self, vertices: np.ndarray, pose: Pose) -> np.ndarray:
        """[22, 3] keypoints in mm, in the order of anatomy.KEYPOINTS."""
        return self._keypoints @ np.concatenate([vertices, pose.positions])
