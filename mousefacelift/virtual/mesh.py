"""The procedural mouse: its parts joined into one mesh with charts, region labels, colours and joint weights, in the
bind pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mousefacelift.virtual import coat, loft
from mousefacelift.virtual.anatomy import (
    SIDES,
    TAIL_JOINTS,
    TAIL_MM,
    Animal,
    body_scale,
    joint_table,
)
from mousefacelift.virtual.body_parts import (
    Piece,
    Skeleton,
    blend_limbs_into_trunk,
    ear_piece,
    eye_piece,
    fore_limb,
    hind_limb,
    tail_piece,
    trunk_piece,
)

_CHARTS = {
    "trunk": (0.0, 0.0, 1.0, 0.42),
    "tail": (0.0, 0.43, 1.0, 0.1),
}  # u, v, width, height; the rest share rows below


@dataclass(frozen=True)
class MouseMesh:
    """A skinned mesh of N vertices, F faces, J joints and M texture coordinates, in the bind pose.

    Args:
        vertices: [N, 3] mm. faces: [F, 3]. uv: [M, 2]. faces_uv: [F, 3].
        region: [N] 0 fur, 1 bare, 2 eye. part: [N] index of the closed piece.
        fur: [N] density weight of the fur in [0, 1]. fur_length: [N] mm. flow: [N, 3] unit direction in which hair
            lies.
        albedo: [N, 3] linear reflectance of the skin or the eye. hair: [N, 3] of the hair. gloss: [N] strength of
            highlights.
        weights: [N, J] skinning weights that sum to 1. joint_names, parents [J], joints [J, 3] bind positions.
        keypoints: [22, N + J] rows that sum to 1: keypoints are these means of vertices and joints.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    faces_uv: np.ndarray
    region: np.ndarray
    part: np.ndarray
    fur: np.ndarray
    fur_length: np.ndarray
    flow: np.ndarray
    albedo: np.ndarray
    hair: np.ndarray
    gloss: np.ndarray
    weights: np.ndarray
    joint_names: tuple[str, ...]
    parents: np.ndarray
    joints: np.ndarray
    keypoints: np.ndarray


def build_mouse(animal: Animal) -> MouseMesh:
    """The mesh of one individual in its bind pose."""
    skeleton = Skeleton()
    pieces = [trunk_piece(skeleton, animal), tail_piece(skeleton, animal)]
    for side, sign in SIDES:
        pieces += [
            *hind_limb(skeleton, side),
            *fore_limb(skeleton, side),
            ear_piece(skeleton, side, sign, animal),
            eye_piece(skeleton, side, sign),
        ]
    blend_limbs_into_trunk(skeleton, pieces)
    return _assemble(pieces, skeleton, animal)


def _assemble(pieces: list[Piece], skeleton: Skeleton, animal: Animal) -> MouseMesh:
    offsets = np.cumsum([0] + [len(p.shape.vertices) for p in pieces])
    uv_offsets = np.cumsum([0] + [len(p.shape.uv) for p in pieces])
    vertices = np.concatenate([p.shape.vertices for p in pieces])
    faces = np.concatenate([p.shape.faces + o for p, o in zip(pieces, offsets)])
    part = np.repeat(np.arange(len(pieces)), np.diff(offsets))
    region = np.array([p.region for p in pieces])[part]
    along = np.concatenate([p.shape.along for p in pieces])
    names = np.array([p.name for p in pieces])[part]
    normals = loft.vertex_normals(vertices, faces)
    looks = coat.dress(vertices, normals, names, along, region, animal)
    joint_names, parents, joints = joint_table(animal)
    scaled = vertices * body_scale(animal)
    weights = np.concatenate([p.weights for p in pieces])
    return MouseMesh(
        scaled,
        faces,
        np.concatenate([_place(p, i, pieces) for i, p in enumerate(pieces)]),
        np.concatenate([p.shape.faces_uv + o for p, o in zip(pieces, uv_offsets)]),
        **looks,
        part=part,
        weights=weights,
        joint_names=joint_names,
        parents=parents,
        joints=joints,
        keypoints=_keypoint_rows(scaled, names, along, joint_names, animal),
    )


def _place(piece: Piece, index: int, pieces: list[Piece]) -> np.ndarray:
    """A piece's chart moved to its own rectangle of the common texture."""
    if piece.name in _CHARTS:
        u, v, width, height = _CHARTS[piece.name]
    else:
        small = [p.name for p in pieces if p.name not in _CHARTS]
        row, column = divmod(small.index(piece.name), 6)
        rows = -(-len(small) // 6)
        u, v, width, height = column / 6 + 0.004, 0.545 + 0.455 * row / rows, 1 / 6 - 0.008, 0.455 / rows - 0.008
    return piece.shape.uv * [width, height] + [u, v]


def _keypoint_rows(
    vertices: np.ndarray, names: np.ndarray, along: np.ndarray, joint_names: tuple[str, ...], animal: Animal
) -> np.ndarray:
    """[22, N + J]; "hip", "knee" and "foot" sit at the knee, ankle and toes, as in the MAMMAL model and the real
    labels."""
    count = len(vertices)
    rows = np.zeros((22, count + len(joint_names)))

    def nearest(row: int, name: str, point) -> None:
        index = np.flatnonzero(names == name)
        rows[
            row, index[np.argmin(np.linalg.norm(vertices[index] - np.asarray(point) * body_scale(animal), axis=1))]
        ] = 1

    for row, side in enumerate(("left_ear", "right_ear")):
        ids = np.flatnonzero(names == side)
        rows[row, ids[np.argmax(along[ids])]] = 1
    for row, point in ((2, (56.0, 0, 16.2)), (3, (27.0, 0, 30.0)), (4, (-6.0, 0, 33.0))):
        nearest(row, "trunk", point)
    nearest(7, "tail", (-39.0 - TAIL_MM * animal.tail, 0, 18.6))
    at_joint = {5: "tail_0", 6: f"tail_{TAIL_JOINTS // 2}"}
    for start, side in ((8, "left"), (12, "right")):
        at_joint |= {start + i: f"{side}_{j}" for i, j in enumerate(("digits", "wrist", "elbow", "shoulder"))}
    for start, side in ((16, "left"), (19, "right")):
        at_joint |= {start + i: f"{side}_{j}" for i, j in enumerate(("toes", "ankle", "knee"))}
    for row, joint in at_joint.items():
        rows[row, count + joint_names.index(joint)] = 1
    return rows
