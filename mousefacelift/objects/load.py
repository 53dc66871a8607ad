"""GLB, glTF, OBJ, PLY and STL files as `Mesh` arrays, through trimesh; refusals say why.

Part of the objects stage. glTF is Y-up and is turned to the project's Z-up world: (x, y, z) -> (x, -z, y). Other
formats carry no axis; `up` says which one points up.
"""

from pathlib import Path

import numpy as np

from mousefacelift.errors import DataError
from mousefacelift.objects.gltf import load_scene
from mousefacelift.objects.mesh import ALPHA_MODES, MASK, OPAQUE, REPEAT, Material, Mesh, check_mesh, join_parts
from mousefacelift.objects.texture import SRGB_TO_LINEAR

SUFFIXES = (".glb", ".gltf", ".obj", ".ply", ".stl")
Y_UP_TO_Z_UP = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
UP_ROTATIONS = {"y": Y_UP_TO_Z_UP, "z": np.eye(3), "x": np.array([[0, 0, -1.0], [0, 1.0, 0], [1.0, 0, 0]])}


def load_mesh(path: Path, up: str | None = None) -> Mesh:
    """The whole scene of a file as one mesh, Z up, in the file's own unit.

    Args:
        path: .glb, .gltf, .obj, .ply or .stl.
        up: axis of the file that points up: "x", "y" or "z"; default: y for glTF and OBJ, z for PLY and STL.
    Raises:
        DataError: unreadable, no surface, NaN vertices, no area.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError("not a mesh format that can be read", where=str(path), got=suffix, expected=", ".join(SUFFIXES))
    parts = read_parts(path)
    if not parts:
        raise DataError("the asset has no triangles", where=str(path), likely="an animation, a camera or points only")
    mesh = join_parts(parts, UP_ROTATIONS[up or ("z" if suffix in (".ply", ".stl") else "y")])
    check_mesh(mesh, str(path))
    mesh.meta["path"] = str(path)
    return mesh


def read_parts(path: Path) -> list[dict]:
    """One dict of `make_mesh` arrays for each surface placed in the file's scene, in world coordinates."""
    import trimesh

    is_gltf = path.suffix.lower() in (".glb", ".gltf")
    try:
        scene, facts = load_scene(path) if is_gltf else (trimesh.load_scene(path, process=False), {})
    except Exception as error:  # any fault of a third-party reader on a foreign file is a refusal of that file
        raise DataError(
            "the file cannot be read as a mesh", where=str(path), got=f"{type(error).__name__}: {error}"
        ) from error
    parts = []
    for node in sorted(scene.graph.nodes_geometry):
        matrix, name = scene.graph[node]
        geometry = scene.geometry[name]
        if isinstance(geometry, trimesh.Trimesh) and len(geometry.faces):
            parts.append(read_part(geometry, np.asarray(matrix, np.float64), not is_gltf, facts))
    return parts


def read_part(geometry, matrix: np.ndarray, srgb_colors: bool, facts: dict) -> dict:
    """Arrays of one placed geometry; normals only where the file has them (glTF asks for flat shading otherwise)."""
    vertices = np.asarray(geometry.vertices) @ matrix[:3, :3].T + matrix[:3, 3]
    normals = np.zeros_like(vertices)
    if "vertex_normals" in geometry._cache.cache:
        linear = np.linalg.pinv(matrix[:3, :3]).T
        normals = np.nan_to_num(np.asarray(geometry.vertex_normals)) @ linear.T
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        normals = normals / np.where(length > 0, length, 1.0)
    material, uv = read_material(geometry.visual, facts)
    return {
        "vertices": vertices,
        "faces": np.asarray(geometry.faces),
        "normals": normals,
        "material": material,
        "uv": np.zeros((len(vertices), 2)) if uv is None else np.nan_to_num(uv),
        "colors": read_colors(geometry.visual, srgb_colors),
    }


def read_colors(visual, srgb: bool) -> np.ndarray | None:
    """[P, 4] linear vertex colours: glTF stores linear numbers, PLY and OBJ store sRGB."""
    colors = None
    if visual.kind == "vertex":
        colors = np.asarray(visual.vertex_colors)
    elif visual.kind == "texture" and "color" in visual.vertex_attributes:
        colors = np.asarray(visual.vertex_attributes["color"])
    if colors is None or colors.ndim != 2 or colors.shape[1] not in (3, 4):
        return None
    if colors.dtype.kind == "f":
        scaled = np.clip(np.nan_to_num(colors.astype(np.float64)), 0, 1)
    else:
        scaled = colors / float(np.iinfo(colors.dtype).max)
    if scaled.shape[1] == 3:
        scaled = np.concatenate([scaled, np.ones((len(scaled), 1))], axis=1)
    if srgb:
        scaled[:, :3] = SRGB_TO_LINEAR[np.round(scaled[:, :3] * 255).astype(np.uint8)]
    return scaled


def read_material(visual, facts: dict) -> tuple[Material, np.ndarray | None]:
    """The surface's material and its uv [P, 2] (v up), from what trimesh made of the file and the `facts` of
    gltf.load_scene."""
    material = getattr(visual, "material", None)
    if material is None:
        return Material(base=(1.0, 1.0, 1.0, 1.0) if visual.kind == "vertex" else Material.base), None
    if hasattr(material, "baseColorFactor"):
        return read_pbr(material, facts.get(material.name, {})), visual.uv
    texture = read_picture(getattr(material, "image", None))
    if texture is not None:
        return Material(base=(1.0, 1.0, 1.0, 1.0), texture=texture), visual.uv
    diffuse = np.asarray(getattr(material, "diffuse", (204, 204, 204, 255)), np.float64)
    return Material(base=(*SRGB_TO_LINEAR[diffuse[:3].astype(np.uint8)].tolist(), 1.0)), visual.uv


def read_pbr(material, facts: dict) -> Material:
    """A glTF metallic-roughness material: base colour, alpha and emission; metal and roughness are not used."""
    texture = read_picture(material.baseColorTexture)
    factor = material.baseColorFactor
    base = (1.0, 1.0, 1.0, 1.0) if factor is None else tuple(np.asarray(factor, np.float64)[:4] / 255.0)
    base = facts.get("base") or base  # exact, where trimesh has 8 bits
    glow = (
        (0.0, 0.0, 0.0) if material.emissiveFactor is None else tuple(np.asarray(material.emissiveFactor, np.float64))
    )
    cutoff = 0.5 if material.alphaCutoff is None else float(material.alphaCutoff)
    mode = ALPHA_MODES.get(material.alphaMode or "OPAQUE", OPAQUE)
    glow_texture = read_picture(material.emissiveTexture) if any(glow) else None
    return Material(
        base, texture, glow, glow_texture, mode, cutoff if mode == MASK else 0.5, facts.get("wrap", (REPEAT, REPEAT))
    )


def read_picture(picture) -> np.ndarray | None:
    """[h, w, 4] uint8 of a PIL picture (palettes and greys expanded), or None."""
    return None if picture is None else np.ascontiguousarray(np.asarray(picture.convert("RGBA")))
