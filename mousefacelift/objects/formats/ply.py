"""PLY files as mesh parts: any property types, polygons or strips, colours of vertices or of faces, coordinates of a
texture.

Part of the objects stage, read by plyfile. Colours are sRGB, integers out of their type's largest value. Files name
their texture in a comment `TextureFile`; coordinates stand at vertices (s t, u v) or at faces (texcoord, MeshLab).
"""

from pathlib import Path

import numpy as np
from plyfile import PlyData, PlyParseError

from mousefacelift.errors import DataError
from mousefacelift.objects.formats.document import find_file
from mousefacelift.objects.formats.obj import srgb_to_linear
from mousefacelift.objects.formats.pictures import decode_picture
from mousefacelift.objects.formats.polygons import split_polygons
from mousefacelift.objects.mesh import Material

INDEX_NAMES = ("vertex_indices", "vertex_index")
UV_NAMES = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"))


def read_ply(path: Path) -> list[dict]:
    """The file's one surface as `join_parts` arrays in the file's axes; empty where it holds points only.

    Raises:
        DataError: unreadable, or faces name vertices that are not there.
    """
    try:
        data = PlyData.read(str(path))
    except (PlyParseError, ValueError, EOFError) as error:
        raise DataError("the file cannot be read as a mesh", where=str(path), got=str(error)) from error
    elements = {element.name: element for element in data.elements}
    if "vertex" not in elements:
        raise DataError("a PLY form that is not read", where=str(path), got=", ".join(elements))
    points, surface = elements["vertex"].data, elements.get("face", elements.get("tristrips"))
    index = next((n for n in INDEX_NAMES if surface is not None and n in surface.data.dtype.names), None)
    if index is None or not len(surface.data):
        return []
    polygons = [np.asarray(row) for row in surface.data[index]]
    if surface.name == "tristrips":
        polygons = cut_strips(polygons)
    if not len(polygons):
        return []
    sizes = np.array([len(row) for row in polygons])
    corners = np.concatenate(polygons).astype(np.int64)
    if corners.min(initial=0) < 0 or corners.max(initial=0) >= len(points):
        raise DataError("faces name vertices that are not there", where=str(path), got=int(corners.max()))
    vertices = np.stack([points[axis] for axis in "xyz"], -1).astype(np.float64)
    rows, owner = split_polygons(sizes, np.arange(len(sizes)), vertices[corners])
    faces = corners[rows]
    part = {
        "vertices": vertices,
        "faces": faces,
        "normals": np.zeros_like(vertices),
        "uv": np.zeros((len(vertices), 2)),
    }
    if all(name in points.dtype.names for name in ("nx", "ny", "nz")):
        part["normals"] = np.nan_to_num(np.stack([points[f"n{axis}"] for axis in "xyz"], -1).astype(np.float64))
    part["colors"], texture = read_colors(points), read_texture(data, path)
    if texture is not None or part["colors"] is None:
        part = split_corners(part, rows, corners, owner, surface.data, points, texture is not None)
    return [part | {"material": Material(texture=texture)}]


def cut_strips(rows: list[np.ndarray]) -> list[np.ndarray]:
    """Triangles of Stanford's strips: -1 ends one, every second triangle is turned round, repeated numbers turn
    corners and have no area."""
    triangles = [np.zeros((0, 3), np.int64)]
    for row in rows:
        for strip in np.split(row, np.flatnonzero(row < 0)):
            strip = strip[strip >= 0]
            first = np.arange(max(0, len(strip) - 2))
            odd = first % 2
            found = strip[np.stack([first, first + 1 + odd, first + 2 - odd], -1)]
            a, b, c = found.T
            triangles.append(found[(a != b) & (b != c) & (c != a)])
    return list(np.concatenate(triangles))


def split_corners(part, rows, corners, owner, surface, points, textured: bool) -> dict:
    """A part with vertices of their own for each face, where colours or coordinates belong to faces."""
    tint = read_colors(surface)
    uv = read_uv(points)
    uv = uv[corners[rows]].reshape(-1, 2) if uv is not None else None
    if uv is None and textured:
        if "texcoord" not in surface.dtype.names:
            raise DataError("a textured surface has no texture coordinates", likely="an export that lost them")
        uv = np.concatenate([np.asarray(row, np.float64) for row in surface["texcoord"]]).reshape(-1, 2)[rows]
        uv = uv.reshape(-1, 2)
    if tint is None and uv is None:
        return part
    flat = part["faces"].reshape(-1)
    colors = part["colors"][flat] if part["colors"] is not None else None
    return {
        "vertices": part["vertices"][flat],
        "faces": np.arange(len(flat)).reshape(-1, 3),
        "normals": part["normals"][flat],
        "uv": np.zeros((len(flat), 2)) if uv is None else np.nan_to_num(uv),
        "colors": np.repeat(tint[owner], 3, axis=0) if tint is not None else colors,
    }


def read_colors(table: np.ndarray) -> np.ndarray | None:
    """[n, 4] linear colours of vertices or faces; None where there are none."""
    names = table.dtype.names
    channels = [
        n for n in (("red", "green", "blue"), ("diffuse_red", "diffuse_green", "diffuse_blue")) if n[0] in names
    ]
    if not channels:
        return None
    columns = [table[name] for name in (*channels[0], *(("alpha",) if "alpha" in names else ()))]
    scaled = np.stack([c / (1.0 if c.dtype.kind == "f" else float(np.iinfo(c.dtype).max)) for c in columns], -1)
    scaled = np.clip(np.nan_to_num(scaled), 0, 1)
    alpha = scaled[:, 3:] if scaled.shape[1] == 4 else np.ones((len(scaled), 1))
    return np.concatenate([srgb_to_linear(scaled[:, :3]), alpha], axis=1)


def read_uv(points: np.ndarray) -> np.ndarray | None:
    """[P, 2] coordinates at vertices; None where there are none."""
    for pair in UV_NAMES:
        if all(name in points.dtype.names for name in pair):
            return np.stack([points[name] for name in pair], -1).astype(np.float64)
    return None


def read_texture(data: PlyData, path: Path) -> np.ndarray | None:
    """The picture that a `comment TextureFile` names; None without one."""
    names = [c.split(maxsplit=1)[1] for c in data.comments if c.lower().startswith("texturefile ")]
    return None if not names else decode_picture(find_file(names[0].strip(), path).read_bytes(), f"{path}, {names[0]}")
