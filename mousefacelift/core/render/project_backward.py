"""Kernel of the per-Gaussian half, backwards: sums over the pixels of each 2D Gaussian to gradients in 3D.

Closed forms of the derivatives of `project`; every step is the transpose of the forward step of the same name.
"""

from __future__ import annotations

import numpy as np

from mousefacelift.core.render.jit import inlined, kernel, take_ticket
from mousefacelift.core.render.project import (
    CAMERA,
    CHUNK,
    PACKED,
    _covariance,
    _rotation,
)
from mousefacelift.core.render.project_gradients import add_camera, store_covariance_gradient, to_world, view_gradient
from mousefacelift.core.render.simd import (
    LANES,
    SUM_LANE,
    fill,
    gather,
    load,
    scatter,
    select,
    store,
)


@inlined
def _pixel_sums(slots, first_slot, slot_count, at, scratch):
    """Add up the band slots of 16 Gaussians of one view into `scratch` [16 Gaussians, 16 sums]; True if any has one."""
    touched = False
    for lane in range(LANES):
        total = fill(slots, 0)
        first, count = first_slot[at + lane], slot_count[at + lane]
        touched = touched or count > 0
        for slot in range(first, first + count):
            total = total + load(slots, LANES * slot)
        store(scratch, LANES * lane, total)
    return touched


@inlined
def _sum_cameras(scratch, views, out, place):
    """Sum the lanes of `scratch` [V, 16, 16] into out[place : place + 16 V]."""
    for view in range(views):
        for quantity in range(LANES):
            at, total = (view * LANES + quantity) * LANES, scratch[0] * 0
            for lane in range(LANES):
                total += scratch[at + lane]
            out[place + view * LANES + quantity] = total


@inlined
def _scatter_three(array, place, values):
    scatter(array, 3 * place, 3, values[0])
    scatter(array, 3 * place + 1, 3, values[1])
    scatter(array, 3 * place + 2, 3, values[2])


@inlined
def _scatter_pixel_mean(v_means2d, row, values):
    if len(v_means2d):
        scatter(v_means2d, 2 * row, 2, values[0])
        scatter(v_means2d, 2 * row + 1, 2, values[1])


@inlined
def _gather_group(
    scene,
    g,
    packed,
    cameras,
    constants,
    antialiased,
    sizes,
    slots,
    first_slot,
    slot_count,
    v_means,
    v_quats,
    v_scales,
    v_opacities,
    v_colors,
    v_means2d,
    v_cameras,
    sums,
    lanes,
):
    """All gradients of 16 Gaussians of a scene, summed over its views in their order."""
    views, padded, shared_colors = sizes
    at, place = scene * PACKED * padded + g, scene * padded + g
    position = load(packed, at), load(packed, at + padded), load(packed, at + 2 * padded)
    r = _rotation(packed, at, padded)
    sigma = _covariance(r, load(packed, at + 7 * padded), load(packed, at + 8 * padded), load(packed, at + 9 * padded))
    zero = fill(slots, 0)
    none = (zero, zero, zero)
    v_position, v_o, v_rgb, v_sigma = none, zero, none, (zero, zero, zero, zero, zero, zero)
    for view in range(scene * views, (scene + 1) * views):
        c, row = view * CAMERA, view * padded + g
        if not _pixel_sums(slots, first_slot, slot_count, row, sums):
            if not shared_colors:
                _scatter_three(v_colors, row, none)
            _scatter_pixel_mean(v_means2d, row, none)
            continue
        rgb = gather(sums, SUM_LANE[0], LANES), gather(sums, SUM_LANE[1], LANES), gather(sums, SUM_LANE[2], LANES)
        if shared_colors:
            v_rgb = (v_rgb[0] + rgb[0], v_rgb[1] + rgb[1], v_rgb[2] + rgb[2])
        else:
            _scatter_three(v_colors, row, rgb)
        s, v_local, v_sigma, v_pixel, v_j, v_k, x_part, y_part = view_gradient(
            sums, cameras, c, position, sigma, constants, antialiased, v_sigma
        )
        v_o, v_position = v_o + s, to_world(cameras, c, v_local, v_position)
        _scatter_pixel_mean(v_means2d, row, v_pixel)
        if len(v_cameras):
            add_camera(lanes, view - scene * views, position, v_local, v_j, v_k, x_part, y_part)
    _scatter_three(v_means, place, v_position)
    opacity = load(packed, at + 10 * padded)
    scatter(v_opacities, place, 1, select(opacity > 0, v_o / opacity, 0))
    if shared_colors:
        _scatter_three(v_colors, place, v_rgb)
    store_covariance_gradient(packed, at, padded, r, v_sigma, v_quats, v_scales, place)


@kernel
def project_backward(
    tickets,
    tasks,
    packed,
    cameras,
    constants,
    antialiased,
    sizes,
    slots,
    first_slot,
    slot_count,
    v_means,
    v_quats,
    v_scales,
    v_opacities,
    v_colors,
    v_means2d,
    v_cameras,
):
    """Gradients of the raw parameters, rows padded to M; one task per scene and chunk.

    Args:
        slots: [T, 16] pixel sums: rgb, depth, then sum s (1, dx, dy, dx^2, dx dy, dy^2), at SUM_LANE.
        v_colors: [S or S * V, M, 3]: summed over the views, or one per view.
        v_means2d: [S * V, M, 2] or empty.
        v_cameras: [S, chunks, V, 16] or empty.
    """
    views, padded = sizes[0], sizes[1]
    chunks = (padded + CHUNK - 1) // CHUNK
    sums = np.empty(LANES * LANES, slots.dtype)
    lanes = np.empty(views * LANES * LANES if len(v_cameras) else 1, slots.dtype)
    while True:
        task = take_ticket(tickets)
        if task >= tasks:
            return
        scene, first = task // chunks, task % chunks * CHUNK
        lanes[:] = 0
        for g in range(first, min(first + CHUNK, padded), LANES):
            _gather_group(
                scene,
                g,
                packed,
                cameras,
                constants,
                antialiased,
                sizes,
                slots,
                first_slot,
                slot_count,
                v_means,
                v_quats,
                v_scales,
                v_opacities,
                v_colors,
                v_means2d,
                v_cameras,
                sums,
                lanes,
            )
        if len(v_cameras):
            _sum_cameras(lanes, views, v_cameras, task * views * LANES)
