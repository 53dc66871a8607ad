"""A look at an asset's headers before anything is decoded: size, form, number of faces, features, textures.

Part of the objects stage. What would fill the memory, leave the folder or silently lose its texture is refused here.
"""

from pathlib import Path

from mousefacelift.errors import DataError
from mousefacelift.objects.config import Limits
from mousefacelift.objects.formats.document import Document, open_document
from mousefacelift.objects.formats.features import check_features, list_pictures
from mousefacelift.objects.formats.gltf import scene_order
from mousefacelift.objects.formats.pictures import check_picture


def inspect_asset(path: Path, limits: Limits) -> None:
    """Check a mesh file against the limits.

    Raises:
        DataError: too large, not what its name says, too many faces, a texture missing, broken or too large.
    """
    if not path.is_file():
        raise DataError("the file is not there", where=str(path))
    megabytes = path.stat().st_size / 1e6
    if megabytes > limits.file_mb:
        raise DataError(
            "the file is too large", where=str(path), got=f"{megabytes:.0f} MB", expected=f"{limits.file_mb:g} MB"
        )
    if path.stat().st_size == 0:
        raise DataError("the file is empty", where=str(path))
    suffix = path.suffix.lower()
    if suffix in (".glb", ".gltf"):
        inspect_gltf(open_document(path), limits)
    elif suffix == ".obj":
        inspect_obj(path, limits)
    elif suffix == ".ply":
        inspect_ply(path, limits)


def inspect_gltf(document: Document, limits: Limits) -> None:
    """Faces, extensions, and every buffer and every picture that is drawn of a glTF document."""
    path = document.path
    try:
        check_features(document)
        faces = count_faces(document)
        if faces == 0:
            raise DataError(
                "the asset has no triangles", where=str(path), likely="an animation, a camera or points only"
            )
        check_faces(faces, path, limits)
        for number, buffer in enumerate(document.rows("buffers")):
            if "uri" in buffer or document.binary is not None:
                document.buffer(number)
        for number in list_pictures(document):
            check_picture(document.picture(number), f"{path}, image {number}", limits)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise DataError(
            "the glTF document contradicts itself", where=str(path), got=f"{type(error).__name__}: {error}"
        ) from error


def count_faces(document: Document) -> int:
    """Triangles of the scene's nodes with a mesh, instances counted, from the accessors alone."""
    accessors, per_mesh = document.rows("accessors"), []
    for mesh in document.rows("meshes"):
        total = 0
        for primitive in mesh["primitives"]:
            place = primitive.get("indices", primitive["attributes"].get("POSITION"))
            count = accessors[place]["count"] if place is not None else 0
            total += {4: count // 3, 5: max(0, count - 2), 6: max(0, count - 2)}.get(primitive.get("mode", 4), 0)
        per_mesh.append(total)
    total = 0
    for node in (document.rows("nodes")[number] for number in scene_order(document)):
        if "mesh" in node:
            places = node.get("extensions", {}).get("EXT_mesh_gpu_instancing", {}).get("attributes", {}).values()
            total += per_mesh[node["mesh"]] * max((accessors[place]["count"] for place in places), default=1)
    return total


def check_faces(faces: int, path: Path, limits: Limits) -> None:
    """Refuse more faces than the limit."""
    if faces > limits.faces:
        raise DataError(
            "the mesh has too many faces", where=str(path), got=f"{faces:,}", expected=f"at most {limits.faces:,}"
        )


def inspect_obj(path: Path, limits: Limits) -> None:
    """Faces of an OBJ file."""
    faces = 0
    with open(path, "rb") as stream:
        for line in stream:
            if line.startswith(b"f "):
                faces += max(1, len(line.split()) - 3)
    check_faces(faces, path, limits)


def inspect_ply(path: Path, limits: Limits) -> None:
    """Faces of a PLY file by its header."""
    with open(path, "rb") as stream:
        header = stream.read(65536).split(b"end_header")[0]
    for line in header.splitlines():
        if line.startswith(b"element face "):
            check_faces(int(line.split()[2]), path, limits)
