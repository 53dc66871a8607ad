"""Where the parts of a mouse are: labels of its vertices, and in every view the pixels that one part alone covers.

Labels are PARTS' positions: 0 trunk, 1 tail, 2 ears, 3 limbs (below knee and elbow). A part's *own* pixels in a view
are those of its silhouette that no other part covers: where it shows beyond the rest of the animal. A prediction that
lacks the part lacks them; one that has it anywhere in front of the body gains nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mousefacelift.core.cameras import Camera, find_pixels, project
from mousefacelift.virtual.mesh import MouseMesh
from mousefacelift.virtual.raster import fill_depth

PARTS = ("trunk", "tail", "ears", "limbs")
NONE = 255
EARS = {"ear"}
LIMBS = {"knee", "ankle", "toes", "elbow", "wrist", "digits", "tibia", "ulna", "paw"}  # of both body models
FAR = 1e9
DEPTH_SLACK = 0.02  # world units by which a vertex may lie behind the surface that hides it and still count as seen


def part_labels(mesh: MouseMesh) -> np.ndarray:
    """[N] uint8 position in PARTS of every vertex, by the joint that moves it most."""
    kinds = np.array([_part_of(name) for name in mesh.joint_names], np.uint8)
    return kinds[mesh.weights.argmax(1)]


def _part_of(joint: str) -> int:
    words = set(joint.split("_"))
    if joint.startswith("tail_"):
        return 1
    if words & EARS:
        return 2
    return 3 if words & LIMBS else 0


def label_views(vertices: np.ndarray, faces: np.ndarray, labels: np.ndarray, cameras: Sequence[Camera]) -> np.ndarray:
    """[V, H, W] uint8: the part whose own pixel it is, or NONE.

    Args:
        vertices: [N, 3] in the cameras' world. labels: [N] as `part_labels`.
    """
    face_part = labels[faces].max(1)
    views = []
    for camera in cameras:
        covered = np.stack(
            [np.isfinite(_depth(vertices, faces[face_part == part], camera)) for part in range(len(PARTS))]
        )
        alone = covered & (covered.sum(0) == 1)
        own = np.full(covered.shape[1:], NONE, np.uint8)
        for part in range(len(PARTS)):
            own[alone[part]] = part
        views.append(own)
    return np.stack(views)


def seen_vertices(vertices: np.ndarray, faces: np.ndarray, cameras: Sequence[Camera]) -> np.ndarray:
    """[N] whether any of the cameras sees the vertex: what lies inside the animal no picture can tell."""
    seen = np.zeros(len(vertices), bool)
    for camera in cameras:
        depth = _depth(vertices, faces, camera)
        row, column, inside, z = find_pixels(camera, vertices)
        seen |= inside & (z < depth[row, column] + DEPTH_SLACK)
    return seen


def _depth(vertices: np.ndarray, faces: np.ndarray, camera: Camera) -> np.ndarray:
    """[H, W] nearest depth of the faces, infinite where there is none."""
    pixels, z = project(camera, vertices)
    depth = np.full((camera.height, camera.width), FAR, np.float32)
    fill_depth(np.column_stack([pixels, z]), np.ascontiguousarray(faces), depth)
    return np.where(depth < FAR / 2, depth, np.inf)
