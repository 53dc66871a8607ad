"""What a glTF document says about its materials beyond what trimesh keeps: exact colour factors and texture wrap modes.

Part of the objects stage. trimesh rounds base colours to 8 bits and forgets the samplers. The document is therefore
given to it with its materials named by their number, and what it forgot is looked up by that name.
"""

import io
import json
import struct
from pathlib import Path

from mousefacelift.objects.inspect import parse_document, read_glb
from mousefacelift.objects.mesh import CLAMP, MIRROR, REPEAT

WRAP_MODES = {10497: REPEAT, 33071: CLAMP, 33648: MIRROR}  # OpenGL's numbers, as in the glTF 2.0 specification, 5.26


def load_scene(path: Path):
    """The trimesh scene of a .glb or .gltf file, and {material name: facts} for `read_material`."""
    import trimesh

    if path.suffix.lower() == ".glb":
        document, _ = read_glb(path)
        data = path.read_bytes()
        rest = data[20 + struct.unpack("<I", data[12:16])[0] :]
        text = number_materials(document)
        text += b" " * (-len(text) % 4)
        head = struct.pack("<4sIIII", b"glTF", 2, 20 + len(text) + len(rest), len(text), 0x4E4F534A)
        stream = io.BytesIO(head + text + rest)
    else:
        document = parse_document(path.read_bytes(), path)
        stream = io.BytesIO(number_materials(document))
    resolver = trimesh.resolvers.FilePathResolver(path)
    scene = trimesh.load_scene(stream, file_type=path.suffix.lower()[1:], resolver=resolver, process=False)
    return scene, {f"{k}": material_facts(document, m) for k, m in enumerate(document.get("materials", []))}


def number_materials(document: dict) -> bytes:
    """The document as JSON, its materials named "0", "1", ..."""
    named = [{**material, "name": f"{k}"} for k, material in enumerate(document.get("materials", []))]
    return json.dumps({**document, "materials": named} if named else document).encode()


def material_facts(document: dict, material: dict) -> dict:
    """{"base": RGBA factor or None, "wrap": modes along u and v of the base texture, or of the glow where there is no
    base}."""
    surface = material.get("pbrMetallicRoughness", {})
    base = surface.get("baseColorFactor")
    place = surface.get("baseColorTexture") or material.get("emissiveTexture") or {}
    texture = document["textures"][place["index"]] if "index" in place else {}
    sampler = document["samplers"][texture["sampler"]] if "sampler" in texture else {}
    wrap = tuple(WRAP_MODES.get(sampler.get(key, 10497), REPEAT) for key in ("wrapS", "wrapT"))
    return {"base": None if base is None else tuple(float(c) for c in base), "wrap": wrap}
