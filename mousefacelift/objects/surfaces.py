"""Building blocks of procedural meshes: parametric sheets, implicit solids, boxes and prisms, as mesh parts.

Part of the objects stage. A part is the dict that `join_parts` takes. Sheets carry a texture image painted by a solid
pattern at the true position of every texel; implicit solids carry vertex colours.
"""

from collections.abc import Callable

import numpy as np

from mousefacelift.objects.mesh import OPAQUE, Material, smooth_normals
from mousefacelift.objects.patterns import Pattern
from mousefacelift.objects.texture import LINEAR_TO_SRGB

Shape = Callable[[np.ndarray, np.ndarray], np.ndarray]  # u, v in [0, 1] -> points [..., 3]


def sheet(
    shape: Shape, pattern: Pattern, rows: int, columns: int, size: int = 256, alpha=None, mode: int = OPAQUE
) -> dict:
    """A parametric surface with its painted texture.

    Args:
        shape: points of (u, v); u runs along columns, v along rows.
        pattern: colour at a point.
        size: texture is size x size texels.
        alpha: None, or function (u, v) -> [0, 1] for the texture's alpha.
        mode: OPAQUE, MASK or BLEND.
    """
    u, v = np.meshgrid(np.linspace(0, 1, columns + 1), np.linspace(0, 1, rows + 1))
    vertices = shape(u, v).reshape(-1, 3)
    faces = grid_faces(rows, columns)
    middle = (np.arange(size) + 0.5) / size
    texel_u, texel_v = np.meshgrid(middle, 1 - middle)
    texture = np.full((size, size, 4), 255, np.uint8)
    texture[..., :3] = encode(pattern(shape(texel_u, texel_v)))
    if alpha is not None:
        texture[..., 3] = np.rint(np.clip(alpha(texel_u, texel_v), 0, 1) * 255)
    return {
        "vertices": vertices,
        "faces": faces,
        "normals": smooth_normals(vertices, faces),
        "uv": np.stack([u, v], -1).reshape(-1, 2),
        "colors": None,
        "material": Material(base=(1.0, 1.0, 1.0, 1.0), texture=texture, alpha_mode=mode),
    }


def encode(linear: np.ndarray) -> np.ndarray:
    """uint8 sRGB of linear colours."""
    return LINEAR_TO_SRGB[np.rint(np.clip(linear, 0, 1) * (len(LINEAR_TO_SRGB) - 1)).astype(int)]


def grid_faces(rows: int, columns: int) -> np.ndarray:
    """[2 rows columns, 3] triangles of a grid of (rows + 1) x (columns + 1) vertices, row after row."""
    first = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).reshape(-1)
    lower = np.stack([first, first + 1, first + columns + 2], -1)
    upper = np.stack([first, first + columns + 2, first + columns + 1], -1)
    return np.concatenate([lower, upper])


def painted(vertices: np.ndarray, faces: np.ndarray, pattern: Pattern, flat: bool = False) -> dict:
    """A part with vertex colours; `flat` gives every face its own normal (and its own vertices)."""
    if flat:
        vertices, faces = vertices[faces].reshape(-1, 3), np.arange(faces.size).reshape(-1, 3)
    normals = np.zeros_like(vertices) if flat else smooth_normals(vertices, faces)
    colors = np.concatenate([pattern(vertices), np.ones((len(vertices), 1))], axis=1)
    return {
        "vertices": vertices,
        "faces": faces,
        "normals": normals,
        "uv": np.zeros((len(vertices), 2)),
        "colors": colors,
        "material": Material(base=(1.0, 1.0, 1.0, 1.0)),
    }


def box(center, half, pattern: Pattern, steps: int = 12) -> dict:
    """An axis-parallel box with sharp edges, its sides divided finely enough to carry a pattern."""
    center, half = np.asarray(center, np.float64), np.asarray(half, np.float64)
    s, t = np.meshgrid(np.linspace(-1, 1, steps + 1), np.linspace(-1, 1, steps + 1))
    vertices, normals = [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            points = np.empty((s.size, 3))
            points[:, axis] = sign
            points[:, (axis + 1) % 3], points[:, (axis + 2) % 3] = sign * s.reshape(-1), t.reshape(-1)
            vertices.append(points * half + center)
            normals.append(np.tile(sign * np.eye(3)[axis], (s.size, 1)))
    faces = np.concatenate([grid_faces(steps, steps) + k * s.size for k in range(6)])
    part = painted(np.concatenate(vertices), faces, pattern)
    return part | {"normals": np.concatenate(normals)}


def tube(path: Callable, radius, pattern: Pattern, rows: int, columns: int = 24, size: int = 256) -> dict:
    """A round tube along path(t), t in [0, 1]; `radius` is a number or a function of t."""

    def shape(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        step = 1e-3
        tangent = path(v + step) - path(v - step)
        tangent /= np.linalg.norm(tangent, axis=-1, keepdims=True)
        side = np.cross(tangent, [0.123, 0.456, 0.881])
        side /= np.linalg.norm(side, axis=-1, keepdims=True)
        other = np.cross(tangent, side)
        width = np.asarray(radius(v) if callable(radius) else radius)[..., None]
        angle = (2 * np.pi * u)[..., None]
        return path(v) + width * (np.cos(angle) * side + np.sin(angle) * other)

    return sheet(shape, pattern, rows, columns, size)


def implicit(
    field: Callable[[np.ndarray], np.ndarray], pattern: Pattern, resolution: int = 56, extent: float = 1.05
) -> dict:
    """The zero surface of a field (negative inside) in the cube [-extent, extent]^3, closed at the cube's walls."""
    axis = np.linspace(-extent, extent, resolution)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    values = np.asarray(field(points.reshape(-1, 3))).reshape(points.shape[:3])
    for side in (0, -1):
        values[side], values[:, side], values[:, :, side] = 1.0, 1.0, 1.0
    vertices, faces = surface_nets(values)
    return painted(vertices * (2 * extent / (resolution - 1)) - extent, faces, pattern)


def surface_nets(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (in grid steps) and faces of the zero surface of a grid [X, Y, Z], negative inside (Gibson 1998).

    One vertex per cell that the surface crosses, at the mean of its edge crossings; one quad per crossed grid edge.
    """
    inside = values < 0
    shape = np.array(values.shape) - 1
    sums, counts = np.zeros((*shape, 3)), np.zeros(shape)
    quads = []
    number = np.arange(shape.prod()).reshape(shape)
    for axis in range(3):
        low = [slice(None)] * 3
        high = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        a, b = values[tuple(low)], values[tuple(high)]
        edges = np.argwhere(inside[tuple(low)] != inside[tuple(high)])
        first, second = a[tuple(edges.T)], b[tuple(edges.T)]
        crossing = edges.astype(np.float64)
        crossing[:, axis] += first / (first - second)
        s, t = (axis + 1) % 3, (axis + 2) % 3
        around = []
        for ds, dt in ((-1, -1), (0, -1), (0, 0), (-1, 0)):
            cell = edges.copy()
            cell[:, s] += ds
            cell[:, t] += dt
            inner = ((cell >= 0) & (cell < shape)).all(axis=1)
            np.add.at(sums, tuple(cell[inner].T), crossing[inner])
            np.add.at(counts, tuple(cell[inner].T), 1)
            around.append(np.where(inner, number[tuple(np.clip(cell, 0, shape - 1).T)], -1))
        quad = np.stack(around, -1)
        quad[first > 0] = quad[first > 0][:, ::-1]
        quads.append(quad[(quad >= 0).all(axis=1)])
    quads = np.concatenate(quads)
    used, faces = np.unique(quads, return_inverse=True)
    faces = faces.reshape(-1, 4)
    vertices = sums.reshape(-1, 3)[used] / counts.reshape(-1)[used][:, None]
    return vertices, np.concatenate([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]])
