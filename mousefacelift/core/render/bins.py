"""Kernels that put the 2D Gaussians of a view into depth order and into the lists of the 8 x 8 tiles they touch."""

from __future__ import annotations

import math

import numpy as np

from mousefacelift.core.render.jit import inlined, kernel, take_ticket
from mousefacelift.core.render.project import FLAT, TILE
from mousefacelift.core.render.simd import LANES

BAND = 2  # tile rows that share a gradient slot: one raster task
RADIX_BITS = 11


@inlined
def _radix_sort(keys, items, spare_keys, spare_items, count, bits):
    """Stable sort of items by unsigned keys, least significant digits first; digits that are all equal are skipped.

    Returns True when the result is in the spare arrays.
    """
    histogram = np.zeros(1 << RADIX_BITS, np.int64)
    digit_mask = keys.dtype.type((1 << RADIX_BITS) - 1)
    swapped = False
    for shift in range(0, bits, RADIX_BITS):
        move = keys.dtype.type(shift)
        source, target = (spare_keys, keys) if swapped else (keys, spare_keys)
        source_items, target_items = (spare_items, items) if swapped else (items, spare_items)
        histogram[:] = 0
        for i in range(count):
            histogram[np.intp((source[i] >> move) & digit_mask)] += 1
        if count == 0 or histogram[np.intp((source[0] >> move) & digit_mask)] == count:
            continue
        total = 0
        for digit in range(1 << RADIX_BITS):
            here = histogram[digit]
            histogram[digit] = total
            total += here
        for i in range(count):
            digit = np.intp((source[i] >> move) & digit_mask)
            target[histogram[digit]] = source[i]
            target_items[histogram[digit]] = source_items[i]
            histogram[digit] += 1
        swapped = not swapped
    return swapped


@kernel
def count_work(tickets, tasks, flat, padded, work):
    """Per view: visible Gaussians, tile rows, an upper bound of tile entries, band slots -> `work` [S * V, 4]."""
    while True:
        view = take_ticket(tickets)
        if view >= tasks:
            return
        base = view * FLAT * padded
        visible, rows, entries, slots = 0, 0, 0, 0
        for g in range(padded):
            row0, row1 = int(flat[base + 7 * padded + g]), int(flat[base + 8 * padded + g])
            if row1 >= row0:
                columns = int(flat[base + 10 * padded + g]) - int(flat[base + 9 * padded + g]) + 1
                visible += 1
                rows += row1 - row0 + 1
                entries += (row1 - row0 + 1) * columns
                slots += row1 // BAND - row0 // BAND + 1
        work[view, 0], work[view, 1], work[view, 2], work[view, 3] = visible, rows, entries, slots


@inlined
def _order(flat, bits, base, padded, count):
    """Indices [count] of the visible Gaussians of one view by depth, equal depths by index."""
    keys, spare_keys = np.empty(count, bits.dtype), np.empty(count, bits.dtype)
    items, spare_items = np.empty(count, np.int32), np.empty(count, np.int32)
    n = 0
    for g in range(padded):
        if flat[base + 8 * padded + g] >= flat[base + 7 * padded + g]:
            keys[n] = bits[base + 6 * padded + g]  # positive floats sort like their bits
            items[n] = g
            n += 1
    swapped = _radix_sort(keys, items, spare_keys, spare_items, count, keys.itemsize * 8)
    return spare_items if swapped else items


@inlined
def _spans(flat, base, padded, order, count, low, spans, changes, across):
    """Tile columns of every (Gaussian in depth order, tile row); `changes` [rows, across + 1] of the count along a row.

    In row y of the ellipse a dx^2 + b dx dy + c dy^2 <= level, dx = (-b dy +- sqrt((b^2 - 4 a c) dy^2 + 4 a level)) /
    2a. Its largest dx, `half`, is reached at dy = -slope * half; the nearest dy of the tile row's pixel centres gives
    the row's ends. Slack of 0.01 px: the pixels decide. Division-free per row, in units of tiles.
    """
    at, shrink = 0, 1.0 / TILE
    for rank in range(count):
        i = base + order[rank]
        u, v = float(flat[i]), float(flat[i + padded])
        a, b, c = float(flat[i + 2 * padded]), float(flat[i + 3 * padded]), float(flat[i + 4 * padded])
        level = float(flat[i + 5 * padded]) - low
        slope = b / (2 * c)
        turn = slope * math.sqrt(level / max(a - 0.5 * b * slope, 1e-30))
        first, last = float(flat[i + 9 * padded]), float(flat[i + 10 * padded])
        scale = 0.5 / a
        bend, reach, tilt = (b * b - 4 * a * c) * scale * scale, 4 * a * level * scale * scale, -b * scale
        left_end, right_end = (u - 0.01 - (TILE - 0.5)) * shrink, (u + 0.01 - 0.5) * shrink
        for row in range(int(flat[i + 7 * padded]), int(flat[i + 8 * padded]) + 1):
            lowest = row * TILE + 0.5 - v
            highest = lowest + (TILE - 1)
            y_right, y_left = min(max(-turn, lowest), highest), min(max(turn, lowest), highest)
            right = right_end + shrink * (tilt * y_right + math.sqrt(max(bend * y_right * y_right + reach, 0.0)))
            left = left_end + shrink * (tilt * y_left - math.sqrt(max(bend * y_left * y_left + reach, 0.0)))
            column0 = last + 1 - np.int64(last + 1 - min(max(left, first), last + 1))  # ceil of a number in the range
            column1 = np.int64(min(max(right, first - 1), last) + 1) - 1  # floor
            spans[at], spans[at + 1] = np.int32(column0), np.int32(column1)
            at += 2
            begin = row * (across + 1)
            changes[np.uint64(begin + np.int64(column0))] += 1
            changes[np.uint64(begin + column1 + 1)] -= 1


@inlined
def _record(flat, base, padded, g, colors, color, records, at):
    """The 10 numbers of one Gaussian that the pixels need, side by side: one cache line in single precision."""
    for k in range(6):
        records[at + k] = flat[base + k * padded + g]
    for k in range(3):
        records[at + 6 + k] = colors[color + k]
    records[at + 9] = flat[base + 6 * padded + g]


@inlined
def _start_tiles(changes, across, first, view, tile_start, cursor):
    """Changes of the counts to where each tile's list begins, in `cursor` and `tile_start`."""
    total, tiles = first, len(cursor)
    for row in range(tiles // across):
        here = 0
        for column in range(across):
            tile = row * across + column
            here += changes[tile + row]
            tile_start[view, tile], cursor[tile] = total, total
            total += here
    tile_start[view, tiles] = total


@kernel
def fill_tiles(
    tickets,
    tasks,
    flat,
    bits,
    colors,
    constants,
    sizes,
    work,
    starts,
    records,
    first_slot,
    slot_count,
    shift,
    tile_start,
    entries,
):
    """Depth order, records and tile lists; one task per view.

    Args:
        bits: `flat` seen as unsigned integers.
        starts: [S * V, 3] where the view's records, entries and slots begin.
        records: [sum of visible, 16] in depth order.
        first_slot, slot_count: [S * V, M] band slots of each Gaussian.
        shift: [sum of visible] slot of a Gaussian in band k = shift + k.
        tile_start: [S * V, tiles + 1] into `entries`, the ranks (global record numbers) per tile in depth order.
    """
    views, padded, count, width, height, shared_colors = sizes
    across, down = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    while True:
        view = take_ticket(tickets)
        if view >= tasks:
            return
        base, visible, slot, at = view * FLAT * padded, work[view, 0], starts[view, 2], 0
        order = _order(flat, bits, base, padded, visible)
        spans, changes = np.empty(2 * work[view, 1], np.int32), np.zeros((across + 1) * down, np.int64)
        _spans(flat, base, padded, order, visible, float(constants[2]), spans, changes, across)
        cursor = np.empty(across * down, np.int64)
        _start_tiles(changes, across, starts[view, 1], view, tile_start, cursor)
        slot_count[view * padded : (view + 1) * padded] = 0
        for rank in range(visible):
            g, record = order[rank], starts[view, 0] + rank
            color = view // views * count + g if shared_colors else view * count + g
            _record(flat, base, padded, g, colors, 3 * color, records, LANES * record)
            row0, row1 = int(flat[base + 7 * padded + g]), int(flat[base + 8 * padded + g])
            first_slot[view * padded + g], slot_count[view * padded + g] = slot, row1 // BAND - row0 // BAND + 1
            shift[record] = slot - row0 // BAND
            slot += row1 // BAND - row0 // BAND + 1
            for row in range(row0, row1 + 1):
                for tile in range(row * across + spans[at], row * across + spans[at + 1] + 1):
                    entries[cursor[tile]] = record
                    cursor[tile] += 1
                at += 2
