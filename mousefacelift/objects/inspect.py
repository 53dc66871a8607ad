"""A look at an asset's headers before anything is decoded: size, form, number of faces, size and presence of textures.

Part of the objects stage. What would fill the memory, leave the folder or silently lose its texture is refused here.
"""

import io
import json
import struct
from pathlib import Path
from urllib.parse import unquote

from mousefacelift.errors import DataError
from mousefacelift.objects.config import LimitsConfig

UNREADABLE = ("KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_texture_basisu", "EXT_texture_webp")


def inspect_asset(path: Path, limits: LimitsConfig) -> None:
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
    if suffix == ".glb":
        document, binary = read_glb(path)
        inspect_gltf(document, binary, path, limits)
    elif suffix == ".gltf":
        inspect_gltf(parse_document(path.read_bytes(), path), None, path, limits)
    elif suffix == ".obj":
        inspect_obj(path, limits)
    elif suffix == ".ply":
        inspect_ply(path, limits)


def read_glb(path: Path) -> tuple[dict, bytes]:
    """The JSON document and the binary chunk of a GLB file.

    Raises:
        DataError: another form, another version, or cut short.
    """
    data = path.read_bytes()
    if data[:4] != b"glTF" or len(data) < 20:
        raise DataError(
            "not a GLB file",
            where=str(path),
            got=f"first bytes {data[:4]!r}",
            expected="b'glTF'",
            likely="an archive or an error page saved under this name",
        )
    version, length, json_length, kind = struct.unpack("<4I", data[4:20])
    if version != 2 or kind != 0x4E4F534A:
        raise DataError("not a glTF 2 file", where=str(path), got=f"version {version}")
    if length > len(data):
        raise DataError(
            "the file is cut short",
            where=str(path),
            got=f"{len(data)} bytes",
            expected=f"{length}",
            hint="download it again",
        )
    return parse_document(data[20 : 20 + json_length], path), data[28 + json_length :]


def parse_document(data: bytes, path: Path) -> dict:
    """The glTF document of JSON bytes."""
    try:
        document = json.loads(data)
    except ValueError as error:
        raise DataError("the glTF document is not JSON", where=str(path), got=str(error)) from error
    if not isinstance(document, dict):
        raise DataError("the glTF document is not an object", where=str(path))
    return document


def inspect_gltf(document: dict, binary: bytes | None, path: Path, limits: LimitsConfig) -> None:
    """Faces, compressed extensions, and every buffer and picture of a glTF document."""
    unreadable = [name for name in document.get("extensionsRequired", []) if name in UNREADABLE]
    if unreadable:
        raise DataError("the asset needs an extension that is not read", where=str(path), got=", ".join(unreadable))
    try:
        faces = count_faces(document)
        if faces == 0:
            raise DataError(
                "the asset has no triangles", where=str(path), likely="an animation, a camera or points only"
            )
        check_faces(faces, path, limits)
        for buffer in document.get("buffers", []):
            if "uri" in buffer:
                read_uri(buffer["uri"], path)
            elif binary is not None and buffer["byteLength"] > len(binary):
                raise DataError(
                    "the file is cut short",
                    where=str(path),
                    got=f"{len(binary)} bytes of geometry",
                    expected=buffer["byteLength"],
                )
        for number, picture in enumerate(document.get("images", [])):
            check_picture(picture_bytes(document, picture, binary, path), f"{path}, image {number}", limits)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise DataError(
            "the glTF document contradicts itself", where=str(path), got=f"{type(error).__name__}: {error}"
        ) from error


def count_faces(document: dict) -> int:
    """Triangles of all nodes that carry a mesh, from the accessors alone."""
    accessors = document.get("accessors", [])
    per_mesh = []
    for mesh in document.get("meshes", []):
        total = 0
        for primitive in mesh["primitives"]:
            place = primitive.get("indices", primitive["attributes"].get("POSITION"))
            count = accessors[place]["count"] if place is not None else 0
            total += {4: count // 3, 5: max(0, count - 2), 6: max(0, count - 2)}.get(primitive.get("mode", 4), 0)
        per_mesh.append(total)
    return sum(per_mesh[node["mesh"]] for node in document.get("nodes", []) if "mesh" in node)


def check_faces(faces: int, path: Path, limits: LimitsConfig) -> None:
    """Refuse more faces than the limit."""
    if faces > limits.faces:
        raise DataError(
            "the mesh has too many faces", where=str(path), got=f"{faces:,}", expected=f"at most {limits.faces:,}"
        )


def read_uri(uri: str, path: Path) -> bytes | None:
    """Bytes of a file beside the asset; None for data inside the document.

    Raises:
        DataError: the address leaves the asset's folder or names a missing file.
    """
    if uri.startswith("data:"):
        return None
    target = (path.parent / unquote(uri)).resolve()
    if "://" in uri or not target.is_relative_to(path.parent.resolve()):
        raise DataError("the asset refers to a file outside its folder", where=str(path), got=uri[:100])
    if not target.is_file():
        raise DataError(
            "a file that the asset needs is missing",
            where=str(path),
            got=unquote(uri)[:100],
            likely="a texture that was not copied along",
        )
    return target.read_bytes()


def picture_bytes(document: dict, picture: dict, binary: bytes | None, path: Path) -> bytes | None:
    """Encoded bytes of a glTF image wherever it is kept; None for pictures in data URIs."""
    if "uri" in picture:
        return read_uri(picture["uri"], path)
    view = document["bufferViews"][picture["bufferView"]]
    start = view.get("byteOffset", 0)
    return None if binary is None else binary[start : start + view["byteLength"]]


def check_picture(data: bytes | None, where: str, limits: LimitsConfig) -> None:
    """Refuse a picture that is too large (by its header, before decoding) or is not a picture."""
    from PIL import Image, UnidentifiedImageError

    if data is None:
        return
    try:
        with Image.open(io.BytesIO(data)) as picture:
            width, height = picture.size
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError("a texture cannot be read", where=where, got=f"{type(error).__name__}: {error}") from error
    if width * height > limits.texture_px:
        raise DataError(
            "a texture is too large",
            where=where,
            got=f"{width} x {height}",
            expected=f"at most {limits.texture_px:,} pixels",
        )


def inspect_obj(path: Path, limits: LimitsConfig) -> None:
    """Faces of an OBJ file, and the presence of its materials' textures."""
    faces, libraries = 0, []
    with open(path, "rb") as stream:
        for line in stream:
            if line.startswith(b"f "):
                faces += max(1, len(line.split()) - 3)
            elif line.startswith(b"mtllib "):
                libraries.append(line[7:].decode(errors="replace").strip())
    check_faces(faces, path, limits)
    for library in libraries:
        text = read_uri(library, path)
        for line in (text or b"").decode(errors="replace").splitlines():
            if line.strip().startswith("map_Kd "):
                check_picture(read_uri(line.split()[-1], path), f"{path}, {line.strip()}", limits)


def inspect_ply(path: Path, limits: LimitsConfig) -> None:
    """Faces of a PLY file by its header."""
    with open(path, "rb") as stream:
        header = stream.read(65536).split(b"end_header")[0]
    for line in header.splitlines():
        if line.startswith(b"element face "):
            check_faces(int(line.split()[2]), path, limits)
