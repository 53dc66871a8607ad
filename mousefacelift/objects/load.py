"""GLB, glTF, OBJ, PLY and STL files as `Mesh` arrays; refusals say why.

Part of the objects stage. Readers are in `formats`; STL, which holds nothing but triangles, goes through trimesh. glTF
is Y-up and is turned to the project's Z-up world: (x, y, z) -> (x, -z, y). Other formats carry no axis; `up` says which
one points up.
"""

from pathlib import Path

import numpy as np

from mousefacelift.errors import DataError
from mousefacelift.objects.formats.gltf import read_gltf
from mousefacelift.objects.formats.obj import read_obj
from mousefacelift.objects.formats.ply import read_ply
from mousefacelift.objects.mesh import Material, Mesh, check_mesh, join_parts

SUFFIXES = (".glb", ".gltf", ".obj", ".ply", ".stl")
Y_UP_TO_Z_UP = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
UP_ROTATIONS = {"y": Y_UP_TO_Z_UP, "z": np.eye(3), "x": np.array([[0, 0, -1.0], [0, 1.0, 0], [1.0, 0, 0]])}


def load_mesh(path: Path, up: str | None = None) -> Mesh:
    """The whole scene of a file as one mesh, Z up, in the file's own unit.

    Args:
        path: .glb, .gltf, .obj, .ply or .stl.
        up: axis of the file that points up: "x", "y" or "z"; default: y for glTF and OBJ, z for PLY and STL.
    Raises:
        DataError: unreadable, something in it is not read (by name), no surface, NaN vertices, no area.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError("not a mesh format that can be read", where=str(path), got=suffix, expected=", ".join(SUFFIXES))
    readers = {".obj": read_obj, ".ply": read_ply, ".stl": read_stl}
    parts = readers.get(suffix, read_gltf)(path)
    if not parts:
        raise DataError("the asset has no triangles", where=str(path), likely="an animation, a camera or points only")
    mesh = join_parts(parts, UP_ROTATIONS[up or ("z" if suffix in (".ply", ".stl") else "y")])
    check_mesh(mesh, str(path))
    mesh.meta["path"] = str(path)
    return mesh


def read_stl(path: Path) -> list[dict]:
    """The triangles of an STL file, flat and white."""
    import trimesh

    try:
        surface = trimesh.load_mesh(path, process=False)
    except Exception as error:  # any fault of a third-party reader on a foreign file is a refusal of that file
        raise DataError(
            "the file cannot be read as a mesh", where=str(path), got=f"{type(error).__name__}: {error}"
        ) from error
    vertices, faces = np.asarray(surface.vertices, np.float64), np.asarray(getattr(surface, "faces", ()))
    if not len(faces):
        return []
    part = {"normals": np.zeros_like(vertices), "uv": np.zeros((len(vertices), 2)), "colors": None}
    return [part | {"vertices": vertices, "faces": faces, "material": Material()}]
