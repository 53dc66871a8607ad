"""A glTF file as its JSON document and the bytes that it refers to, in the file, beside it or inside the document.

Part of the objects stage. Nothing is decoded here; files are mapped, so that a header can be read without the rest.
"""

import base64
import binascii
import json
import mmap
import struct
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from mousefacelift.errors import DataError

JSON_CHUNK, BINARY_CHUNK = 0x4E4F534A, 0x004E4942


@dataclass(frozen=True)
class Document:
    """A glTF asset.

    Attributes:
        path: the file. tree: its JSON. binary: the binary chunk of a GLB, or None.
        kept: buffers read so far, by their number.
    """

    path: Path
    tree: dict
    binary: memoryview | None = None
    kept: dict = field(default_factory=dict)

    def rows(self, name: str) -> list[dict]:
        """A top-level list of the document; empty where it has none."""
        return self.tree.get(name, [])

    def buffer(self, number: int) -> memoryview:
        """Bytes of a buffer.

        Raises:
            DataError: missing, or shorter than the document says.
        """
        if number not in self.kept:
            row = self.rows("buffers")[number]
            data = read_uri(row["uri"], self.path) if "uri" in row else self.binary
            if data is None:
                raise DataError(
                    "a buffer has no data",
                    where=f"{self.path}, buffer {number}",
                    likely="it is kept in compressed form only (EXT_meshopt_compression)",
                )
            if len(data) < row["byteLength"]:
                raise DataError(
                    "the file is cut short",
                    where=f"{self.path}, buffer {number}",
                    got=f"{len(data)} bytes of geometry",
                    expected=row["byteLength"],
                )
            self.kept[number] = memoryview(data)
        return self.kept[number]

    def view(self, number: int) -> memoryview:
        """Bytes of a buffer view."""
        row = self.rows("bufferViews")[number]
        start, length = row.get("byteOffset", 0), row["byteLength"]
        data = self.buffer(row["buffer"])[start : start + length]
        if len(data) < length:
            raise DataError(
                "a buffer view reaches beyond its buffer", where=f"{self.path}, buffer view {number}", got=length
            )
        return data

    def picture(self, number: int) -> memoryview:
        """Encoded bytes of an image."""
        row = self.rows("images")[number]
        return memoryview(read_uri(row["uri"], self.path)) if "uri" in row else self.view(row["bufferView"])


def open_document(path: Path) -> Document:
    """The document of a .glb or .gltf file.

    Raises:
        DataError: another form, another version, cut short, or not JSON.
    """
    path = Path(path)
    if path.suffix.lower() == ".gltf":
        return Document(path, parse_document(path.read_bytes(), path))
    with open(path, "rb") as stream:
        size = path.stat().st_size
        data = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if size else b"")
    if size < 20 or data[:4] != b"glTF":
        raise DataError(
            "not a GLB file",
            where=str(path),
            got=f"first bytes {bytes(data[:4])!r}",
            expected="b'glTF'",
            likely="an archive or an error page saved under this name",
        )
    version, length, json_length, kind = struct.unpack("<4I", data[4:20])
    if version != 2 or kind != JSON_CHUNK:
        raise DataError("not a glTF 2 file", where=str(path), got=f"version {version}")
    if length > size:
        raise DataError(
            "the file is cut short",
            where=str(path),
            got=f"{size} bytes",
            expected=f"{length}",
            hint="download it again",
        )
    tree = parse_document(bytes(data[20 : 20 + json_length]), path)
    rest = data[20 + json_length : length]
    if len(rest) < 8:
        return Document(path, tree)
    length, kind = struct.unpack("<2I", rest[:8])
    return Document(path, tree, rest[8 : 8 + length] if kind == BINARY_CHUNK else None)


def parse_document(data: bytes, path: Path) -> dict:
    """The glTF document of JSON bytes."""
    try:
        tree = json.loads(data)
    except ValueError as error:
        raise DataError("the glTF document is not JSON", where=str(path), got=str(error)) from error
    if not isinstance(tree, dict):
        raise DataError("the glTF document is not an object", where=str(path))
    version = str(tree.get("asset", {}).get("version", "")) if isinstance(tree.get("asset", {}), dict) else ""
    if not version.startswith("2"):
        raise DataError("not a glTF 2 file", where=str(path), got=f"version {version or 'not said'}")
    return tree


def read_uri(uri: str, path: Path) -> bytes:
    """Bytes that an address of an asset names: inside the document (data:), or a file in the asset's folder.

    Names are percent-encoded as RFC 3986 asks; one written as it stands, with blanks or a percent sign, is found too.

    Raises:
        DataError: the address leaves the asset's folder, names a missing file, or its data cannot be decoded.
    """
    if uri.startswith("data:"):
        head, _, text = uri.partition(",")
        try:
            return (
                base64.b64decode(text, validate=True) if head.endswith(";base64") else unquote(text).encode("latin-1")
            )
        except (binascii.Error, ValueError) as error:
            raise DataError("data inside the document cannot be decoded", where=str(path), got=str(error)) from error
    return find_file(uri, path).read_bytes()


def find_file(uri: str, path: Path) -> Path:
    """The file beside `path` that an address names; see `read_uri`."""
    folder = path.parent.resolve()
    targets = [(folder / name).resolve() for name in (unquote(uri), uri)]
    if "://" in uri or not all(target.is_relative_to(folder) for target in targets):
        raise DataError("the asset refers to a file outside its folder", where=str(path), got=uri[:100])
    for target in targets:
        if target.is_file():
            return target
    raise DataError(
        "a file that the asset needs is missing",
        where=str(path),
        got=unquote(uri)[:100],
        likely="a texture that was not copied along",
    )
