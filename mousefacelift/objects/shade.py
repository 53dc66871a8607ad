"""Colour of the visible samples, and their average per pixel, compiled.

Part of the objects stage. Linear light throughout: base colour (factor x texture x vertex colour) times lamps and
ambient, translucent layers over it, S x S samples averaged premultiplied, divided by alpha, then encoded to sRGB.
Every sample is shaded. What is the same for all samples of a face - the planes of its attributes on the screen, its
mip levels, its side - is kept in a small table (`recent_faces`), so that a sample costs a few sums.
These functions are compiled into the kernel of render.py, which alone is cached.
"""

import math

import numba

from mousefacelift.objects.mesh import BLEND
from mousefacelift.objects.raster import LAYERS
from mousefacelift.objects.recent_faces import SLOTS, remember_face
from mousefacelift.objects.texture import (
    BASE_TEXTURE,
    COLOURED,
    GLOW_SHARP,
    GLOW_TEXTURE,
    GLOW_WRAP_U,
    GLOW_WRAP_V,
    GLOWING,
    KERNEL,
    MODE,
    SHARP,
    UNLIT,
    WRAP_U,
    WRAP_V,
    encode_srgb,
    fetch,
)


@numba.njit(**KERNEL)
def light_at(light, x, y, z):
    """Light that a white matt surface with normal (x, y, z) returns, per channel; rows of light: 9 ambient, then lamps
    in pairs."""
    red = light[0, 0] + light[1, 0] * y + light[2, 0] * z + light[3, 0] * x
    green = light[0, 1] + light[1, 1] * y + light[2, 1] * z + light[3, 1] * x
    blue = light[0, 2] + light[1, 2] * y + light[2, 2] * z + light[3, 2] * x
    if light[4, 0] != 0.0 or light[6, 0] != 0.0 or light[8, 0] != 0.0:  # a panorama; lamps and sky are linear
        xy, yz, z2, xz, x2 = x * y, y * z, 3.0 * z * z - 1.0, x * z, x * x - y * y
        red += light[4, 0] * xy + light[5, 0] * yz + light[6, 0] * z2 + light[7, 0] * xz + light[8, 0] * x2
        green += light[4, 1] * xy + light[5, 1] * yz + light[6, 1] * z2 + light[7, 1] * xz + light[8, 1] * x2
        blue += light[4, 2] * xy + light[5, 2] * yz + light[6, 2] * z2 + light[7, 2] * xz + light[8, 2] * x2
    red, green, blue = max(0.0, red), max(0.0, green), max(0.0, blue)
    for k in range(9, light.shape[0], 2):
        cosine = max(0.0, light[k, 0] * x + light[k, 1] * y + light[k, 2] * z)
        red += cosine * light[k + 1, 0]
        green += cosine * light[k + 1, 1]
        blue += cosine * light[k + 1, 2]
    return red, green, blue


@numba.njit(**KERNEL, inline="always")
def shade_face(
    recent_face,
    planes,
    place,
    side,
    level,
    values,
    faces,
    corners,
    materials,
    texels,
    levels,
    screen,
    light,
    eye,
    f,
    x,
    y,
    out,
):
    """Colour of face f at sample (x, y): out [8] = linear r, g, b, alpha, normal x, y, z, depth."""
    slot = f & (SLOTS - 1)
    if recent_face[slot] != f:
        remember_face(recent_face, planes, place, side, level, faces, corners, materials, levels, screen, eye, f)
    m = faces[f, 3]
    dx, dy = x - place[slot, 0], y - place[slot, 1]
    inverse = planes[slot, 0, 0] + dx * planes[slot, 1, 0] + dy * planes[slot, 2, 0]
    depth = 1.0 / inverse
    for k in range(1, values.shape[0]):
        values[k] = (planes[slot, 0, k] + dx * planes[slot, 1, k] + dy * planes[slot, 2, k]) * depth
    nx, ny, nz = values[1], values[2], values[3]
    if nx * nx + ny * ny + nz * nz < 1e-12:
        nx, ny, nz = side[slot, 0], side[slot, 1], side[slot, 2]
    scale = 1.0 / max(math.sqrt(nx * nx + ny * ny + nz * nz), 1e-30)
    if nx * side[slot, 0] + ny * side[slot, 1] + nz * side[slot, 2] < 0.0:
        scale = -scale
    nx, ny, nz = nx * scale, ny * scale, nz * scale
    red, green, blue, alpha = materials[m, 0], materials[m, 1], materials[m, 2], materials[m, 3]
    texture = int(materials[m, BASE_TEXTURE])
    if texture >= 0:
        wrap_u, wrap_v, sharp = int(materials[m, WRAP_U]), int(materials[m, WRAP_V]), materials[m, SHARP] > 0.0
        r, g, b, t = fetch(texels, levels, texture, level[slot, 0], values[4], values[5], wrap_u, wrap_v, sharp)
        red, green, blue, alpha = red * r, green * g, blue * b, alpha * t
    if corners.shape[1] >= COLOURED:
        red, green, blue, alpha = red * values[6], green * values[7], blue * values[8], alpha * values[9]
    if materials[m, UNLIT] == 0.0:
        light_red, light_green, light_blue = light_at(light, nx, ny, nz)
        red, green, blue = red * light_red, green * light_green, blue * light_blue
    glow_red, glow_green, glow_blue = materials[m, 4], materials[m, 5], materials[m, 6]
    texture = int(materials[m, GLOW_TEXTURE])
    if texture >= 0:
        at = 10 if corners.shape[1] == GLOWING else 4
        wrap_u, wrap_v = int(materials[m, GLOW_WRAP_U]), int(materials[m, GLOW_WRAP_V])
        sharp = materials[m, GLOW_SHARP] > 0.0
        r, g, b, _ = fetch(texels, levels, texture, level[slot, 1], values[at], values[at + 1], wrap_u, wrap_v, sharp)
        glow_red, glow_green, glow_blue = glow_red * r, glow_green * g, glow_blue * b
    out[0] = min(1.0, red + glow_red)
    out[1] = min(1.0, green + glow_green)
    out[2] = min(1.0, blue + glow_blue)
    out[3] = 1.0 if int(materials[m, MODE]) != BLEND else min(1.0, max(0.0, alpha))
    out[4], out[5], out[6], out[7] = nx, ny, nz, depth


@numba.njit(**KERNEL)
def add_sample(total, color, share):
    """total [9] += share of a shaded surface: premultiplied r, g, b; alpha."""
    weight = share * color[3]
    total[0] += weight * color[0]
    total[1] += weight * color[1]
    total[2] += weight * color[2]
    total[3] += weight


@numba.njit(**KERNEL)
def add_geometry(total, color):
    """total [9] += the nearest surface's coverage, depth and normal."""
    total[4] += 1.0
    total[5] += color[7]
    total[6] += color[4]
    total[7] += color[5]
    total[8] += color[6]


@numba.njit(**KERNEL)
def resolve_band(
    recent_face,
    planes,
    place,
    side,
    level,
    values,
    color,
    total,
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
                        recent_face,
                        planes,
                        place,
                        side,
                        level,
                        values,
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
                        recent_face,
                        planes,
                        place,
                        side,
                        level,
                        values,
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


@numba.njit(**KERNEL)
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
