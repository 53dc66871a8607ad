"""A scalar build of the renderer: the same algorithm, lists and arithmetic, one pixel and one Gaussian at a time.

Only the pixel half is replaced (blending and its backward walk); projection, sorting and the gathering of gradients
stay the vectorised ones, which favours this peer. It is what a compiler makes of the plain loops of a scalar C++
rasteriser: a pixel leaves its list when it is opaque, and a Gaussian below the alpha minimum costs a comparison.
"""

from __future__ import annotations

import math
from contextlib import contextmanager

import numpy as np
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.render import raster, render
from mousefacelift.core.render.bins import BAND
from mousefacelift.core.render.jit import inlined, kernel, take_ticket
from mousefacelift.core.render.project import TILE
from mousefacelift.core.render.simd import LANES, SUM_LANE

LN2 = math.log(2.0)


@inlined
def alpha_at(records, at, dx, dy, low, clamp):
    """Alpha of a Gaussian at an offset, 0 below the minimum; and whether the clamp left it free."""
    exponent = records[at + 5] - (records[at + 2] * dx * dx + records[at + 3] * dx * dy + records[at + 4] * dy * dy)
    if exponent < low:
        return exponent * 0, False
    alpha = math.exp(exponent * np.float32(LN2))
    return min(alpha, clamp), alpha <= clamp


@kernel
def scalar_raster(tickets, tasks, records, tile_start, entries, constants, background, images, across, down):
    """`raster.raster` without vectors."""
    low, clamp, stop = constants[2], constants[3], constants[4]
    stride, plane, tiles = across * TILE, across * down * TILE * TILE, across * down
    half, one = np.float32(0.5), np.float32(1)
    while True:
        task = take_ticket(tickets)
        if task >= tasks:
            return
        view, row = task // down, task % down
        for pixel in range(TILE * stride):
            y, x = row * TILE + pixel // stride, pixel % stride
            tile = view * (tiles + 1) + row * across + x // TILE
            through, red, green, blue, depth = one, one * 0, one * 0, one * 0, one * 0
            for entry in range(tile_start[tile], tile_start[tile + 1]):
                at = LANES * entries[entry]
                alpha, _ = alpha_at(
                    records, at, np.float32(x) + half - records[at], np.float32(y) + half - records[at + 1], low, clamp
                )
                if alpha == 0:
                    continue
                weight = alpha * through
                if through - weight <= stop:
                    break
                through -= weight
                red += weight * records[at + 6]
                green += weight * records[at + 7]
                blue += weight * records[at + 8]
                depth += weight * records[at + 9]
            place = view * 5 * plane + y * stride + x
            images[place] = red + through * background[3 * view]
            images[place + plane] = green + through * background[3 * view + 1]
            images[place + 2 * plane] = blue + through * background[3 * view + 2]
            images[place + 3 * plane] = one - through
            images[place + 4 * plane] = depth


@inlined
def add_sums(slots, slot, weight, slope, up, dx, dy):
    """The ten sums of one pixel and Gaussian."""
    slots[slot + SUM_LANE[0]] += weight * up[0]
    slots[slot + SUM_LANE[1]] += weight * up[1]
    slots[slot + SUM_LANE[2]] += weight * up[2]
    slots[slot + SUM_LANE[3]] += weight * up[4]
    slots[slot + SUM_LANE[4]] += slope
    slots[slot + SUM_LANE[5]] += slope * dx
    slots[slot + SUM_LANE[6]] += slope * dy
    slots[slot + SUM_LANE[7]] += slope * dx * dx
    slots[slot + SUM_LANE[8]] += slope * dx * dy
    slots[slot + SUM_LANE[9]] += slope * dy * dy


@inlined
def upstream_of(images, v_rgb, v_alpha, v_depth, view, pixel, plane, background):
    """dL/d(rgb), dL/d(alpha) through everything it touches, dL/d(depth) of a pixel, and (dL/dpixel . pixel)."""
    red, green, blue = (
        v_rgb[(3 * view) * plane + pixel],
        v_rgb[(3 * view + 1) * plane + pixel],
        v_rgb[(3 * view + 2) * plane + pixel],
    )
    b0, b1, b2 = background[3 * view], background[3 * view + 1], background[3 * view + 2]
    alpha, depth, at = v_alpha[view * plane + pixel], v_depth[view * plane + pixel], 5 * view * plane + pixel
    ahead = (
        red * (images[at] - b0)
        + green * (images[at + plane] - b1)
        + blue * (images[at + 2 * plane] - b2)
        + alpha * images[at + 3 * plane]
        + depth * images[at + 4 * plane]
    )
    return red, green, blue, alpha - red * b0 - green * b1 - blue * b2, depth, ahead


@kernel
def scalar_raster_backward(
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
):
    """`raster.raster_backward` without vectors."""
    low, clamp, stop = constants[2], constants[3], constants[4]
    stride, plane, tiles = across * TILE, across * down * TILE * TILE, across * down
    bands, half, one = (down + BAND - 1) // BAND, np.float32(0.5), np.float32(1)
    while True:
        task = take_ticket(tickets)
        if task >= tasks:
            return
        view, band = task // bands, task % bands
        for pixel in range(band * BAND * TILE * stride, min(down, band * BAND + BAND) * TILE * stride):
            y, x = pixel // stride, pixel % stride
            tile = view * (tiles + 1) + y // TILE * across + x // TILE
            up = upstream_of(images, v_rgb, v_alpha, v_depth, view, pixel, plane, background)
            through, ahead = one, up[5]
            for entry in range(tile_start[tile], tile_start[tile + 1]):
                record = entries[entry]
                at = LANES * record
                dx, dy = np.float32(x) + half - records[at], np.float32(y) + half - records[at + 1]
                alpha, free = alpha_at(records, at, dx, dy, low, clamp)
                if alpha == 0:
                    continue
                weight = alpha * through
                if through - weight <= stop:
                    break
                through -= weight
                gain = (
                    up[0] * records[at + 6]
                    + up[1] * records[at + 7]
                    + up[2] * records[at + 8]
                    + up[3]
                    + up[4] * records[at + 9]
                )
                ahead -= weight * gain
                slope = weight * gain - alpha / (one - alpha) * ahead if free else one * 0
                add_sums(slots, LANES * (shift[record] + band), weight, slope, up, dx, dy)


@kernel
def counting_raster(tickets, tasks, records, tile_start, entries, constants, background, images, across, down):
    """In place of `raster.raster`: alpha counts a pixel's Gaussians at or above the alpha minimum, depth those
    blended."""
    stop, stride, plane, tiles = constants[4], across * TILE, across * down * TILE * TILE, across * down
    half, one = np.float32(0.5), np.float32(1)
    while True:
        task = take_ticket(tickets)
        if task >= tasks:
            return
        view, row = task // down, task % down
        for pixel in range(TILE * stride):
            y, x = row * TILE + pixel // stride, pixel % stride
            tile = view * (tiles + 1) + row * across + x // TILE
            through, every, live = one, 0, 0
            for entry in range(tile_start[tile], tile_start[tile + 1]):
                at = LANES * entries[entry]
                alpha, _ = alpha_at(
                    records,
                    at,
                    np.float32(x) + half - records[at],
                    np.float32(y) + half - records[at + 1],
                    constants[2],
                    constants[3],
                )
                if alpha > 0:
                    through -= alpha * through
                    every, live = every + 1, live + int(through > stop)
            place = view * 5 * plane + y * stride + x
            images[place + 3 * plane], images[place + 4 * plane] = every, live


@contextmanager
def kernels(forward, backward=scalar_raster_backward):
    """`render` takes these pixel kernels inside."""
    vectorised = raster.raster, raster.raster_backward
    raster.raster, raster.raster_backward = forward, backward
    try:
        yield
    finally:
        raster.raster, raster.raster_backward = vectorised


def count_pairs(gaussians: Gaussians, cameras: CameraTensors) -> tuple[int, int, int]:
    """Pairs of a pixel and a Gaussian with alpha at or above its minimum, those that are blended, and the most of a
    view."""
    with kernels(counting_raster), torch.no_grad():
        image = render(gaussians, cameras)
    blended = image.depth.double().sum((-1, -2))
    return int(image.alpha.double().sum()), int(blended.sum()), int(blended.max())


def images_and_gradients(gaussians: Gaussians, cameras: CameraTensors) -> list[torch.Tensor]:
    leaves, generator = [a.clone().requires_grad_() for a in vars(gaussians).values()], torch.Generator().manual_seed(0)
    image = render(Gaussians(*leaves), cameras)
    outputs = [image.rgb, image.alpha, image.depth]
    upstream = [torch.randn(a.shape, generator=generator) for a in outputs]
    return [*(a.detach() for a in outputs), *torch.autograd.grad(outputs, leaves, upstream)]


def difference(gaussians: Gaussians, cameras: CameraTensors, forward, backward) -> float:
    """Largest relative L2 difference between other pixel kernels and the package's own over images and gradients."""
    vectorised = images_and_gradients(gaussians, cameras)
    with kernels(forward, backward):
        scalar = images_and_gradients(gaussians, cameras)
    return max(float((a - b).norm() / a.norm()) for a, b in zip(scalar, vectorised))
