"""Mesh sequences as scans: one door for posed meshes from anywhere, frame by frame, Z up.

Part of the objects stage. A sequence is one of
- a .npz with `vertices` [T, P, 3] and `faces` [F, 3]; optional `colors` or `colours` [P, 3] linear, `uv` [M, 2],
  `faces_uv` [F, 3], `texture` [h, w, 3] uint8, `time_s` [T], `licence`;
- a folder with `mesh.npz` (faces, colours ...) and `vertices_AAAAAA.npz` (`vertices_mm` [t, P, 3] of frames AAAAAA on):
  the truth folder of a virtual recording;
- a folder of mesh files (.glb, .obj, .ply ...), one per frame in the order of their names;
- a folder of MAMMAL text files with `poses.npz` beside them (or given apart), see `formats.mammal`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from mousefacelift.core.skinning import Skinner
from mousefacelift.errors import DataError
from mousefacelift.formats.mammal import FILES, read_mammal, read_poses
from mousefacelift.objects.load import SUFFIXES, load_mesh
from mousefacelift.objects.mesh import Material, Mesh, make_mesh

PLAIN = Material(base=(0.30, 0.26, 0.23, 1.0))  # a dull brown for scans that carry no colour


@dataclass(frozen=True)
class MeshSequence:
    """Frames of one moving thing.

    Attributes:
        count: number of frames T.
        mesh: frame number -> `Mesh`, in the sequence's own unit, Z up.
        meta: licence, unit, and what else the source says.
        time_s: [T] or None.
        files: one foreign mesh file per frame, where the sequence is a folder of them.
    """

    count: int
    mesh: Callable[[int], Mesh]
    meta: dict = field(default_factory=dict)
    time_s: np.ndarray | None = None
    files: tuple[Path, ...] = ()


def open_sequence(path: Path, poses: Path | None = None) -> MeshSequence:
    """The sequence at `path`, whichever of the forms above it has.

    Raises:
        DataError: none of the forms, or arrays that do not fit together.
    """
    path = Path(path)
    if path.is_file() and path.suffix == ".npz":
        return open_arrays(path)
    if (path / "mesh.npz").is_file():
        return open_truth(path)
    if (path / FILES[0]).is_file():
        return open_mammal(path, poses or path / "poses.npz")
    files = sorted(p for p in path.glob("*") if p.suffix.lower() in SUFFIXES) if path.is_dir() else []
    if not files:
        raise DataError(
            "no mesh sequence there",
            where=str(path),
            expected="a .npz, a truth folder, a folder of mesh files, or MAMMAL text files",
            hint="docs/objects.md, 'Scans'",
        )
    return MeshSequence(
        len(files), lambda frame: load_mesh(files[frame]), {"form": "files", "licence": "unknown"}, files=tuple(files)
    )


def open_arrays(path: Path) -> MeshSequence:
    """A sequence of one .npz file."""
    with np.load(path) as content:
        arrays = {name: content[name] for name in content.files}
    if "vertices" not in arrays or "faces" not in arrays:
        raise DataError("a mesh sequence needs vertices and faces", where=str(path), got=", ".join(arrays))
    vertices = arrays["vertices"]
    if vertices.ndim != 3 or vertices.shape[2] != 3:
        raise DataError(
            "vertices of a sequence have a wrong shape", where=str(path), got=vertices.shape, expected="[T, P, 3]"
        )
    build = mesh_builder(arrays, vertices.shape[1], str(path))
    meta = {"form": "npz", "licence": str(arrays.get("licence", "unknown"))}
    return MeshSequence(len(vertices), lambda frame: build(vertices[frame]), meta, arrays.get("time_s"))


def open_truth(folder: Path) -> MeshSequence:
    """The truth folder of a virtual recording: vertices in files of many frames, read as they are needed."""
    with np.load(folder / "mesh.npz") as content:
        arrays = {
            name: content[name] for name in content.files if name in ("faces", "colours", "colors", "rest_vertices")
        }
    files = sorted(folder.glob("vertices_*.npz"))
    starts = [int(p.stem.split("_")[1]) for p in files]
    if not files or starts[0] != 0:
        raise DataError(
            "the truth folder holds no vertices",
            where=str(folder),
            expected="vertices_000000.npz ...",
            hint="make the virtual recording with truth_vertices: true",
        )
    with np.load(files[-1]) as content:
        count, points = starts[-1] + len(content["vertices_mm"]), content["vertices_mm"].shape[1]
    build = mesh_builder(arrays, points, str(folder))

    @lru_cache(maxsize=1)
    def part(k: int) -> np.ndarray:
        with np.load(files[k]) as content:
            return content["vertices_mm"]

    def mesh(frame: int) -> Mesh:
        k = int(np.searchsorted(starts, frame, side="right")) - 1
        return build(part(k)[frame - starts[k]])

    time_s = None
    if (folder / "motion.npz").is_file():
        with np.load(folder / "motion.npz") as content:
            time_s = content["time_s"]
    return MeshSequence(count, mesh, {"form": "truth", "unit": "mm", "licence": "project"}, time_s)


def open_mammal(folder: Path, poses: Path) -> MeshSequence:
    """The MAMMAL mouse in the poses of a file, or in its rest pose where there is none."""
    body = read_mammal(folder)
    meta = {"form": "mammal", "licence": "see the copy of MAMMAL_mouse"}
    build = mesh_builder({"faces": body.faces}, len(body.vertices), str(folder))
    if not poses.is_file():
        return MeshSequence(1, lambda frame: build(body.vertices), meta)
    motion = read_poses(poses, len(body.joints))
    body = body.scaled(motion.scale)
    skinner = Skinner(body)

    def mesh(frame: int) -> Mesh:
        return build(skinner.vertices(motion.pose(body.joints, body.parents, frame)))

    return MeshSequence(len(motion.rotvec), mesh, meta)


def mesh_builder(arrays: dict, points: int, where: str) -> Callable[[np.ndarray], Mesh]:
    """Vertices [P, 3] -> `Mesh` with the sequence's constant faces and colours or texture.

    Raises:
        DataError: faces or colours do not fit `points` vertices.
    """
    faces = np.asarray(arrays["faces"], np.int32)
    if faces.ndim != 2 or faces.shape[1] != 3 or (len(faces) and faces.max() >= points):
        raise DataError(
            "faces do not fit the vertices", where=where, got=faces.shape, expected=f"[F, 3] below {points}"
        )
    if all(name in arrays for name in ("texture", "uv", "faces_uv")):
        return textured_builder(arrays, faces)
    colors = arrays.get("colors", arrays.get("colours"))
    if colors is None:
        return lambda vertices: make_mesh(vertices, faces, materials=[PLAIN])
    if colors.shape != (points, 3):
        raise DataError("colours do not fit the vertices", where=where, got=colors.shape, expected=(points, 3))
    colors = np.concatenate([np.clip(colors, 0, 1), np.ones((points, 1))], axis=1)
    return lambda vertices: make_mesh(vertices, faces, colors=colors, materials=[Material(base=(1.0, 1.0, 1.0, 1.0))])


def textured_builder(arrays: dict, faces: np.ndarray) -> Callable[[np.ndarray], Mesh]:
    """Builder of a textured sequence: a vertex is repeated for each texture coordinate that it is used with."""
    pairs = np.stack([faces, np.asarray(arrays["faces_uv"], np.int32)], -1).reshape(-1, 2)
    corners, place = np.unique(pairs, axis=0, return_inverse=True)
    texture = np.full((*arrays["texture"].shape[:2], 4), 255, np.uint8)
    texture[..., :3] = arrays["texture"][..., :3]
    material = Material(base=(1.0, 1.0, 1.0, 1.0), texture=texture)
    uv, place = np.asarray(arrays["uv"])[corners[:, 1]], place.reshape(-1, 3)
    return lambda vertices: make_mesh(vertices[corners[:, 0]], place, uv=uv, materials=[material])
