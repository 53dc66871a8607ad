"""The mesh that every loader fills and every renderer reads: plain arrays, one table of materials.

Part of the objects stage. Loaders (load, procedural, sequence) return a `Mesh`; `normalise` puts it where the
reconstructor expects an object: inside the unit sphere at the origin of a Z-up world.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from mousefacelift.core.similarity import Similarity
from mousefacelift.errors import DataError

OPAQUE, MASK, BLEND = 0, 1, 2
ALPHA_MODES = {"OPAQUE": OPAQUE, "MASK": MASK, "BLEND": BLEND}
REPEAT, CLAMP, MIRROR = 0, 1, 2


@dataclass(frozen=True)
class Material:
    """One glTF-like surface: linear factors times sRGB textures.

    Attributes:
        base: RGBA factor, linear, [0, 1].
        texture: [h, w, 4] uint8 sRGB + alpha, row 0 at the top, or None.
        emissive: RGB factor, linear, 0 and up.
        emissive_texture: [h, w, 4] uint8 sRGB, or None (then the factor alone emits).
        alpha_mode: OPAQUE ignores alpha, MASK cuts at `cutoff`, BLEND mixes.
        wrap, glow_wrap: what lies outside [0, 1] along u and v of each texture: REPEAT, CLAMP or MIRROR.
        sharp: magnified texels of the texture and of the emissive one stay squares (NEAREST) instead of blending.
        double_sided: False hides faces seen from behind, as the format asks of a glTF material that does not say
            otherwise; every other source of meshes has no such word and is drawn from both sides.
        unlit: the base colour is shown as it is, without light or emission.
    """

    base: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    texture: np.ndarray | None = None
    emissive: tuple[float, float, float] = (0.0, 0.0, 0.0)
    emissive_texture: np.ndarray | None = None
    alpha_mode: int = OPAQUE
    cutoff: float = 0.5
    wrap: tuple[int, int] = (REPEAT, REPEAT)
    glow_wrap: tuple[int, int] = (REPEAT, REPEAT)
    sharp: tuple[bool, bool] = (False, False)
    double_sided: bool = True
    unlit: bool = False


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh in a Z-up world.

    Attributes:
        vertices: [P, 3] float64.
        faces: [F, 3] int32.
        normals: [P, 3] float32 shading normals; a zero row asks for the flat normal of each face.
        uv: [P, 2] float32, v up (row 0 of a texture is v = 1); outside [0, 1] the material's `wrap` says what is seen.
        uv_glow: [P, 2] float32 of the emissive textures, or None where they share `uv`.
        colors: [P, 4] float32 linear vertex colours, multiplied in; or None.
        face_material: [F] int32 into `materials`.
        materials: at least one.
        meta: what the loader knows: file, family, counts.
        placement: how the mesh was moved since it was loaded.
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    colors: np.ndarray | None
    face_material: np.ndarray
    materials: tuple[Material, ...] = (Material(),)
    meta: dict = field(default_factory=dict)
    placement: Similarity = field(default_factory=Similarity)
    uv_glow: np.ndarray | None = None

    @property
    def used_vertices(self) -> np.ndarray:
        """[K, 3] vertices that some face uses: an unused stray point must not move the object."""
        used = np.zeros(len(self.vertices), bool)
        used[self.faces.reshape(-1)] = True
        return self.vertices[used]


def make_mesh(
    vertices, faces, *, normals=None, uv=None, colors=None, face_material=None, materials=(Material(),), meta=None
):
    """A `Mesh` from loose arrays: types fixed, absent attributes filled, smooth normals where none are given.

    Args:
        vertices: [P, 3]. faces: [F, 3]. The rest as in `Mesh`; `normals="flat"` asks for flat shading.
    """
    vertices = np.ascontiguousarray(vertices, np.float64)
    faces = np.ascontiguousarray(faces, np.int32)
    if isinstance(normals, str):
        if normals != "flat":
            raise ValueError(f"normals is an array, None (smooth) or 'flat', not {normals!r}")
        normals = np.zeros_like(vertices)
    elif normals is None:
        normals = smooth_normals(vertices, faces)
    count = len(vertices)
    return Mesh(
        vertices=vertices,
        faces=faces,
        normals=np.ascontiguousarray(normals, np.float32),
        uv=np.ascontiguousarray(np.zeros((count, 2)) if uv is None else uv, np.float32),
        colors=None if colors is None else np.ascontiguousarray(colors, np.float32),
        face_material=np.ascontiguousarray(np.zeros(len(faces)) if face_material is None else face_material, np.int32),
        materials=tuple(materials),
        meta=dict(meta or {}),
    )


def join_parts(parts: list[dict], rotation: np.ndarray) -> Mesh:
    """One mesh of all parts, turned by `rotation`; a part without vertex colours counts as white.

    Args:
        parts: dicts with vertices, faces, normals, uv, colors (or None), one `Material` under "material" and, where
            emission has coordinates of its own, uv_glow. Parts that share a material object share its number.
        rotation: [3, 3].
    """
    offsets = np.cumsum([0] + [len(part["vertices"]) for part in parts])
    colors = uv_glow = None
    if any(part["colors"] is not None for part in parts):
        colors = np.concatenate(
            [np.ones((len(p["vertices"]), 4)) if p["colors"] is None else p["colors"] for p in parts]
        )
    if any(part.get("uv_glow") is not None for part in parts):
        uv_glow = np.concatenate([p["uv"] if p.get("uv_glow") is None else p["uv_glow"] for p in parts])
    materials = {id(part["material"]): part["material"] for part in parts}
    numbers = {key: k for k, key in enumerate(materials)}
    mesh = make_mesh(
        np.concatenate([part["vertices"] for part in parts]) @ rotation.T,
        np.concatenate([part["faces"] + offset for part, offset in zip(parts, offsets)]),
        normals=np.concatenate([part["normals"] for part in parts]) @ rotation.T,
        uv=np.concatenate([part["uv"] for part in parts]),
        colors=colors,
        face_material=np.repeat(
            [numbers[id(part["material"])] for part in parts], [len(part["faces"]) for part in parts]
        ),
        materials=list(materials.values()),
        meta={"parts": len(parts)},
    )
    return mesh if uv_glow is None else replace(mesh, uv_glow=np.ascontiguousarray(uv_glow, np.float32))


def smooth_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """[P, 3] float32 area-weighted vertex normals; vertices at one place share a normal (UV seams stay smooth)."""
    corners = vertices[faces]
    area_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    extent = float(np.ptp(vertices, axis=0).max()) if len(vertices) else 0.0
    grid = np.round(vertices / max(extent * 1e-7, 1e-300)).astype(np.int64)
    _, place = np.unique(grid, axis=0, return_inverse=True)
    place = place.reshape(-1)
    sums = np.zeros((int(place.max()) + 1 if len(place) else 0, 3))
    for axis in range(3):
        sums[:, axis] = np.bincount(
            place[faces].reshape(-1), weights=np.repeat(area_normals[:, axis], 3), minlength=len(sums)
        )
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    return (sums / np.where(length > 0, length, 1.0))[place].astype(np.float32)


def check_mesh(mesh: Mesh, where: str) -> None:
    """Refuse a mesh that no renderer can draw honestly.

    Raises:
        DataError: no faces, an index out of range, a vertex that is not finite, or no area at all.
    """
    if len(mesh.faces) == 0:
        raise DataError(
            "the asset has no triangles",
            where=where,
            got=f"{len(mesh.vertices)} vertices, 0 faces",
            likely="an animation, a camera or a point cloud without a surface",
        )
    low, high = int(mesh.faces.min()), int(mesh.faces.max())
    if low < 0 or high >= len(mesh.vertices):
        raise DataError(
            "a face names a vertex that does not exist",
            where=where,
            got=f"indices {low}..{high}",
            expected=f"0..{len(mesh.vertices) - 1}",
        )
    used = mesh.used_vertices
    bad = int((~np.isfinite(used).all(axis=1)).sum())
    if bad:
        raise DataError("vertices are not finite", where=where, got=f"{bad} of {len(used)} are NaN or infinite")
    corners = mesh.vertices[mesh.faces] - used.mean(axis=0)
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    extent = float(np.ptp(used, axis=0).max())
    if not extent > 0 or not areas.sum() > 1e-9 * extent**2:
        raise DataError("the surface has no area", where=where, got=f"extent {extent:g}, area {areas.sum():g}")


def unit_sphere(points: np.ndarray, radius: float = 1.0) -> Similarity:
    """Similarity that puts the middle of the points' bounds at the origin and the farthest point at `radius`.

    Real points are used, never the corners of per-part bounding boxes: those shift a scene by pixels.

    Args:
        points: [P, 3], finite, not all in one place.
    """
    center = (points.min(axis=0) + points.max(axis=0)) / 2
    farthest = float(np.linalg.norm(points - center, axis=1).max())
    scale = radius / farthest
    return Similarity(scale, np.eye(3), -scale * center)


def transform_mesh(mesh: Mesh, similarity: Similarity) -> Mesh:
    """The mesh moved by `similarity`; normals turn with it."""
    return replace(
        mesh,
        vertices=np.ascontiguousarray(similarity.apply(mesh.vertices), np.float64),
        normals=np.ascontiguousarray(mesh.normals @ similarity.rotation.T, np.float32),
        placement=mesh.placement.then(similarity),
    )


def normalise(mesh: Mesh, radius: float = 1.0) -> tuple[Mesh, Similarity]:
    """The mesh inside the sphere of `radius` at the origin, and the similarity that put it there."""
    similarity = unit_sphere(mesh.used_vertices, radius)
    return transform_mesh(mesh, similarity), similarity
