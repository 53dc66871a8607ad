"""A user's copy of the MAMMAL articulated mouse in place of the procedural one; nothing of it is part of this project.

`formats.mammal` reads it; here it gets the coat, regions and keypoints of a virtual animal. `keypoint22_mapper.json`
lies beside the text files or one folder up.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from mousefacelift.core.files import readable
from mousefacelift.core.skinning import Pose
from mousefacelift.errors import ConfigError, DataError
from mousefacelift.formats.mammal import FILES, ArticulatedMesh, read_mammal, read_poses, require_mammal
from mousefacelift.virtual import coat, loft
from mousefacelift.virtual.anatomy import Animal
from mousefacelift.virtual.body_parts import BARE, EYE, FUR
from mousefacelift.virtual.mesh import MouseMesh

NEEDED = (*FILES, "joint_names.txt", "textures.txt", "faces_tex.txt", "poses.npz")
LABELLED = 22  # keypoints of the real labels
_NAKED = ("paw", "tail_", "ear_")  # joints whose skin has no fur


class MammalPuppet:
    """Plays a stored motion of the MAMMAL mouse; `pose(step)` is its step-th pose, `rate` poses per second.

    Raises:
        DataError: files are missing or do not belong together.
    """

    def __init__(self, folder: str | Path, animal: Animal) -> None:
        root = require_mammal(folder, NEEDED)
        body = read_mammal(root)
        self._poses = read_poses(root / "poses.npz", len(body.joints))
        self.mesh = dress_mammal(root, body.scaled(self._poses.scale), animal)
        self.rate, self.behaviour = self._poses.fps, np.full(len(self._poses.rotvec), -1)

    def steps(self, frames: int, fps: float) -> np.ndarray:
        """[frames] pose of each video frame.

        Raises:
            ConfigError: the recording would be longer than the motion.
        """
        steps = np.round(np.arange(frames) * self.rate / fps).astype(int)
        if steps[-1] >= len(self._poses.rotvec):
            raise ConfigError(
                "virtual.frames asks for more than the motion in poses.npz",
                got=f"{frames} frames at {fps} per second",
                expected=f"at most {int((len(self._poses.rotvec) - 1) * fps / self.rate) + 1}",
            )
        return steps

    def pose(self, step: int) -> Pose:
        """Global transforms of all joints."""
        return self._poses.pose(self.mesh.joints, self.mesh.parents, step)


def dress_mammal(folder: Path, body: ArticulatedMesh, animal: Animal) -> MouseMesh:
    """The MAMMAL mouse in mm, dressed in an animal's coat; texture coordinates and keypoints come from its folder."""
    vertices, faces, names, weights = body.vertices, body.faces, body.names, body.weights.toarray()
    part, region, fur = _regions(vertices, faces, weights, names)
    looks = _looks(vertices, faces, region, fur, names, weights, animal)
    return MouseMesh(
        vertices,
        faces,
        np.loadtxt(folder / "textures.txt")[:, :2],
        np.loadtxt(folder / "faces_tex.txt").astype(np.int64),
        region=region,
        part=part,
        fur=fur,
        **looks,
        weights=weights,
        joint_names=names,
        parents=body.parents,
        joints=body.joints,
        keypoints=_keypoint_rows(folder, len(vertices), len(body.joints)),
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
    """[22, N + J] from keypoint22_mapper.json: entries of type V (vertices) or J (joints).

    The published file keeps the entries under "mapper" and goes on with 25 points of digits and face without labels.
    """
    path = next(
        (p for p in (folder / "keypoint22_mapper.json", folder.parent / "keypoint22_mapper.json") if p.is_file()), None
    )
    if path is None:
        raise DataError(
            "keypoint22_mapper.json is missing",
            where=str(folder),
            hint="it lies in mouse_model/ of MAMMAL_mouse; copy it beside the text files",
        )
    rows = np.zeros((LABELLED, vertices + joints))
    with readable(path, "keypoint mapper"):
        document = json.loads(path.read_text())
        for entry in document["mapper"] if isinstance(document, dict) else document:
            if entry["keypoint"] < LABELLED:
                ids = np.array(entry["ids"]) + (vertices if entry["type"] == "J" else 0)
                rows[entry["keypoint"], ids] = 1.0 / len(ids)
    missing = np.flatnonzero(rows.sum(1) == 0).tolist()
    if missing:
        raise DataError(f"keypoint mapper {path} lacks keypoints", got=missing, expected=f"0 to {LABELLED - 1}")
    return rows
