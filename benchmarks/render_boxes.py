"""A scalar rasteriser of OpenSplat's kind: Gaussians front to back, each over the pixels of its box, a list of ids per
pixel.

Written from the description of the algorithm. Forward, every blended pair is put on its pixel's list; backward, each
list is walked back to front and the transmittance recovered by division. Views are spread over the threads. Projection,
sorting and the gathering of gradients are the vectorised ones of the package, and the boxes are the exact ones of the
alpha minimum instead of three sigma; both favour this peer.
"""

from __future__ import annotations

import math

import numpy as np
from render_scalar import add_sums, alpha_at, upstream_of

from mousefacelift.core.render.bins import BAND
from mousefacelift.core.render.jit import inlined, kernel, take_ticket
from mousefacelift.core.render.project import LOG2E, TILE
from mousefacelift.core.render.simd import LANES


@inlined
def _box(records, at, low, width, height):
    """First and last column and row of the pixels that a Gaussian can reach with the alpha minimum."""
    a, b, c = 2 * records[at + 2] / LOG2E, records[at + 3] / LOG2E, 2 * records[at + 4] / LOG2E
    reach = 2 * (records[at + 5] - low) / LOG2E / max(a * c - b * b, 1e-12)
    dx, dy = math.sqrt(max(reach * c, 0.0)) + 0.01, math.sqrt(max(reach * a, 0.0)) + 0.01
    return (
        max(0, int(math.ceil(records[at] - dx - 0.5))),
        min(width - 1, int(math.floor(records[at] + dx - 0.5))),
        max(0, int(math.ceil(records[at + 1] - dy - 0.5))),
        min(height - 1, int(math.floor(records[at + 1] + dy - 0.5))),
    )


@kernel
def _forward(
    tickets, tasks, records, tile_start, entries, constants, background, images, across, down, heads, links, ids
):
    low, clamp, stop = constants[2], constants[3], constants[4]
    width, height, tiles = across * TILE, down * TILE, across * down
    plane, half, one = across * down * TILE * TILE, np.float32(0.5), np.float32(1)
    while True:
        view = take_ticket(tickets)
        if view >= tasks // down:
            return
        base, listed = (
            view * 5 * plane,
            entries[tile_start[view * (tiles + 1)] : tile_start[view * (tiles + 1) + tiles]],
        )
        images[base : base + 5 * plane] = 0
        through, done, used = np.ones(plane, np.float32), np.zeros(plane, np.bool_), 0
        heads[view, :] = -1
        first, last = (listed.min(), listed.max()) if len(listed) else (0, -1)
        for record in range(first, last + 1):
            at = LANES * record
            x0, x1, y0, y1 = _box(records, at, low, width, height)
            for y in range(y0, y1 + 1):
                for x in range(x0, x1 + 1):
                    pixel = y * width + x
                    if done[pixel]:
                        continue
                    alpha, _ = alpha_at(
                        records,
                        at,
                        np.float32(x) + half - records[at],
                        np.float32(y) + half - records[at + 1],
                        low,
                        clamp,
                    )
                    if alpha == 0:
                        continue
                    weight = alpha * through[pixel]
                    if through[pixel] - weight <= stop:
                        done[pixel] = True
                        continue
                    through[pixel] -= weight
                    for channel in range(3):
                        images[base + channel * plane + pixel] += weight * records[at + 6 + channel]
                    images[base + 4 * plane + pixel] += weight * records[at + 9]
                    links[view, used], ids[view, used], heads[view, pixel] = heads[view, pixel], record, used
                    used += 1
        for pixel in range(plane):
            for channel in range(3):
                images[base + channel * plane + pixel] += through[pixel] * background[3 * view + channel]
            images[base + 3 * plane + pixel] = one - through[pixel]


@kernel
def _backward(
    tickets,
    tasks,
    records,
    shift,
    tile_start,
    entries,
    constants,
    background,
    images,
    v_rgb,
    v_alpha,
    v_depth,
    slots,
    across,
    down,
    heads,
    links,
    ids,
):
    bands, width = (down + BAND - 1) // BAND, across * TILE
    plane, half, one = across * down * TILE * TILE, np.float32(0.5), np.float32(1)
    while True:
        view = take_ticket(tickets)
        if view >= tasks // bands:
            return
        for pixel in range(plane):
            y, x = pixel // width, pixel % width
            up = upstream_of(images, v_rgb, v_alpha, v_depth, view, pixel, plane, background)
            through, behind = one - images[(5 * view + 3) * plane + pixel], one * 0
            link = heads[view, pixel]
            while link >= 0:
                record = ids[view, link]
                at = LANES * record
                dx, dy = np.float32(x) + half - records[at], np.float32(y) + half - records[at + 1]
                alpha, free = alpha_at(records, at, dx, dy, constants[2], constants[3])
                through /= one - alpha
                weight = alpha * through
                gain = (
                    up[0] * records[at + 6]
                    + up[1] * records[at + 7]
                    + up[2] * records[at + 8]
                    + up[3]
                    + up[4] * records[at + 9]
                )
                slope = weight * gain - alpha / (one - alpha) * behind if free else one * 0
                behind += weight * gain
                add_sums(slots, LANES * (shift[record] + y // (TILE * BAND)), weight, slope, up, dx, dy)
                link = links[view, link]


class _WithLists:
    """A kernel with the per-pixel lists behind its arguments, in the form that `jit.run` takes."""

    def __init__(self, compiled, lists) -> None:
        self.compiled, self.lists = compiled, lists

    @property
    def signatures(self):
        return self.compiled.signatures

    def __call__(self, *arguments) -> None:
        self.compiled(*arguments, *self.lists)


def box_kernels(views: int, pixels: int, blended: int) -> tuple[_WithLists, _WithLists]:
    """Forward and backward with room for `blended` pairs a view."""
    lists = (
        np.empty((views, pixels), np.int32),
        np.empty((views, blended), np.int32),
        np.empty((views, blended), np.int32),
    )
    return _WithLists(_forward, lists), _WithLists(_backward, lists)
