"""A look at an asset's headers before anything is decoded: size, form, number of faces, features, textures.

Part of the objects stage. What would fill the memory, leave the folder or silently lose its texture is refused here.
"""

import codecs
from pathlib import Path

from mousefacelift.errors import DataError
from mousefacelift.objects.config import Limits
from mousefacelift.objects.formats.document import Document, open_document
from mousefacelift.objects.formats.features import check_features, list_pictures
from mousefacelift.objects.formats.gltf import no_coordinates, placed_nodes, scene_order
from mousefacelift.objects.formats.materials import coordinate_set, used_slots
from mousefacelift.objects.formats.obj import check_library
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
        check_coordinates(document)
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


def check_coordinates(document: Document) -> None:
    """Refuse a textured surface without the coordinates that its textures ask for."""
    for _, node in placed_nodes(document):
        for primitive in document.rows("meshes")[node["mesh"]]["primitives"]:
            if "material" not in primitive or primitive.get("mode", 4) < 4:
                continue
            slots = used_slots(document.rows("materials")[primitive["material"]])
            for slot in (slot for name, slot in slots.items() if name != "specular"):
                if f"TEXCOORD_{coordinate_set(slot)}" not in primitive["attributes"]:
                    raise no_coordinates(document, f"TEXCOORD_{coordinate_set(slot)}")


def check_faces(faces: int, path: Path, limits: Limits) -> None:
    """Refuse more faces than the limit."""
    if faces > limits.faces:
        raise DataError(
            "the mesh has too many faces", where=str(path), got=f"{faces:,}", expected=f"at most {limits.faces:,}"
        )


def inspect_obj(path: Path, limits: Limits) -> None:
    """Faces, material libraries and pictures of an OBJ file; one in UTF-16 is left to its reader."""
    faces, libraries, used, current = 0, [], set(), None
    with open(path, "rb") as stream:
        if stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return
        stream.seek(0)
        for line in stream:
            word, *rest = line.split(maxsplit=1) or [b""]
            if word == b"f" and rest:
                faces += max(1, len(rest[0].split()) - 2)
                used.add(current)
            elif word in (b"mtllib", b"usemtl") and rest:
                name = rest[0].decode("utf-8", errors="surrogateescape").strip()
                if word == b"mtllib":
                    libraries.append(name)
                else:
                    current = name
    if faces == 0:
        raise DataError("the asset has no triangles", where=str(path), likely="points or lines only")
    check_faces(faces, path, limits)
    check_library(libraries, used - {None}, path, limits)


def inspect_ply(path: Path, limits: Limits) -> None:
    """Faces of a PLY file by its header; strips do not say how many they are."""
    with open(path, "rb") as stream:
        header = stream.read(65536).split(b"end_header")[0]
    if not header.startswith(b"ply"):
        raise DataError(
            "the file cannot be read as a mesh", where=str(path), got=f"first bytes {header[:4]!r}", expected="b'ply'"
        )
    elements = [line.split() for line in header.splitlines() if line.startswith(b"element ")]
    counts = {row[1]: int(row[2]) for row in elements if len(row) == 3 and row[2].isdigit()}
    if not counts.get(b"face") and not counts.get(b"tristrips"):
        raise DataError("the asset has no triangles", where=str(path), likely="points or lines only")
    check_faces(counts.get(b"face", 0), path, limits)
