"""A mesh as the few flat arrays that compiled code reads, and its textures as one mip-mapped pyramid.

Part of the objects stage. `pack_surface` makes a `Surface` of a `Mesh`; the samplers decode sRGB, filter bilinearly and
repeat, clamp or mirror outside [0, 1]. Compiled functions take these arrays one by one: reading them out of a tuple for
every sample would cost more than the shading.
"""

import math
from typing import NamedTuple

import numba
import numpy as np

from mousefacelift.core.compiled import compiled
from mousefacelift.objects.mesh import BLEND, CLAMP, MIRROR, OPAQUE, Mesh

SRGB_TO_LINEAR = np.array(
    [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in np.arange(256) / 255.0], np.float32
)
DECODED = SRGB_TO_LINEAR.astype(np.float64)  # for the kernel, which computes in float64
# columns of Surface.corners: 0-2 position, 3-5 normal, 6-7 uv; then, where the mesh has them, 8-11 linear colour and
# 12-13 uv of emission
PLAIN, COLOURED, GLOWING = 8, 12, 14
# columns of Surface.materials: 0-3 base, 4-6 emission, then:
BASE_TEXTURE, GLOW_TEXTURE, MODE, CUTOFF, WRAP_U, WRAP_V, GLOW_WRAP_U, GLOW_WRAP_V = 7, 8, 9, 10, 11, 12, 13, 14
SHARP, GLOW_SHARP, TWO_SIDED, UNLIT = 15, 16, 17, 18
# How the rasteriser's inner functions are compiled. They own no memory: without reference counting (`_nrt`) a call that
# passes twenty arrays costs nothing, with it two atomic operations per array and call, half of all rendering time.
KERNEL = {
    "nogil": True,
    "error_model": "numpy",
    "_nrt": False,
    "fastmath": {"contract", "arcp", "nsz"},
    "no_cfunc_wrapper": True,
}
INNER = KERNEL | {"no_cpython_wrapper": True}  # what kernels alone call
FARTHEST_UV = 1e6  # float32 coordinates beyond this no longer tell texels apart


class Surface(NamedTuple):
    """Everything about a mesh but where its vertices are on the screen.

    Attributes:
        vertices: [P, 3] float64, for projection.
        faces: [F, 4] int32: three vertices and the material.
        corners: [P, PLAIN, COLOURED or GLOWING] float32: position, normal, uv; linear vertex colour; the coordinates
            of emissive textures where a mesh has them apart (then colours are there too, white if it has none).
        materials: [M, 19] float32, columns above; texture columns hold the first level in `levels`, -1 = none.
        texels: [K, 4] uint8 sRGB, all levels of all textures.
        levels: [L, 4] int64: offset in `texels`, width, height, levels that follow in the same pyramid.
    """

    vertices: np.ndarray
    faces: np.ndarray
    corners: np.ndarray
    materials: np.ndarray
    texels: np.ndarray
    levels: np.ndarray

    @property
    def has_blend(self) -> bool:
        return bool((self.materials[:, MODE] == BLEND).any())


def pack_surface(mesh: Mesh) -> Surface:
    """Flat arrays of a mesh; a texture shared by materials is stored once."""
    pictures = [p for m in mesh.materials for p in ((m.texture, m.alpha_mode != OPAQUE), (m.emissive_texture, False))]
    texels, levels, first_level = pack_textures([picture for picture in pictures if picture[0] is not None])
    first = [first_level.get((id(texture), weighs), -1) for texture, weighs in pictures]
    materials = [
        (
            *m.base,
            *m.emissive,
            base_level,
            glow_level,
            m.alpha_mode,
            m.cutoff,
            *m.wrap,
            *m.glow_wrap,
            *m.sharp,
            m.double_sided,
            m.unlit,
        )
        for m, base_level, glow_level in zip(mesh.materials, first[::2], first[1::2])
    ]
    columns = PLAIN if mesh.colors is None else COLOURED
    corners = np.ones((len(mesh.vertices), columns if mesh.uv_glow is None else GLOWING), np.float32)
    corners[:, 0:3], corners[:, 3:6] = mesh.vertices, mesh.normals
    corners[:, 6:8] = np.clip(np.nan_to_num(mesh.uv), -FARTHEST_UV, FARTHEST_UV)
    if mesh.colors is not None:
        corners[:, 8:12] = mesh.colors
    if mesh.uv_glow is not None:
        corners[:, 12:14] = np.clip(np.nan_to_num(mesh.uv_glow), -FARTHEST_UV, FARTHEST_UV)
    faces = np.concatenate([mesh.faces, mesh.face_material[:, None]], axis=1).astype(np.int32)
    return Surface(mesh.vertices, faces, corners, np.array(materials, np.float32), texels, levels)


def pack_textures(
    pictures: list[tuple[np.ndarray, bool]],
) -> tuple[np.ndarray, np.ndarray, dict[tuple[int, bool], int]]:
    """`texels` and `levels` of a `Surface`, and the first level of each picture by its id() and whether its alpha
    counts: without, a hidden texel is as good as any other."""
    texels, levels, first_level, offset = [np.zeros((1, 4), np.uint8)], [], {}, 1
    for texture, weighs in pictures:
        if (id(texture), weighs) in first_level:
            continue
        first_level[id(texture), weighs] = len(levels)
        pyramid = build_pyramid(texture if weighs else with_full_alpha(texture))
        for k, level in enumerate(pyramid):
            levels.append((offset, level.shape[1], level.shape[0], len(pyramid) - 1 - k))
            texels.append(level.reshape(-1, 4))
            offset += level.shape[0] * level.shape[1]
    return np.concatenate(texels), np.array(levels, np.int64).reshape(-1, 4), first_level


def with_full_alpha(texture: np.ndarray) -> np.ndarray:
    """The texture, opaque everywhere."""
    if (texture[..., 3] == 255).all():
        return texture
    texture = texture.copy()
    texture[..., 3] = 255
    return texture


def build_pyramid(texture: np.ndarray) -> list[np.ndarray]:
    """[h, w, 4] uint8 and its halvings, down to one texel across."""
    levels = [np.ascontiguousarray(texture)]
    while min(levels[-1].shape[:2]) > 1:
        levels.append(halve_texture(levels[-1], SRGB_TO_LINEAR, LINEAR_TO_SRGB))
    return levels


@compiled(error_model="numpy")
def halve_texture(fine, decode, encode):
    """The next mip level: 2 x 2 means of alpha-weighted linear colour, so that hidden texels do not bleed in."""
    height, width = max(1, fine.shape[0] // 2), max(1, fine.shape[1] // 2)
    coarse = np.empty((height, width, 4), np.uint8)
    for j in range(height):
        for i in range(width):
            alpha = 0.0
            for channel in range(3):
                total, plain, alpha = 0.0, 0.0, 0.0
                for corner in range(4):
                    row = min(2 * j + (corner >> 1), fine.shape[0] - 1)
                    column = min(2 * i + (corner & 1), fine.shape[1] - 1)
                    value = decode[fine[row, column, channel]]
                    total += value * fine[row, column, 3]
                    plain += value
                    alpha += fine[row, column, 3]
                linear = total / alpha if alpha > 0.0 else plain / 4.0
                coarse[j, i, channel] = encode[int(linear * (encode.shape[0] - 1) + 0.5)]
            coarse[j, i, 3] = np.uint8(alpha / 4.0 + 0.5)
    return coarse


@compiled(error_model="numpy")
def encode_srgb(linear):
    """sRGB in [0, 1] of a linear value, clipped."""
    if linear <= 0.0:
        return 0.0
    if linear >= 1.0:
        return 1.0
    if linear <= 0.0031308:
        return 12.92 * linear
    return 1.055 * linear ** (1.0 / 2.4) - 0.055


STEPS = 4096
ENCODED = np.array([encode_srgb(k / STEPS) for k in range(STEPS + 2)])


@numba.njit(**INNER)
def look_up_srgb(linear):
    """`encode_srgb` from a table, within 3e-5: a power costs more than all the rest of a pixel's end."""
    if linear <= 0.0031308:
        return 12.92 * max(linear, 0.0)
    place = min(linear, 1.0) * STEPS
    k = int(place)
    return ENCODED[k] + (place - k) * (ENCODED[k + 1] - ENCODED[k])


LINEAR_TO_SRGB = np.array([round(encode_srgb(k / 16383.0) * 255) for k in range(16384)], np.uint8)


@numba.njit(**INNER)
def wrap_texel(k, count, mode):
    """Texel number in [0, count) that is seen at number k of an endless row."""
    if 0 <= k < count:
        return k
    if mode == CLAMP:
        return 0 if k < 0 else count - 1
    if mode == MIRROR:
        k %= 2 * count
        return k if k < count else 2 * count - 1 - k
    return k % count


@numba.njit(**INNER)
def find_texels(levels, level, u, v, wrap_u, wrap_v):
    """The four texels of a level around (u, v), left and right of the upper row and of the lower, and their weights."""
    offset, width, height = levels[level, 0], levels[level, 1], levels[level, 2]
    x, y = u * width - 0.5, (1.0 - v) * height - 0.5
    left, top = int(math.floor(x)), int(math.floor(y))
    fx, fy = x - left, y - top
    right, bottom = wrap_texel(left + 1, width, wrap_u), wrap_texel(top + 1, height, wrap_v)
    left, top = wrap_texel(left, width, wrap_u), wrap_texel(top, height, wrap_v)
    a, b = np.uint64(offset + top * width + left), np.uint64(offset + top * width + right)
    c, d = np.uint64(offset + bottom * width + left), np.uint64(offset + bottom * width + right)
    return a, b, c, d, (1.0 - fx) * (1.0 - fy), fx * (1.0 - fy), (1.0 - fx) * fy, fx * fy


@numba.njit(**INNER)
def find_texel(levels, level, u, v, wrap_u, wrap_v):
    """The one texel of a level that holds (u, v)."""
    offset, width, height = levels[level, 0], levels[level, 1], levels[level, 2]
    column = wrap_texel(int(math.floor(u * width)), width, wrap_u)
    row = wrap_texel(int(math.floor((1.0 - v) * height)), height, wrap_v)
    return np.uint64(offset + row * width + column)


@numba.njit(**INNER)
def fetch_color(texels, levels, first, level, u, v, wrap_u, wrap_v, sharp):
    """Linear RGB at (u, v) of the pyramid at `first`: bilinear, or one texel where `sharp` ones are seen magnified."""
    if sharp and level == first:
        a = find_texel(levels, level, u, v, wrap_u, wrap_v)
        return DECODED[texels[a, 0]], DECODED[texels[a, 1]], DECODED[texels[a, 2]]
    a, b, c, d, wa, wb, wc, wd = find_texels(levels, level, u, v, wrap_u, wrap_v)
    return (
        wa * DECODED[texels[a, 0]]
        + wb * DECODED[texels[b, 0]]
        + wc * DECODED[texels[c, 0]]
        + wd * DECODED[texels[d, 0]],
        wa * DECODED[texels[a, 1]]
        + wb * DECODED[texels[b, 1]]
        + wc * DECODED[texels[c, 1]]
        + wd * DECODED[texels[d, 1]],
        wa * DECODED[texels[a, 2]]
        + wb * DECODED[texels[b, 2]]
        + wc * DECODED[texels[c, 2]]
        + wd * DECODED[texels[d, 2]],
    )


@numba.njit(**INNER)
def fetch_alpha(texels, levels, first, level, u, v, wrap_u, wrap_v, sharp):
    """Alpha at (u, v), as `fetch_color`."""
    if sharp and level == first:
        return texels[find_texel(levels, level, u, v, wrap_u, wrap_v), 3] / 255.0
    a, b, c, d, wa, wb, wc, wd = find_texels(levels, level, u, v, wrap_u, wrap_v)
    return (wa * texels[a, 3] + wb * texels[b, 3] + wc * texels[c, 3] + wd * texels[d, 3]) / 255.0


@numba.njit(**INNER)
def choose_level(levels, first, uv_area, sample_area):
    """The level of the pyramid at `first` whose texels are about as large as a sample (areas of one face)."""
    texels_per_sample = uv_area * levels[first, 1] * levels[first, 2] / max(sample_area, 1e-12)
    if texels_per_sample <= 1.0:
        return first
    return first + min(levels[first, 3], int(0.5 * math.log2(texels_per_sample) + 0.5))


@numba.njit(**INNER)
def sample_alpha(faces, corners, materials, texels, levels, f, w0, w1, w2):
    """Alpha of face f at perspective-correct weights: factor x vertex colour x finest texture level."""
    a, b, c, m = faces[f, 0], faces[f, 1], faces[f, 2], faces[f, 3]
    alpha = materials[m, 3]
    if corners.shape[1] >= COLOURED:
        alpha *= w0 * corners[a, 11] + w1 * corners[b, 11] + w2 * corners[c, 11]
    first = int(materials[m, BASE_TEXTURE])
    if first >= 0:
        u = w0 * corners[a, 6] + w1 * corners[b, 6] + w2 * corners[c, 6]
        v = w0 * corners[a, 7] + w1 * corners[b, 7] + w2 * corners[c, 7]
        wrap_u, wrap_v, sharp = int(materials[m, WRAP_U]), int(materials[m, WRAP_V]), materials[m, SHARP] > 0.0
        alpha *= fetch_alpha(texels, levels, first, first, u, v, wrap_u, wrap_v, sharp)
    return alpha
