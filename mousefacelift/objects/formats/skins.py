"""Where glTF puts vertices: node transforms, instances, and skins in the skeleton's rest pose.

Part of the objects stage. A skinned mesh stands where its joints stand: vertex = sum_j w_j (G_j B_j) v, with the
joint's global transform G and the inverse bind matrix B; the transform of the node that carries the mesh is ignored
(glTF 2.0 specification, 3.7.3).
"""

import numpy as np
from scipy.spatial.transform import Rotation

from mousefacelift.errors import DataError
from mousefacelift.objects.formats.accessors import read_floats
from mousefacelift.objects.formats.document import Document


def node_matrix(node: dict) -> np.ndarray:
    """[4, 4] of a node: its matrix, or translation x rotation x scale."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    return compose(node.get("translation", (0, 0, 0)), node.get("rotation", (0, 0, 0, 1)), node.get("scale", (1, 1, 1)))


def compose(translation, rotation, scale) -> np.ndarray:
    """[4, 4] of translation, rotation (quaternion xyzw) and scale."""
    matrix = np.eye(4)
    quaternion = np.asarray(rotation, np.float64)
    turned = Rotation.from_quat(quaternion).as_matrix() if quaternion.any() else np.eye(3)
    matrix[:3, :3] = turned * np.asarray(scale, np.float64)
    matrix[:3, 3] = translation
    return matrix


def instance_matrices(document: Document, row: dict | None) -> list[np.ndarray]:
    """[4, 4] of each instance of EXT_mesh_gpu_instancing, applied before the node's own; one identity without it."""
    if row is None:
        return [np.eye(4)]
    arrays = {name: read_floats(document, number) for name, number in row["attributes"].items()}
    count = max((len(values) for values in arrays.values()), default=0)
    still = {"TRANSLATION": (0, 0, 0), "ROTATION": (0, 0, 0, 1), "SCALE": (1, 1, 1)}
    moves = {name: arrays.get(name, np.tile(np.array(value, float), (count, 1))) for name, value in still.items()}
    return [compose(t, r, s) for t, r, s in zip(moves["TRANSLATION"], moves["ROTATION"], moves["SCALE"])]


def skin_vertices(document: Document, number: int, part: dict, world: dict[int, np.ndarray]) -> dict:
    """A part with its vertices and normals where skin `number` puts them.

    Raises:
        DataError: a vertex names a joint that the skin does not have.
    """
    skin = document.rows("skins")[number]
    joints = np.stack([world[k] for k in skin["joints"]])
    if "inverseBindMatrices" in skin:
        inverse = read_floats(document, skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
        joints = joints @ inverse[: len(joints)]
    index, weights = part["joints"], part["weights"]
    if index[weights > 0].max(initial=0) >= len(joints):
        raise DataError(
            "vertices name joints that the skin does not have",
            where=f"{document.path}, skin {number}",
            got=int(index.max()),
            expected=f"below {len(joints)}",
        )
    index = np.where(weights > 0, index, 0)
    total = weights.sum(axis=1, keepdims=True)
    weights = weights / np.where(total > 0, total, 1.0)
    blended = np.zeros((len(index), 4, 4))
    for k in range(index.shape[1]):
        blended += weights[:, k, None, None] * joints[index[:, k]]
    blended[total[:, 0] <= 0] = np.eye(4)
    vertices = np.einsum("pab,pb->pa", blended[:, :3, :3], part["vertices"]) + blended[:, :3, 3]
    normals = np.einsum("pab,pb->pa", cofactors(blended[:, :3, :3]), part["normals"])
    return part | {"vertices": vertices, "normals": normals}


def cofactors(linear: np.ndarray) -> np.ndarray:
    """[..., 3, 3] that turns normals: the inverse transpose times the magnitude of the determinant; finite where the
    matrix is flat."""
    a, b, c = linear[..., 0], linear[..., 1], linear[..., 2]
    columns = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], -1)
    sign = np.where(np.einsum("...i,...i->...", a, columns[..., 0]) < 0, -1.0, 1.0)
    return columns * sign[..., None, None]
