"""Arrays of a glTF document: every component type, stride, normalised integers, sparse corrections, Draco.

Part of the objects stage. Follows the glTF 2.0 specification, sections 3.6.2 (accessors) and 3.11 (normalised
integers: f = max(c / (2^(b-1) - 1), -1) signed, f = c / (2^b - 1) unsigned), and KHR_mesh_quantization, by which
integers that are not normalised are plain numbers.
"""

import numpy as np

from mousefacelift.errors import ConfigError, DataError
from mousefacelift.objects.formats.document import Document

COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
DRACO = "KHR_draco_mesh_compression"


def read_accessor(document: Document, number: int) -> np.ndarray:
    """[count, width] of an accessor in its own component type, sparse corrections applied; read-only where possible.

    Raises:
        DataError: it reaches beyond its buffer view.
    """
    row = document.rows("accessors")[number]
    kind, width, count = np.dtype(COMPONENTS[row["componentType"]]), WIDTHS[row["type"]], int(row["count"])
    if "bufferView" in row:
        values = strided(document, row["bufferView"], row.get("byteOffset", 0), kind, (count, width))
    else:
        values = np.zeros((count, width), kind)
    if "sparse" not in row:
        return values
    sparse = row["sparse"]
    changed = int(sparse["count"])
    index, value = sparse["indices"], sparse["values"]
    places = strided(
        document,
        index["bufferView"],
        index.get("byteOffset", 0),
        np.dtype(COMPONENTS[index["componentType"]]),
        (changed, 1),
    )
    values = values.copy()
    values[places[:, 0]] = strided(document, value["bufferView"], value.get("byteOffset", 0), kind, (changed, width))
    return values


def strided(document: Document, view: int, offset: int, kind: np.dtype, shape: tuple[int, int]) -> np.ndarray:
    """[count, width] numbers of a buffer view, interleaved or not."""
    count, width = shape
    data = document.view(view)
    step = document.rows("bufferViews")[view].get("byteStride", kind.itemsize * width)
    if count and offset + (count - 1) * step + kind.itemsize * width > len(data):
        raise DataError(
            "an accessor reaches beyond its buffer view",
            where=f"{document.path}, buffer view {view}",
            got=f"{count} elements of {step} bytes from byte {offset}",
            expected=f"{len(data)} bytes",
        )
    return np.ndarray(shape, kind, data, offset, (step, kind.itemsize)) if count else np.zeros(shape, kind)


def to_float(values: np.ndarray, normalised: bool) -> np.ndarray:
    """float64 of an accessor's numbers."""
    if values.dtype.kind == "f" or not normalised:
        return values.astype(np.float64)
    scaled = values / float(np.iinfo(values.dtype).max)
    return np.maximum(scaled, -1.0) if values.dtype.kind == "i" else scaled


def read_floats(document: Document, number: int) -> np.ndarray:
    """[count, width] float64 of an accessor, normalised integers as their fractions."""
    return to_float(read_accessor(document, number), bool(document.rows("accessors")[number].get("normalized")))


class Attributes:
    """The arrays of one primitive: from its accessors, or out of its Draco stream where they have no data.

    Args:
        primitive: row of a mesh's `primitives`.
    """

    def __init__(self, document: Document, primitive: dict) -> None:
        self._document, self._primitive = document, primitive
        self.names = primitive["attributes"]
        packed = primitive.get("extensions", {}).get(DRACO)
        plain = "bufferView" in document.rows("accessors")[self.names["POSITION"]]
        self._packed = None if packed is None or plain else packed
        self._mesh = None if self._packed is None else decode_draco(document, packed)

    def has(self, name: str) -> bool:
        return name in self.names

    def floats(self, name: str) -> np.ndarray:
        """[P, width] float64."""
        row = self.names[name]
        return to_float(self.raw(name), bool(self._document.rows("accessors")[row].get("normalized")))

    def raw(self, name: str) -> np.ndarray:
        """[P, width] in the file's component type."""
        if self._mesh is None or name not in self._packed["attributes"]:
            return read_accessor(self._document, self.names[name])
        wanted = self._packed["attributes"][name]
        found = next((a for a in self._mesh.attributes if a["unique_id"] == wanted), None)
        if found is None:
            raise DataError("a Draco stream lacks an attribute", where=str(self._document.path), got=name)
        return np.asarray(found["data"]).reshape(len(self._mesh.points), -1)

    def indices(self, count: int) -> np.ndarray:
        """[K] vertex numbers below `count` in drawing order."""
        if self._mesh is not None:
            index = np.asarray(self._mesh.faces, np.int64).reshape(-1)
        elif "indices" in self._primitive:
            index = read_accessor(self._document, self._primitive["indices"]).astype(np.int64).reshape(-1)
        else:
            index = np.arange(count)
        if len(index) and index.max() >= count:
            raise DataError(
                "a primitive names vertices that are not there",
                where=str(self._document.path),
                got=int(index.max()),
                expected=f"below {count}",
            )
        return index

    def faces(self, count: int) -> np.ndarray:
        """[F, 3] triangles of `count` vertices: lists, strips and fans (section 3.7.2.1 of the specification)."""
        index, mode = self.indices(count), 4 if self._mesh is not None else self._primitive.get("mode", 4)
        if mode == 4:
            return index[: len(index) // 3 * 3].reshape(-1, 3)
        first = np.arange(max(0, len(index) - 2))
        if mode == 5:
            odd = first % 2
            return index[np.stack([first, first + 1 + odd, first + 2 - odd], -1)]
        if mode == 6:
            return index[np.stack([first + 1, first + 2, np.zeros_like(first)], -1)]
        return np.zeros((0, 3), np.int64)  # points and lines have no area


def decode_draco(document: Document, packed: dict):
    """The decoded mesh of a Draco stream.

    Raises:
        ConfigError: DracoPy is not installed. DataError: the stream is broken.
    """
    try:
        import DracoPy
    except ImportError as error:
        raise ConfigError(
            "the asset is Draco-compressed", where=str(document.path), hint="pip install 'mousefacelift[draco]'"
        ) from error
    try:
        return DracoPy.decode(bytes(document.view(packed["bufferView"])))
    except (ValueError, RuntimeError, DracoPy.FileTypeException) as error:
        raise DataError("a Draco stream cannot be decoded", where=str(document.path), got=str(error)) from error
