"""Which face is seen at each sample: a tiled z-buffer rasteriser, compiled.

Part of the objects stage. The picture is cut into bands of rows; `bin_faces` lists the faces that touch each band,
`draw_band` fills the band's buffers (nearest opaque face and up to K translucent layers per sample). Shading
happens afterwards, once per visible sample (shade.py). Everything releases the GIL: views run in threads.

Samples sit at the centres of an S x S grid inside each pixel; pixel (i, j) covers [i, i+1) x [j, j+1).
"""

import math
from typing import NamedTuple

import numba
import numpy as np

from mousefacelift.core.compiled import compiled
from mousefacelift.objects.mesh import BLEND, OPAQUE
from mousefacelift.objects.texture import CUTOFF, INNER, MODE, TWO_SIDED, sample_alpha

LAYERS = 8  # translucent surfaces kept per sample, nearest first
ROUNDING = 1e-4  # an alpha that equals its cut-off stays, whatever the weights that it was interpolated with add up to
LANES = 16  # samples of a row that are tested at once


class Band(NamedTuple):
    """Sample buffers of one band of rows; inverse depth 0 = nothing there.

    Attributes:
        face, inverse: [rows, columns + LANES] nearest opaque face (-1 = none); the last columns take what runs of
            lanes write beyond the picture.
        layer_face, layer_inverse: [rows, columns, LAYERS] translucent faces, nearest first.
    """

    face: np.ndarray
    inverse: np.ndarray
    layer_face: np.ndarray
    layer_inverse: np.ndarray


@compiled(error_model="numpy")
def project_vertices(vertices, w2c, fxfycxcy, supersampling):
    """[P, 3] sample x, sample y, inverse depth of each vertex (float64); inverse depth <= 0 is behind the camera."""
    screen = np.empty((vertices.shape[0], 3), np.float64)
    for p in range(vertices.shape[0]):
        x, y, z = vertices[p, 0], vertices[p, 1], vertices[p, 2]
        camera_x = w2c[0, 0] * x + w2c[0, 1] * y + w2c[0, 2] * z + w2c[0, 3]
        camera_y = w2c[1, 0] * x + w2c[1, 1] * y + w2c[1, 2] * z + w2c[1, 3]
        camera_z = w2c[2, 0] * x + w2c[2, 1] * y + w2c[2, 2] * z + w2c[2, 3]
        inverse = 1.0 / camera_z if camera_z > 1e-9 else -1.0
        screen[p, 0] = (fxfycxcy[0] * camera_x * inverse + fxfycxcy[2]) * supersampling
        screen[p, 1] = (fxfycxcy[1] * camera_y * inverse + fxfycxcy[3]) * supersampling
        screen[p, 2] = inverse
    return screen


@compiled(error_model="numpy")
def sample_rows(screen, faces, materials, f, columns, rows):
    """First and last sample row of face f, or (0, -1) where its bounds hold no sample or its back is not shown."""
    a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
    if materials[faces[f, 3], TWO_SIDED] == 0.0:
        x0, y0 = screen[a, 0], screen[a, 1]
        # y runs down the screen: a front, counter-clockwise to the eye, has a negative area
        if (screen[b, 0] - x0) * (screen[c, 1] - y0) - (screen[c, 0] - x0) * (screen[b, 1] - y0) >= 0.0:
            return 0, -1
    low_x = min(screen[a, 0], screen[b, 0], screen[c, 0])
    high_x = max(screen[a, 0], screen[b, 0], screen[c, 0])
    first = math.ceil(low_x - 0.5)
    if first > high_x - 0.5 or high_x < 0.5 or low_x > columns - 0.5:
        return 0, -1
    low_y = min(screen[a, 1], screen[b, 1], screen[c, 1])
    high_y = max(screen[a, 1], screen[b, 1], screen[c, 1])
    if high_y < 0.5 or low_y > rows - 0.5:
        return 0, -1
    return max(0, int(math.ceil(low_y - 0.5))), min(rows - 1, int(math.floor(high_y - 0.5)))


@compiled(error_model="numpy")
def bin_faces(screen, faces, materials, columns, rows, band_rows):
    """Faces that touch each band: `starts` [bands + 1] into `listed` (face order is kept)."""
    bands = (rows + band_rows - 1) // band_rows
    starts = np.zeros(bands + 1, np.int64)
    spans = np.empty((faces.shape[0], 2), np.int16)
    for f in range(faces.shape[0]):
        first, last = sample_rows(screen, faces, materials, f, columns, rows)
        if last < first:
            spans[f, 0], spans[f, 1] = 0, -1
            continue
        spans[f, 0], spans[f, 1] = first // band_rows, last // band_rows
        for band in range(spans[f, 0], spans[f, 1] + 1):
            starts[band + 1] += 1
    for band in range(bands):
        starts[band + 1] += starts[band]
    listed = np.empty(starts[bands], np.int32)
    cursor = starts[:bands].copy()
    for f in range(faces.shape[0]):
        for band in range(spans[f, 0], spans[f, 1] + 1):
            listed[cursor[band]] = f
            cursor[band] += 1
    return starts, listed


@numba.njit(**INNER)
def push_layer(layer_face, layer_inverse, row, column, face, inverse):
    """Keep the LAYERS nearest translucent surfaces of a sample, nearest first."""
    k = LAYERS - 1
    if inverse <= layer_inverse[row, column, k]:
        return
    while k > 0 and layer_inverse[row, column, k - 1] < inverse:
        layer_inverse[row, column, k] = layer_inverse[row, column, k - 1]
        layer_face[row, column, k] = layer_face[row, column, k - 1]
        k -= 1
    layer_inverse[row, column, k] = inverse
    layer_face[row, column, k] = face


@numba.njit(**INNER)
def is_cut_out(faces, corners, materials, texels, levels, f, b1, b2, i0, i1, i2):
    """True where the alpha test of a MASK material removes face f at screen barycentrics (1 - b1 - b2, b1, b2)."""
    w0, w1, w2 = (1.0 - b1 - b2) * i0, b1 * i1, b2 * i2
    total = w0 + w1 + w2
    alpha = sample_alpha(faces, corners, materials, texels, levels, f, w0 / total, w1 / total, w2 / total)
    return alpha < materials[faces[f, 3], CUTOFF] - ROUNDING


@numba.njit(**INNER)
def narrow_span(start, step, low, high):
    """The columns between `low` and `high` where start + column * step may be 0 or more.

    A column too many at the end for the sake of rounding: the caller tests each.
    """
    if step > 0.0:
        return max(low, -start / step - 1.0), high
    if step < 0.0:
        return low, min(high, 1.0 - start / step)
    return low, high if start >= 0.0 else -1.0


@numba.njit(**INNER)
def span_of_row(start1, step1, start2, step2, last):
    """First and last column from 0 to `last` where both barycentrics and their rest may be 0 or more; last is -1 where
    there is none."""
    low, high = narrow_span(start1, step1, 0.0, float(last))
    low, high = narrow_span(start2, step2, low, high)
    low, high = narrow_span(1.0 - start1 - start2, -step1 - step2, low, high)
    if not (low <= high and low <= last and high >= 0.0):  # also true of the NaN of a sliver without area
        return 0, -1
    return max(0, int(low)), int(high)


@numba.njit(**INNER)
def place_face(faces, screen, f, rows, columns, first_row):
    """Where face f lies in a band: first vertex, edges from it, inverse depth and its steps along the edges, and the
    first and last column and row of samples within its bounds (the last row is -1 for a face without area)."""
    a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
    x0, y0, i0 = screen[a, 0], screen[a, 1], screen[a, 2]
    x1, y1, i1 = screen[b, 0] - x0, screen[b, 1] - y0, screen[b, 2] - i0
    x2, y2, i2 = screen[c, 0] - x0, screen[c, 1] - y0, screen[c, 2] - i0
    left = max(0, int(math.ceil(x0 + min(0.0, x1, x2) - 0.5)))
    right = min(columns - 1, int(math.floor(x0 + max(0.0, x1, x2) - 0.5)))
    top = max(0, int(math.ceil(y0 + min(0.0, y1, y2) - 0.5)) - first_row)
    bottom = min(rows - 1, int(math.floor(y0 + max(0.0, y1, y2) - 0.5)) - first_row)
    if x1 * y2 - x2 * y1 == 0.0:
        bottom = -1
    return x0, y0, x1, y1, x2, y2, i0, i1, i2, left, right, top, bottom


@numba.njit(**INNER)
def draw_opaque(band_face, band_inverse, faces, screen, f, first_row, columns):
    """Depth-test one opaque face against the band's samples (the band starts at sample row `first_row`).

    Every sample of a run of lanes is written, changed or not: a loop without branches over columns that cannot be
    negative is compiled to vectors, three times as fast here; most faces of a fine mesh are narrower than one run.
    """
    x0, y0, x1, y1, x2, y2, i0, i1, i2, left, right, top, bottom = place_face(
        faces, screen, f, band_face.shape[0], columns, first_row
    )
    if right < left or bottom < top:
        return
    lanes = band_face.shape[1] - columns  # not a constant: a loop of constant length is unrolled, not vectorised
    scale = 1.0 / (x1 * y2 - x2 * y1)
    step1, step2 = y2 * scale, -y1 * scale
    wide = right - left >= 2 * lanes
    for row in range(top, bottom + 1):
        dx, dy = left + 0.5 - x0, row + first_row + 0.5 - y0
        start1, start2 = (dx * y2 - x2 * dy) * scale, (x1 * dy - dx * y1) * scale
        first, last = 0, right - left
        if wide:
            first, last = span_of_row(start1, step1, start2, step2, last)
        for run in range((last - first + lanes) // lanes):
            for lane in range(lanes):
                column = first + run * lanes + lane
                b1 = start1 + column * step1
                b2 = start2 + column * step2
                inverse, before = np.float32(i0 + b1 * i1 + b2 * i2), band_inverse[row, left + column]
                nearer = (b1 >= 0.0) & (b2 >= 0.0) & (b1 + b2 <= 1.0) & (inverse > before)
                band_inverse[row, left + column] = inverse if nearer else before
                band_face[row, left + column] = f if nearer else band_face[row, left + column]


@numba.njit(**INNER)
def draw_face(
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
    f,
    first_row,
    columns,
):
    """Depth-test one face that is cut out or translucent against the band's samples."""
    x0, y0, x1, y1, x2, y2, i0, i1, i2, left, right, top, bottom = place_face(
        faces, screen, f, band_face.shape[0], columns, first_row
    )
    blends, scale = int(materials[faces[f, 3], MODE]) == BLEND, 1.0 / (x1 * y2 - x2 * y1)
    step1, step2 = y2 * scale, -y1 * scale
    for row in range(top, bottom + 1):
        dx, dy = left + 0.5 - x0, row + first_row + 0.5 - y0
        start1, start2 = (dx * y2 - x2 * dy) * scale, (x1 * dy - dx * y1) * scale
        first, last = span_of_row(start1, step1, start2, step2, right - left)
        for column in range(left + first, left + last + 1):
            b1, b2 = start1 + (column - left) * step1, start2 + (column - left) * step2
            if b1 < 0.0 or b2 < 0.0 or b1 + b2 > 1.0:
                continue
            inverse = i0 + b1 * i1 + b2 * i2
            if inverse <= band_inverse[row, column]:
                continue
            if blends:
                push_layer(layer_face, layer_inverse, row, column, f, inverse)
            elif not is_cut_out(faces, corners, materials, texels, levels, f, b1, b2, i0, i0 + i1, i0 + i2):
                band_inverse[row, column] = inverse
                band_face[row, column] = f


@numba.njit(**INNER)
def draw_band(
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
    listed,
    first_row,
    columns,
):
    """Fill the band from its listed faces; buffers are cleared first."""
    band_face[:] = -1
    band_inverse[:] = 0.0
    layer_face[:] = -1
    layer_inverse[:] = 0.0
    for k in range(listed.shape[0]):
        f = listed[k]
        if materials[faces[f, 3], MODE] == OPAQUE:
            draw_opaque(band_face, band_inverse, faces, screen, f, first_row, columns)
        else:
            draw_face(
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
                f,
                first_row,
                columns,
            )


def new_band(rows: int, columns: int, has_blend: bool) -> Band:
    """Empty buffers for one band; the translucent layers take memory only where a material blends."""
    layers = (rows, columns, LAYERS) if has_blend else (1, 1, LAYERS)
    return Band(
        np.empty((rows, columns + LANES), np.int32),
        np.empty((rows, columns + LANES), np.float32),
        np.empty(layers, np.int32),
        np.empty(layers, np.float32),
    )
