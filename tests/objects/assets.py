"""Good and bad asset files, written by the tests themselves."""

import io
import json
import struct
import zlib

import numpy as np


def png(width=4, height=4, color=(255, 0, 0)):
    """Bytes of an even PNG."""
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (width, height), color).save(stream, "PNG")
    return stream.getvalue()


def huge_png(side=60000):
    """A PNG of a few bytes that claims side x side pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">2I5B", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


TETRAHEDRON = np.array([[1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]], np.float32)
SIDES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.uint32)


def glb(path, vertices=TETRAHEDRON, faces=SIDES, picture=None, material=None, change=None):
    """Write a GLB of one mesh with zero uv; `change(document)` may spoil it. Returns the path."""
    blocks = [
        vertices.astype("<f4").tobytes(),
        faces.astype("<u4").tobytes(),
        np.zeros((len(vertices), 2), "<f4").tobytes(),
    ]
    blocks += [picture] if picture else []
    blocks = [block + b"\0" * (-len(block) % 4) for block in blocks]
    starts = np.cumsum([0] + [len(block) for block in blocks])
    document = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 2}, "indices": 1, "material": 0}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": len(vertices), "type": "VEC3"},
            {"bufferView": 1, "componentType": 5125, "count": int(faces.size), "type": "SCALAR"},
            {"bufferView": 2, "componentType": 5126, "count": len(vertices), "type": "VEC2"},
        ],
        "bufferViews": [{"buffer": 0, "byteOffset": int(s), "byteLength": len(b)} for s, b in zip(starts, blocks)],
        "buffers": [{"byteLength": int(starts[-1])}],
        "materials": [{"pbrMetallicRoughness": {"metallicFactor": 0, **(material or {})}}],
    }
    if picture:
        document |= {"images": [{"bufferView": 3, "mimeType": "image/png"}], "textures": [{"source": 0}]}
        document["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"] = {"index": 0}
    if change:
        change(document)
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    binary = b"".join(blocks)
    body = struct.pack("<2I", len(text), 0x4E4F534A) + text + struct.pack("<2I", len(binary), 0x004E4942) + binary
    path.write_bytes(b"glTF" + struct.pack("<2I", 2, 12 + len(body)) + body)
    return path


def many_faces(document):
    """Claims twenty million faces."""
    document["accessors"][1]["count"] = 60_000_000


def no_mesh(document):
    """An animation without a mesh."""
    document["nodes"], document["meshes"] = [{}], []
    document["animations"] = [{"channels": [], "samplers": []}]
