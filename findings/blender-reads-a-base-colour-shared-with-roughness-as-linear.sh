#!/usr/bin/env bash
# Blender's glTF importer gives one picture one colour space: where a texture is both base colour (sRGB) and roughness
# (numbers), as exporters write it, the base colour is read as numbers too and every render is far too light.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3.11 -m venv venv; venv/bin/pip install -q "bpy==5.0.1"  # 370 MB; wheels for Python 3.11 alone
cat > look.py <<'P'
import base64, json, struct, zlib
import bpy

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

pixels = (b"\0" + bytes((97, 204, 96)) * 4) * 4
png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
points = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0); uv = struct.pack("<6f", 0, 0, 1, 0, 0, 1)
data = "data:application/octet-stream;base64," + base64.b64encode(points + uv).decode()

def colour_space(shared: bool) -> str:
    """What Blender decodes the base colour's picture as."""
    surface = {"baseColorTexture": {"index": 0}} | ({"metallicRoughnessTexture": {"index": 0}} if shared else {})
    tree = {"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
            "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "material": 0}]}],
            "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]},
                          {"bufferView": 1, "componentType": 5126, "count": 3, "type": "VEC2"}],
            "bufferViews": [{"buffer": 0, "byteLength": 36}, {"buffer": 0, "byteOffset": 36, "byteLength": 24}],
            "buffers": [{"byteLength": 60, "uri": data}], "textures": [{"source": 0}],
            "images": [{"uri": "data:image/png;base64," + base64.b64encode(png).decode()}],
            "materials": [{"pbrMetallicRoughness": surface}]}
    json.dump(tree, open("a.gltf", "w"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath="a.gltf")
    tree = next(item for item in bpy.data.objects if item.type == "MESH").data.materials[0].node_tree
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    return shader.inputs["Base Color"].links[0].from_node.image.colorspace_settings.name

alone, shared = colour_space(False), colour_space(True)
print("bpy", bpy.app.version_string, "base colour alone:", alone, "| the same picture with roughness in it:", shared)
assert alone == "sRGB" and shared == "Non-Color", "Blender now reads both as colours"
P
venv/bin/python look.py | grep "^bpy"
