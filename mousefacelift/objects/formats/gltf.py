"""glTF 2.0 scenes as mesh parts in their rest pose: nodes, instances, skins, morph targets, triangles of every mode.

Part of the objects stage. An own reader of the specification: trimesh drops sparse corrections, normalised integers,
further coordinate sets, texture transforms, skins, morph weights, instances, samplers and culling, and a document class
(pygltflib) decodes no accessor; working around the first took as much code as this and stayed wrong (docs/objects.md).
Animations are not played: the pose is the one that the nodes say.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mousefacelift.errors import DataError
from mousefacelift.objects.formats.accessors import Attributes, read_floats
from mousefacelift.objects.formats.document import Document, open_document
from mousefacelift.objects.formats.features import check_features
from mousefacelift.objects.formats.materials import Look, MaterialReader, Placed
from mousefacelift.objects.formats.skins import cofactors, instance_matrices, node_matrix, skin_vertices

INSTANCING, VISIBILITY = "EXT_mesh_gpu_instancing", "KHR_node_visibility"


def read_gltf(path: Path) -> list[dict]:
    """One dict of `join_parts` arrays for each primitive placed in the file's scene, Y up, in its own unit.

    Raises:
        DataError: the file needs what is not read (by name), or contradicts itself.
    """
    document = open_document(path)
    try:
        check_features(document)
        return list(read_parts(document))
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise DataError(
            "the glTF document contradicts itself", where=str(path), got=f"{type(error).__name__}: {error}"
        ) from error


def read_parts(document: Document) -> Iterator[dict]:
    """Parts of all nodes of the scene that carry a mesh."""
    world = world_matrices(document)
    materials, kept = MaterialReader(document), {}
    for number, node in placed_nodes(document):
        mesh = document.rows("meshes")[node["mesh"]]
        weights = tuple(node.get("weights", mesh.get("weights", ())))
        for k, primitive in enumerate(mesh["primitives"]):
            key = (node["mesh"], k, weights)
            if key not in kept:
                kept[key] = read_primitive(document, primitive, weights, materials)
            part = kept[key]
            if part is None:
                continue
            if "skin" in node and "joints" in part:
                yield place(skin_vertices(document, node["skin"], part, world), np.eye(4))
                continue
            for matrix in instance_matrices(document, node.get("extensions", {}).get(INSTANCING)):
                yield place(part, world[number] @ matrix)


def place(part: dict, matrix: np.ndarray) -> dict:
    """A part moved by a [4, 4] matrix; a mirror turns the triangles round, as the specification asks (3.7.4)."""
    linear = matrix[:3, :3]
    normals = part["normals"] @ cofactors(linear).T
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return part | {
        "vertices": part["vertices"] @ linear.T + matrix[:3, 3],
        "normals": normals / np.where(length > 0, length, 1.0),
        "faces": part["faces"][:, ::-1] if np.linalg.det(linear) < 0 else part["faces"],
    }


def placed_nodes(document: Document) -> Iterator[tuple[int, dict]]:
    """(number, row) of the visible nodes with a mesh that the file's scene reaches, each once, parents first."""
    nodes = document.rows("nodes")
    for number in scene_order(document):
        if "mesh" in nodes[number]:
            yield number, nodes[number]


def scene_order(document: Document) -> list[int]:
    """Numbers of the scene's visible nodes, parents first.

    Raises:
        DataError: a node is its own ancestor, or has two parents.
    """
    nodes, scenes = document.rows("nodes"), document.rows("scenes")
    children = {child for node in nodes for child in node.get("children", ())}
    if scenes:
        waiting = list(scenes[document.tree.get("scene", 0)].get("nodes", ()))
    else:
        waiting = [k for k in range(len(nodes)) if k not in children]
    order, seen = [], set()
    while waiting:
        number = waiting.pop()
        if number in seen:
            raise DataError("a node has two places in the scene", where=f"{document.path}, node {number}")
        seen.add(number)
        if not nodes[number].get("extensions", {}).get(VISIBILITY, {}).get("visible", True):
            continue
        order.append(number)
        waiting += nodes[number].get("children", ())
    return order


def world_matrices(document: Document) -> dict[int, np.ndarray]:
    """[4, 4] of every node, in the scene or not: joints may lie outside it."""
    nodes = document.rows("nodes")
    parents = {child: k for k, node in enumerate(nodes) for child in node.get("children", ())}
    world: dict[int, np.ndarray] = {}
    for number in range(len(nodes)):
        chain = [number]
        while chain[-1] in parents and chain[-1] not in world:
            chain.append(parents[chain[-1]])
            if len(chain) > len(nodes):
                raise DataError("a node is its own ancestor", where=f"{document.path}, node {number}")
        for k in reversed(chain):
            if k not in world:
                above = world[parents[k]] if k in parents else np.eye(4)
                world[k] = above @ node_matrix(nodes[k])
    return world


def read_primitive(document: Document, primitive: dict, weights: tuple, materials: MaterialReader) -> dict | None:
    """Arrays of a primitive in the mesh's own axes, morphed by `weights`; None where it has no triangles."""
    if "POSITION" not in primitive["attributes"]:
        return None
    arrays = Attributes(document, primitive)
    vertices = arrays.floats("POSITION")
    faces = arrays.faces(len(vertices))
    if not len(faces):
        return None
    normals = arrays.floats("NORMAL") if arrays.has("NORMAL") else np.zeros_like(vertices)
    for weight, target in zip(weights, primitive.get("targets", ())):
        if weight:
            vertices = (
                vertices + weight * read_floats(document, target["POSITION"]) if "POSITION" in target else vertices
            )
            if "NORMAL" in target and arrays.has("NORMAL"):
                normals = normals + weight * read_floats(document, target["NORMAL"])
    look: Look = materials.read(primitive.get("material"))
    part = {
        "vertices": vertices,
        "faces": faces,
        "normals": np.nan_to_num(normals),
        "material": look.material,
        "uv": read_uv(document, arrays, look.base, len(vertices)),
        "uv_glow": None if look.glow is None else read_uv(document, arrays, look.glow, len(vertices)),
        "colors": read_colors(document, arrays),
    }
    if arrays.has("JOINTS_0") and arrays.has("WEIGHTS_0"):
        sets = [k for k in range(8) if arrays.has(f"JOINTS_{k}") and arrays.has(f"WEIGHTS_{k}")]
        part["joints"] = np.concatenate([arrays.raw(f"JOINTS_{k}") for k in sets], axis=1).astype(np.int64)
        part["weights"] = np.concatenate([arrays.floats(f"WEIGHTS_{k}") for k in sets], axis=1)
    return part


def read_uv(document: Document, arrays: Attributes, where: Placed | None, count: int) -> np.ndarray:
    """[P, 2] texture coordinates, v up.

    Raises:
        DataError: the material has a texture and the primitive no coordinates for it.
    """
    if where is None:
        return np.zeros((count, 2))
    name = f"TEXCOORD_{where.texcoord}"
    if not arrays.has(name):
        raise no_coordinates(document, name)
    uv = np.nan_to_num(arrays.floats(name)[:, :2]) @ where.matrix[:, :2].T + where.matrix[:, 2]
    return np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1)


def no_coordinates(document: Document, name: str) -> DataError:
    """The refusal of a textured surface without the set `name`."""
    return DataError(
        "a textured surface has no texture coordinates",
        where=str(document.path),
        got=f"no {name}",
        likely="an export that lost them: it would show one texel's colour",
    )


def read_colors(document: Document, arrays: Attributes) -> np.ndarray | None:
    """[P, 4] linear vertex colours; None where there are none."""
    if not arrays.has("COLOR_0"):
        return None
    colors = arrays.floats("COLOR_0")
    if colors.max(initial=0) > 255:
        raise DataError("vertex colours are integers that are not marked as normalised", where=str(document.path))
    if colors.shape[1] == 3:
        colors = np.concatenate([colors, np.ones((len(colors), 1))], axis=1)
    return np.clip(np.nan_to_num(colors), 0, 1)
