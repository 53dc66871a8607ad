"""Kernel that compares rendered planes with pictures: sums for the loss and gradients for the renderer in one pass."""

from __future__ import annotations

import numpy as np

from mousefacelift.core.render.jit import inlined, kernel, take_ticket
from mousefacelift.core.render.simd import LANES, fill, fma, get, load, maximum, select, store

RENDERED, GOAL = 5, 5  # planes of a rendered image (rgb, alpha, depth) and of a goal (rgb times alpha, alpha, weight)


@inlined
def _sign(value, weight):
    """`weight` with the sign of `value`, 0 where that is 0 (or NaN)."""
    return select(value > 0, weight, select(value < 0, 0 - weight, 0))


@inlined
def _goal(goals, background, from_goal, b, channel, pixels, p):
    """Colours of a goal over a background."""
    behind = 1 - load(goals, from_goal + 3 * pixels + p)
    return fma(behind, get(background, b + channel), load(goals, from_goal + channel * pixels + p))


@inlined
def _compare_pixels(
    images, goals, background, slopes, factors, at, from_goal, b, pixels, v_rgb, v_alpha, out, out_alpha
):
    """L1 of one image; returns the loss by colour and by alpha, as vectors of parts."""
    by_color, by_alpha = fill(images, 0), fill(images, 0)
    for p in range(0, pixels, LANES):
        weight = load(goals, from_goal + 4 * pixels + p)
        step = weight * get(factors, 0)
        for channel in range(3):
            here = out + channel * pixels + p
            off = load(images, at + channel * pixels + p) - _goal(goals, background, from_goal, b, channel, pixels, p)
            by_color = fma(weight, maximum(off, 0 - off), by_color)
            slope = _sign(off, step)
            store(v_rgb, here, fma(weight, load(slopes, here), slope) if len(slopes) else slope)
        off = load(images, at + 3 * pixels + p) - load(goals, from_goal + 3 * pixels + p)
        step = weight * select(off < 0, fill(images, get(factors, 3)), fill(images, get(factors, 1)))
        by_alpha = fma(step, maximum(off, 0 - off), by_alpha)
        store(v_alpha, out_alpha + p, _sign(off, step))
    return by_color * get(factors, 0), by_alpha


@inlined
def _half_covered(images, factor, at, pixels, v_rgb, v_alpha, out, out_alpha):
    """Sum of alpha (1 - alpha) of one image, as a vector."""
    total, zero = fill(images, 0), fill(images, 0)
    for p in range(0, pixels, LANES):
        alpha = load(images, at + 3 * pixels + p)
        total = fma(alpha, 1 - alpha, total)
        store(v_alpha, out_alpha + p, factor * (1 - 2 * alpha))
        for channel in range(3):
            store(v_rgb, out + channel * pixels + p, zero)
    return total


@inlined
def _sum_lanes(vector, lanes):
    total = lanes[0] * 0
    store(lanes, 0, vector)
    for lane in range(LANES):
        total += lanes[lane]
    return total


@kernel
def lay_side_by_side(tickets, tasks, images, goals, chosen, background, views, pixels, pictures, wanted):
    """Colours of images and of their goals over the background, for measures that need whole planes.

    One task per image; a pixel that does not count shows the goal in both. Arguments are those of `compare_planes`.

    Args:
        pictures, wanted: [S, E, 3, P], written for images that have a goal, 0 for the others.
    """
    in_goals, with_goal, shown = views
    while True:
        task = take_ticket(tickets)
        if task >= tasks:
            return
        scene, view = task // shown, task % shown
        at, out = task * RENDERED * pixels, task * 3 * pixels
        if view >= with_goal:
            pictures[out : out + 3 * pixels] = 0
            wanted[out : out + 3 * pixels] = 0
            continue
        from_goal = (scene * in_goals + chosen[view]) * GOAL * pixels
        for p in range(0, pixels, LANES):
            weight = load(goals, from_goal + 4 * pixels + p)
            for channel in range(3):
                goal = _goal(goals, background, from_goal, 3 * task, channel, pixels, p)
                off = load(images, at + channel * pixels + p) - goal
                store(wanted, out + channel * pixels + p, goal)
                store(pictures, out + channel * pixels + p, fma(weight, off, goal))


@kernel
def compare_planes(
    tickets, tasks, images, goals, chosen, background, slopes, factors, views, pixels, v_rgb, v_alpha, sums
):
    """One task per image: weighted L1 against the goal, or alpha (1 - alpha) of images that have none.

    Args:
        images: [S, E, 5, P], E images of a scene, of which the first V have goals.
        goals: [S, G, 5, P]; chosen: [V] which of the G belong to the images.
        background: [S, E, 3], what the images were rendered over.
        slopes: [S, E, 3, P] further gradients by the colours of pixels that count, or empty.
        factors: of the loss: on colour, on alpha that is too much, on alpha (1 - alpha), on alpha that is missing.
        views: G, V, E.
        pixels: P, a multiple of 16.
        v_rgb, v_alpha: [S, E, 3, P] and [S, E, P], gradients of the loss.
        sums: [S, E, 2]: loss by colour and by alpha; of an image without goal the loss and 0.
    """
    in_goals, with_goal, shown = views
    lanes = np.empty(LANES, images.dtype)
    while True:
        task = take_ticket(tickets)
        if task >= tasks:
            return
        scene, view = task // shown, task % shown
        at, out, out_alpha = task * RENDERED * pixels, task * 3 * pixels, task * pixels
        if view < with_goal:
            by_color, by_alpha = _compare_pixels(
                images,
                goals,
                background,
                slopes,
                factors,
                at,
                (scene * in_goals + chosen[view]) * GOAL * pixels,
                3 * task,
                pixels,
                v_rgb,
                v_alpha,
                out,
                out_alpha,
            )
            sums[2 * task], sums[2 * task + 1] = _sum_lanes(by_color, lanes), _sum_lanes(by_alpha, lanes)
        else:
            half = _half_covered(images, get(factors, 2), at, pixels, v_rgb, v_alpha, out, out_alpha)
            sums[2 * task], sums[2 * task + 1] = _sum_lanes(half * get(factors, 2), lanes), lanes[0] * 0
