"""Surface points -> Gaussians: one flat disk per template point, as wide as the gap to its neighbours, so the solid is
closed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mousefacelift.core.gaussians import Gaussians
from mousefacelift.prior.surface_kernels import frames_of_neighbours, mean_of_neighbours, spread_to_neighbours

NEIGHBOURS = 6  # of every template point
# Per part (template.GROUPS), fitted to the silhouettes and colours of painted views of the true points:
SPREAD = (0.55, 0.35, 0.35, 0.35, 0.4)  # standard deviation of a disk over the RMS distance to its neighbours
ROUND = (0.8, 0.0, 0.5, 0.0, 0.5)  # least ratio of a disk's two widths; rings of the trunk are closer along than across
SINK = 1.0  # share of the way to the middle of its neighbours by which a disk, having a width, lies under its point
INSET = 0.7  # pixels by which it lies deeper still: renderers blur every disk by half a pixel, which widens outlines
MOST_INSET = 0.8  # of the distance to the neighbours; thin parts are not turned inside out
THICKNESS = 0.1  # of a disk over its smaller width
OPACITY = 0.7  # of one disk; several cover every point, and less widens outlines less


@dataclass(frozen=True)
class Disks:
    """N disks.

    Args:
        quats: [..., N, 4] wxyz. scales: [..., N, 3]. normals: [..., N, 3] outward. room: [..., N] most inset.
    """

    quats: Tensor
    scales: Tensor
    normals: Tensor
    room: Tensor


def shape_disks(points: Tensor, neighbours: Tensor, group: Tensor) -> Disks:
    """Disks that follow the surface of points [..., N, 3].

    The axes are those of the second moments of the neighbours [N, K] about each point; the shortest one is the normal.
    No gradients; on the CPU.
    """
    flat = points.detach().reshape(-1, *points.shape[-2:]).contiguous()
    values, frames = torch.empty_like(flat), flat.new_empty(*flat.shape, 3)
    frames_of_neighbours(*(part.numpy() for part in (flat, neighbours, values, frames)))
    values, frames = values.reshape(points.shape), frames.reshape(*points.shape, 3)
    wide = values[..., 1:].clamp_min(1e-12).sqrt()
    room = MOST_INSET * wide[..., 0]
    wide = torch.maximum(wide, points.new_tensor(ROUND)[group, None] * wide[..., 1:])
    scales = torch.cat([THICKNESS * wide[..., :1], wide], -1) * points.new_tensor(SPREAD)[group, None]
    return Disks(quaternions(frames), scales, frames[..., 0], room)


class _NeighbourMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, points: Tensor, neighbours: Tensor) -> Tensor:
        ctx.neighbours = neighbours
        flat = points.reshape(-1, *points.shape[-2:]).contiguous()
        out = torch.empty_like(flat)
        mean_of_neighbours(flat.numpy(), neighbours.numpy(), out.numpy())
        return out.reshape(points.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        flat = gradient.reshape(-1, *gradient.shape[-2:]).contiguous()
        out = torch.zeros_like(flat)
        spread_to_neighbours(flat.numpy(), ctx.neighbours.numpy(), out.numpy())
        return out.reshape(gradient.shape), None


def neighbour_mean(points: Tensor, neighbours: Tensor) -> Tensor:
    """Mean of points [..., N, 3] over the neighbours [N, K] of each, with gradients; on the CPU."""
    return _NeighbourMean.apply(points, neighbours)


def quaternions(rotation: Tensor) -> Tensor:
    """wxyz [..., 4] of rotation matrices [..., 3, 3], by the largest component (Shepperd's method)."""
    m = rotation
    trace = m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2]
    squares = torch.stack([trace, *(2 * m[..., i, i] - trace for i in range(3))], -1)  # 4 q^2 - 1
    rows = torch.stack(
        [
            torch.stack(
                [1 + trace, m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]], -1
            ),
            torch.stack(
                [
                    m[..., 2, 1] - m[..., 1, 2],
                    1 + squares[..., 1],
                    m[..., 0, 1] + m[..., 1, 0],
                    m[..., 0, 2] + m[..., 2, 0],
                ],
                -1,
            ),
            torch.stack(
                [
                    m[..., 0, 2] - m[..., 2, 0],
                    m[..., 0, 1] + m[..., 1, 0],
                    1 + squares[..., 2],
                    m[..., 1, 2] + m[..., 2, 1],
                ],
                -1,
            ),
            torch.stack(
                [
                    m[..., 1, 0] - m[..., 0, 1],
                    m[..., 0, 2] + m[..., 2, 0],
                    m[..., 1, 2] + m[..., 2, 1],
                    1 + squares[..., 3],
                ],
                -1,
            ),
        ],
        -2,
    )
    best = squares.argmax(-1)[..., None, None].expand(*squares.shape[:-1], 1, 4)
    return torch.nn.functional.normalize(rows.gather(-2, best).squeeze(-2), dim=-1)


def make_gaussians(
    points: Tensor,
    colours: Tensor,
    neighbours: Tensor,
    group: Tensor,
    pixel: float | Tensor,
    disks: Disks | None = None,
) -> Gaussians:
    """Disks [..., N] at points [..., N, 3] with colours [..., N, 3]; gradients reach positions and colours only.

    Args:
        pixel: length at the animal that a pixel of the renders spans; a tensor has a value for every set of points.
        disks: of an earlier call with nearly the same points; by default they are made anew.
    """
    with torch.no_grad():
        disks = disks or shape_disks(points, neighbours, group)
        inset = disks.normals * torch.minimum(disks.room, torch.as_tensor(INSET * pixel)).unsqueeze(-1)
    sunk = points + SINK * (neighbour_mean(points, neighbours) - points) - inset
    return Gaussians.from_rgb(sunk, disks.quats, disks.scales, torch.full_like(points[..., 0], OPACITY), colours)
