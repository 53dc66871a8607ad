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
    INNER,
    MODE,
    SHARP,
    UNLIT,
    WRAP_U,
    WRAP_V,
    fetch_alpha,
    fetch_color,
    look_up_srgb,
)


@numba.njit(**INNER)
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


@numba.njit(**INNER, forceinline=True)
def shade_face(
    recent_face, planes, place, side, level, faces, corners, materials, texels, levels, screen, light, eye, f, x, y
):
    """Colour of face f at sample (x, y): linear r, g, b, alpha, normal x, y, z, depth.

    Numbers are passed and returned one by one: in small arrays each would go through memory.
    """
    slot = f & (SLOTS - 1)
    if recent_face[slot] != f:
        remember_face(recent_face, planes, place, side, level, faces, corners, materials, levels, screen, eye, f)
    m = faces[f, 3]
    dx, dy = x - place[slot, 0], y - place[slot, 1]
    depth = 1.0 / (planes[slot, 0, 0] + dx * planes[slot, 1, 0] + dy * planes[slot, 2, 0])
    nx = planes[slot, 0, 1] + dx * planes[slot, 1, 1] + dy * planes[slot, 2, 1]
    ny = planes[slot, 0, 2] + dx * planes[slot, 1, 2] + dy * planes[slot, 2, 2]
    nz = planes[slot, 0, 3] + dx * planes[slot, 1, 3] + dy * planes[slot, 2, 3]
    if (nx * nx + ny * ny + nz * nz) * depth * depth < 1e-12:
        nx, ny, nz = side[slot, 0], side[slot, 1], side[slot, 2]
    scale = 1.0 / math.sqrt(max(nx * nx + ny * ny + nz * nz, 1e-60))
    if nx * side[slot, 0] + ny * side[slot, 1] + nz * side[slot, 2] < 0.0:
        scale = -scale
    nx, ny, nz = nx * scale, ny * scale, nz * scale
    red, green, blue, alpha = materials[m, 0], materials[m, 1], materials[m, 2], materials[m, 3]
    blends, texture = int(materials[m, MODE]) == BLEND, int(materials[m, BASE_TEXTURE])
    u = v = 0.0
    if texture >= 0 or materials[m, GLOW_TEXTURE] >= 0.0:
        u = (planes[slot, 0, 4] + dx * planes[slot, 1, 4] + dy * planes[slot, 2, 4]) * depth
        v = (planes[slot, 0, 5] + dx * planes[slot, 1, 5] + dy * planes[slot, 2, 5]) * depth
    if texture >= 0:
        wrap_u, wrap_v, sharp = int(materials[m, WRAP_U]), int(materials[m, WRAP_V]), materials[m, SHARP] > 0.0
        r, g, b = fetch_color(texels, levels, texture, level[slot, 0], u, v, wrap_u, wrap_v, sharp)
        red, green, blue = red * r, green * g, blue * b
        if blends:
            alpha *= fetch_alpha(texels, levels, texture, level[slot, 0], u, v, wrap_u, wrap_v, sharp)
    if corners.shape[1] >= COLOURED:
        red *= (planes[slot, 0, 6] + dx * planes[slot, 1, 6] + dy * planes[slot, 2, 6]) * depth
        green *= (planes[slot, 0, 7] + dx * planes[slot, 1, 7] + dy * planes[slot, 2, 7]) * depth
        blue *= (planes[slot, 0, 8] + dx * planes[slot, 1, 8] + dy * planes[slot, 2, 8]) * depth
        if blends:
            alpha *= (planes[slot, 0, 9] + dx * planes[slot, 1, 9] + dy * planes[slot, 2, 9]) * depth
    if materials[m, UNLIT] == 0.0:
        light_red, light_green, light_blue = light_at(light, nx, ny, nz)
        red, green, blue = red * light_red, green * light_green, blue * light_blue
    glow_red, glow_green, glow_blue = materials[m, 4], materials[m, 5], materials[m, 6]
    texture = int(materials[m, GLOW_TEXTURE])
    if texture >= 0:
        if corners.shape[1] == GLOWING:
            u = (planes[slot, 0, 10] + dx * planes[slot, 1, 10] + dy * planes[slot, 2, 10]) * depth
            v = (planes[slot, 0, 11] + dx * planes[slot, 1, 11] + dy * planes[slot, 2, 11]) * depth
        wrap_u, wrap_v = int(materials[m, GLOW_WRAP_U]), int(materials[m, GLOW_WRAP_V])
        sharp = materials[m, GLOW_SHARP] > 0.0
        r, g, b = fetch_color(texels, levels, texture, level[slot, 1], u, v, wrap_u, wrap_v, sharp)
        glow_red, glow_green, glow_blue = glow_red * r, glow_green * g, glow_blue * b
    alpha = min(1.0, max(0.0, alpha)) if blends else 1.0
    return (
        min(1.0, red + glow_red),
        min(1.0, green + glow_green),
        min(1.0, blue + glow_blue),
        alpha,
        nx,
        ny,
        nz,
        depth,
    )


@numba.njit(**INNER)
def resolve_band(
    recent_face,
    planes,
    place,
    side,
    level,
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
    bottom = LAYERS if layer_face.shape[0] != band_face.shape[0] else 0  # number of the first surface of a sample
    share = 1.0 / (supersampling * supersampling)
    for row in range(band_face.shape[0] // supersampling):
        for column in range(rgba.shape[1]):
            red = green = blue = opacity = count = distance = nx = ny = nz = 0.0
            for j in range(row * supersampling, (row + 1) * supersampling):
                for i in range(column * supersampling, (column + 1) * supersampling):
                    through, nearest, k = 1.0, True, bottom
                    while k <= LAYERS:  # translucent layers from the front, then the opaque face
                        f = band_face[j, i]
                        if k < LAYERS:
                            if layer_face[j, i, k] < 0 or layer_inverse[j, i, k] <= band_inverse[j, i]:
                                k = LAYERS
                            else:
                                f = layer_face[j, i, k]
                        k += 1
                        if f < 0:
                            break
                        r, g, b, a, x, y, z, d = shade_face(
                            recent_face,
                            planes,
                            place,
                            side,
                            level,
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
                        )
                        weight = through * a
                        red, green, blue, opacity = (
                            red + weight * r,
                            green + weight * g,
                            blue + weight * b,
                            opacity + weight,
                        )
                        if nearest:
                            count, distance, nx, ny, nz = count + 1.0, distance + d, nx + x, ny + y, nz + z
                        through, nearest = through * (1.0 - a), False
            if count == 0.0:
                continue
            to = first_row // supersampling + row
            if opacity > 0.0:
                rgba[to, column, 0] = look_up_srgb(red / opacity)
                rgba[to, column, 1] = look_up_srgb(green / opacity)
                rgba[to, column, 2] = look_up_srgb(blue / opacity)
            rgba[to, column, 3] = opacity * share
            depth[to, column] = distance / count
            scale = 1.0 / max(math.sqrt(nx * nx + ny * ny + nz * nz), 1e-30)
            normal[to, column, 0], normal[to, column, 1], normal[to, column, 2] = nx * scale, ny * scale, nz * scale
