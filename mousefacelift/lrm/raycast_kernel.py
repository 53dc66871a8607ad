"""Compiled loop of `raycast.count_votes`."""

from __future__ import annotations

import numpy as np

from mousefacelift.core.compiled import compiled
from mousefacelift.core.render.jit import take_ticket

RAYS = 512  # of a task


@compiled(error_model="numpy")
def count_ray_votes(tickets, tasks, origin, direction, offset, ballots, w2c, fxfycxcy, votes):
    """See `raycast.count_votes`; votes [B, R, S] are written. A task is RAYS rays of a scene."""
    rays, samples = origin.shape[1], len(offset)
    views, height, width = ballots.shape[1:]
    per_scene = (rays + RAYS - 1) // RAYS
    last_column, last_row, one, zero = np.float32(width - 1), np.float32(height - 1), np.float32(1), np.float32(0)
    index = np.empty(samples, np.int32)
    distance = np.empty(samples, np.float32)
    while True:
        task = take_ticket(tickets)
        if task >= tasks:
            return
        scene, first = task // per_scene, task % per_scene * RAYS
        for ray in range(first, min(first + RAYS, rays)):
            o, d, counted = origin[scene, ray], direction[scene, ray], votes[scene, ray]
            nearest = o[0] * d[0] + o[1] * d[1] + o[2] * d[2]
            for s in range(samples):
                distance[s] = offset[s] - nearest
                counted[s] = 0
            for view in range(views):
                m, k, ballot = w2c[scene, view], fxfycxcy[scene, view], ballots[scene, view].reshape(-1)
                z0 = m[2, 0] * o[0] + m[2, 1] * o[1] + m[2, 2] * o[2] + m[2, 3]
                dz = m[2, 0] * d[0] + m[2, 1] * d[1] + m[2, 2] * d[2]
                x0 = k[0] * (m[0, 0] * o[0] + m[0, 1] * o[1] + m[0, 2] * o[2] + m[0, 3]) + k[2] * z0
                dx = k[0] * (m[0, 0] * d[0] + m[0, 1] * d[1] + m[0, 2] * d[2]) + k[2] * dz
                y0 = k[1] * (m[1, 0] * o[0] + m[1, 1] * o[1] + m[1, 2] * o[2] + m[1, 3]) + k[3] * z0
                dy = k[1] * (m[1, 0] * d[0] + m[1, 1] * d[1] + m[1, 2] * d[2]) + k[3] * dz
                for s in range(samples):
                    inverse = one / (z0 + distance[s] * dz)
                    # in this order what is not a number falls outside the frame, and no index outside the picture
                    column = min(last_column, max(zero, (x0 + distance[s] * dx) * inverse + one))
                    row = min(last_row, max(zero, (y0 + distance[s] * dy) * inverse + one))
                    index[s] = np.int32(row) * np.int32(width) + np.int32(column)
                for s in range(samples):
                    counted[s] += ballot[index[s]]
