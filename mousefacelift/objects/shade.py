"""Colour of the visible samples, and their average per pixel, compiled.

Part of the objects stage. Linear light throughout: base colour (factor x texture x vertex colour) times lamps and
ambient, translucent layers over it, S x S samples averaged premultiplied, divided by alpha, then encoded to sRGB.
These functions are compiled into the kernel of render.py, which alone is cached.
"""

import math

import numba
import numpy as np

from mousefacelift.objects.mesh import BLEND
from mousefacelift.objects.raster import LAYERS
from mousefacelift.objects.texture import (
    BASE_TEXTURE,
    GLOW_TEXTURE,
    MODE,
    WRAP_U,
    WRAP_V,
    choose_level,
    encode_srgb,
    fetch_bilinear,
)


@numba.njit(nogil=True, error_model="numpy")
def light_at(light, x, y, z):
    """Light that a white matt surface with normal (x, y, z) returns, per channel; rows of light: 9 ambient, then lamps
    in pairs."""
    xy, yz, xz, z2, x2 = x * y, y * z, x * z, 3.0 * z * z - 1.0, x * x - y * y
    red = max(
        0.0,
        light[0, 0]
        + light[1, 0] * y
        + light[2, 0] * z
        + light[3, 0] * x
        + light[4, 0] * xy
        + light[5, 0] * yz
        + light[6, 0] * z2
        + light[7, 0] * xz
        + light[8, 0] * x2,
    )
    green = max(
        0.0,
        light[0, 1]
        + light[1, 1] * y
        + light[2, 1] * z
        + light[3, 1] * x
        + light[4, 1] * xy
        + light[5, 1] * yz
        + light[6, 1] * z2
        + light[7, 1] * xz
        + light[8, 1] * x2,
    )
    blue = max(
        0.0,
        light[0, 2]
        + light[1, 2] * y
        + light[2, 2] * z
        + light[3, 2] * x
        + light[4, 2] * xy
        + light[5, 2] * yz
        + light[6, 2] * z2
        + light[7, 2] * xz
        + light[8, 2] * x2,
    )
    for k in range(9, light.shape[0], 2):
        cosine = max(0.0, light[k, 0] * x + light[k, 1] * y + light[k, 2] * z)
        red += cosine * light[k + 1, 0]
        green += cosine * light[k + 1, 1]
        blue += cosine * light[k + 1, 2]
    return red, green, blue


@numba.njit(nogil=True, error_model="numpy")
def face_normal(faces, corners, eye, f, w0, w1, w2):
    """Unit normal on the side of the face that the eye sees: smooth where the mesh has normals, else flat."""
    a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
    px, py, pz = corners[a, 0], corners[a, 1], corners[a, 2]
    ux, uy, uz = corners[b, 0] - px, corners[b, 1] - py, corners[b, 2] - pz
    vx, vy, vz = corners[c, 0] - px, corners[c, 1] - py, corners[c, 2] - pz
    gx, gy, gz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    x = w0 * corners[a, 3] + w1 * corners[b, 3] + w2 * corners[c, 3]
    y = w0 * corners[a, 4] + w1 * corners[b, 4] + w2 * corners[c, 4]
    z = w0 * corners[a, 5] + w1 * corners[b, 5] + w2 * corners[c, 5]
    if x * x + y * y + z * z < 1e-12:
        x, y, z = gx, gy, gz
    sign = 1.0 if x * gx + y * gy + z * gz >= 0.0 else -1.0
    if gx * (eye[0] - px) + gy * (eye[1] - py) + gz * (eye[2] - pz) < 0.0:
        sign = -sign
    scale = sign / max(math.sqrt(x * x + y * y + z * z), 1e-30)
    return x * scale, y * scale, z * scale


@numba.njit(nogil=True, error_model="numpy")
def shade_face(faces, corners, materials, texels, levels, screen, light, eye, f, x, y, out):
    """Colour of face f at sample (x, y): out [8] = linear r, g, b, alpha, normal x, y, z, inverse depth."""
    a, b, c, m = faces[f, 0], faces[f, 1], faces[f, 2], faces[f, 3]
    x0, y0 = screen[a, 0], screen[a, 1]
    x1, y1, x2, y2 = screen[b, 0] - x0, screen[b, 1] - y0, screen[c, 0] - x0, screen[c, 1] - y0
    area = x1 * y2 - x2 * y1
    b1 = ((x - x0) * y2 - x2 * (y - y0)) / area
    b2 = (x1 * (y - y0) - (x - x0) * y1) / area
    w0, w1, w2 = (1.0 - b1 - b2) * screen[a, 2], b1 * screen[b, 2], b2 * screen[c, 2]
    inverse = w0 + w1 + w2
    w0, w1, w2 = w0 / inverse, w1 / inverse, w2 / inverse
    nx, ny, nz = face_normal(faces, corners, eye, f, w0, w1, w2)
    base_texture, glow_texture = int(materials[m, BASE_TEXTURE]), int(materials[m, GLOW_TEXTURE])
    red, green, blue, alpha = 1.0, 1.0, 1.0, 1.0
    glow_red, glow_green, glow_blue = 1.0, 1.0, 1.0
    if base_texture >= 0 or glow_texture >= 0:
        u = w0 * corners[a, 6] + w1 * corners[b, 6] + w2 * corners[c, 6]
        v = w0 * corners[a, 7] + w1 * corners[b, 7] + w2 * corners[c, 7]
        u1, v1 = corners[b, 6] - corners[a, 6], corners[b, 7] - corners[a, 7]
        u2, v2 = corners[c, 6] - corners[a, 6], corners[c, 7] - corners[a, 7]
        uv_area, wrap_u, wrap_v = abs(u1 * v2 - u2 * v1), int(materials[m, WRAP_U]), int(materials[m, WRAP_V])
        if base_texture >= 0:
            level = choose_level(levels, base_texture, uv_area, abs(area))
            red, green, blue, alpha = fetch_bilinear(texels, levels, level, u, v, wrap_u, wrap_v)
        if glow_texture >= 0:
            level = choose_level(levels, glow_texture, uv_area, abs(area))
            glow_red, glow_green, glow_blue, _ = fetch_bilinear(texels, levels, level, u, v, wrap_u, wrap_v)
    red *= materials[m, 0] * (w0 * corners[a, 8] + w1 * corners[b, 8] + w2 * corners[c, 8])
    green *= materials[m, 1] * (w0 * corners[a, 9] + w1 * corners[b, 9] + w2 * corners[c, 9])
    blue *= materials[m, 2] * (w0 * corners[a, 10] + w1 * corners[b, 10] + w2 * corners[c, 10])
    alpha *= materials[m, 3] * (w0 * corners[a, 11] + w1 * corners[b, 11] + w2 * corners[c, 11])
    light_red, light_green, light_blue = light_at(light, nx, ny, nz)
    out[0] = min(1.0, red * light_red + glow_red * materials[m, 4])
    out[1] = min(1.0, green * light_green + glow_green * materials[m, 5])
    out[2] = min(1.0, blue * light_blue + glow_blue * materials[m, 6])
    out[3] = 1.0 if int(materials[m, MODE]) != BLEND else min(1.0, max(0.0, alpha))
    out[4], out[5], out[6], out[7] = nx, ny, nz, inverse


@numba.njit(nogil=True, error_model="numpy")
def add_sample(total, color, share):
    """total [9] += share of a shaded surface: premultiplied r, g, b; alpha."""
    weight = share * color[3]
    total[0] += weight * color[0]
    total[1] += weight * color[1]
    total[2] += weight * color[2]
    total[3] += weight


@numba.njit(nogil=True, error_model="numpy")
def add_geometry(total, color):
    """total [9] += the nearest surface's coverage, depth and normal."""
    total[4] += 1.0
    total[5] += 1.0 / color[7]
    total[6] += color[4]
    total[7] += color[5]
    total[8] += color[6]


@numba.njit(nogil=True, error_model="numpy")
def resolve_band(
    band_face,
    band_inverse,
    layer_face,
    layer_inverse,
    faces,
    corners,
    materials,
    texels,
    levels,
    screen,
    light,
    eye,
    supersampling,
    first_row,
    rgba,
    depth,
    normal,
):
    """Shade and average a band's samples into its pixel rows of rgba [H, W, 4], depth [H, W] and normal [H, W, 3]."""
    color, total = np.zeros(8), np.zeros(9)
    has_layers = layer_face.shape[0] == band_face.shape[0]
    for row in range(band_face.shape[0] // supersampling):
        for column in range(rgba.shape[1]):
            total[:] = 0.0
            for sample in range(supersampling * supersampling):
                j = row * supersampling + sample // supersampling
                i = column * supersampling + sample % supersampling
                through, nearest = 1.0, True
                for k in range(LAYERS if has_layers else 0):
                    f = layer_face[j, i, k]
                    if f < 0 or layer_inverse[j, i, k] <= band_inverse[j, i]:
                        break
                    shade_face(
                        faces,
                        corners,
                        materials,
                        texels,
                        levels,
                        screen,
                        light,
                        eye,
                        f,
                        i + 0.5,
                        j + first_row + 0.5,
                        color,
                    )
                    add_sample(total, color, through)
                    if nearest:
                        add_geometry(total, color)
                    through, nearest = through * (1.0 - color[3]), False
                f = band_face[j, i]
                if f >= 0:
                    shade_face(
                        faces,
                        corners,
                        materials,
                        texels,
                        levels,
                        screen,
                        light,
                        eye,
                        f,
                        i + 0.5,
                        j + first_row + 0.5,
                        color,
                    )
                    add_sample(total, color, through)
                    if nearest:
                        add_geometry(total, color)
            if total[4] > 0.0:
                write_pixel(total, supersampling, first_row // supersampling + row, column, rgba, depth, normal)


@numba.njit(nogil=True, error_model="numpy")
def write_pixel(total, supersampling, row, column, rgba, depth, normal):
    """One pixel from the sums of its samples."""
    if total[3] > 0.0:
        for channel in range(3):
            rgba[row, column, channel] = encode_srgb(total[channel] / total[3])
    rgba[row, column, 3] = total[3] / (supersampling * supersampling)
    depth[row, column] = total[5] / total[4]
    length = max(math.sqrt(total[6] ** 2 + total[7] ** 2 + total[8] ** 2), 1e-30)
    for k in range(3):
        normal[row, column, k] = total[6 + k] / length
