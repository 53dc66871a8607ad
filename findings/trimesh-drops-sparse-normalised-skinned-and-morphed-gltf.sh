#!/usr/bin/env bash
# trimesh reads valid glTF files wrong without a word: sparse corrections and morph weights are dropped, normalised texture
# coordinates are left as integers, skinned meshes stand at their node instead of their joints, and an extension that the
# file requires (glTF 2.0, 3.12: a client that lacks it must not load the file) is passed over.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv; venv/bin/pip install -q "trimesh==5.2.0" "numpy==2.4.6" "pillow==13.0.0"
venv/bin/python - <<'P'
import base64, io, json
import numpy as np, trimesh

SQUARE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], "f4")
CODES = {"float32": 5126, "uint16": 5123, "uint8": 5121}

class File:
    """A glTF document of one square, its arrays as data URIs."""
    def __init__(self):
        self.tree = {"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}], "buffers": [], "bufferViews": [], "accessors": [], "materials": [{}]}
        position = self.add(SQUARE, "VEC3", min=[0, 0, 0], max=[1, 1, 0])
        self.part = {"attributes": {"POSITION": position}, "indices": self.add(np.array([0, 1, 2, 0, 2, 3], np.uint16), "SCALAR"), "material": 0}
        self.tree["meshes"] = [{"primitives": [self.part]}]
    def view(self, array):
        data = np.ascontiguousarray(array).tobytes()
        self.tree["buffers"].append({"byteLength": len(data), "uri": "data:application/octet-stream;base64," + base64.b64encode(data).decode()})
        self.tree["bufferViews"].append({"buffer": len(self.tree["buffers"]) - 1, "byteLength": len(data)})
        return len(self.tree["bufferViews"]) - 1
    def add(self, array, kind, **more):
        self.tree["accessors"].append({"bufferView": self.view(array), "componentType": CODES[array.dtype.name], "count": len(array), "type": kind, **more})
        return len(self.tree["accessors"]) - 1
    def load(self):
        return trimesh.load_scene(io.BytesIO(json.dumps(self.tree).encode()), file_type="gltf").to_mesh()

print("trimesh", trimesh.__version__)
sparse = File()
rows = {"indices": {"bufferView": sparse.view(np.array([2], np.uint8)), "componentType": 5121}, "values": {"bufferView": sparse.view(np.array([[5, 5, 5]], "f4"))}}
sparse.tree["accessors"][0] |= {"sparse": {"count": 1, **rows}, "max": [5, 5, 5]}
found = sparse.load().vertices[2].tolist()
print("sparse correction of vertex 2 to [5, 5, 5]:   ", found); assert found == [1, 1, 0], "sparse accessors are read now"

normalised = File()
normalised.part["attributes"]["TEXCOORD_0"] = normalised.add(np.array([[0, 0], [65535, 0], [65535, 65535], [0, 65535]], np.uint16), "VEC2", normalized=True)
found = float(normalised.load().visual.uv.max())
print("largest coordinate of normalised 16-bit ones, 1:", found); assert found > 60000, "normalised coordinates are read now"

skinned = File()
skinned.part["attributes"] |= {"JOINTS_0": skinned.add(np.zeros((4, 4), np.uint8), "VEC4"), "WEIGHTS_0": skinned.add(np.eye(4, dtype="f4")[[0] * 4], "VEC4")}
skinned.tree |= {"nodes": [{"mesh": 0, "skin": 0, "translation": [10, 0, 0]}, {"translation": [0, 0, 7]}], "skins": [{"joints": [1]}], "scenes": [{"nodes": [0, 1]}]}
found = skinned.load().vertices[0].tolist()
print("vertex 0 skinned to a joint at [0, 0, 7]:      ", found); assert found == [10, 0, 0], "skins are posed now"

morphed = File()
morphed.part["targets"] = [{"POSITION": morphed.add(np.ones((4, 3), "f4"), "VEC3", min=[1, 1, 1], max=[1, 1, 1])}]
morphed.tree["meshes"][0]["weights"] = [1.0]
found = morphed.load().vertices[0].tolist()
print("vertex 0 morphed by [1, 1, 1] with weight 1:   ", found); assert found == [0, 0, 0], "morph weights are applied now"

required = File()
required.tree["extensionsUsed"] = required.tree["extensionsRequired"] = ["ACME_other_geometry"]
found = len(required.load().faces)
print("faces of a file that requires ACME_other_geometry:", found); assert found == 2, "required extensions are respected now"
P
