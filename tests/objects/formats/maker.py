"""Writes glTF files with what a test wants in them."""

import base64
import json

import numpy as np

from mousefacelift.objects.config import Limits
from mousefacelift.objects.inspect import inspect_asset
from mousefacelift.objects.load import load_mesh

from .. import assets

TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}


CODES = {"int8": 5120, "uint8": 5121, "int16": 5122, "uint16": 5123, "uint32": 5125, "float32": 5126}


INDICES = assets.SIDES.reshape(-1, 1)


class Maker:
    """Writes a .gltf of one mesh whose arrays are data URIs; `tree` may be changed before `write`."""

    def __init__(self, positions=assets.TETRAHEDRON, indices=INDICES):
        self.tree = {
            "asset": {"version": "2.0"},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [{"mesh": 0}],
            "accessors": [],
            "bufferViews": [],
            "buffers": [],
            "materials": [{}],
        }
        self.primitive = {"attributes": {"POSITION": self.add(positions)}, "material": 0}
        self.tree["meshes"] = [{"primitives": [self.primitive]}]
        if indices is not None:
            self.primitive["indices"] = self.add(indices)

    def view(self, data):
        self.tree["buffers"].append({"byteLength": len(data), "uri": encode(data)})
        self.tree["bufferViews"].append({"buffer": len(self.tree["buffers"]) - 1, "byteLength": len(data)})
        return len(self.tree["bufferViews"]) - 1

    def add(self, array, **more):
        array = np.ascontiguousarray(array)
        array = array.astype("f4") if array.dtype.kind == "f" else array
        row = {"bufferView": self.view(array.tobytes()), "componentType": CODES[str(array.dtype)], "count": len(array)}
        self.tree["accessors"].append(row | {"type": TYPES[array.shape[1]]} | more)
        return len(self.tree["accessors"]) - 1

    def set(self, name, array, **more):
        self.primitive["attributes"][name] = self.add(array, **more)

    def texture(self, slot="baseColorTexture", **info):
        self.tree["images"] = [{"uri": encode(assets.png(4, 4, (200, 100, 50)), "image/png")}]
        self.tree["textures"] = [{"source": 0}]
        self.tree["materials"][0]["pbrMetallicRoughness"] = {slot: {"index": 0, **info}}

    def write(self, folder):
        path = folder / "a.gltf"
        path.write_text(json.dumps(self.tree))
        inspect_asset(path, Limits())
        return load_mesh(path, up="z")  # the file's own axes


def encode(data, kind="application/octet-stream"):
    return f"data:{kind};base64," + base64.b64encode(data).decode()
