"""Where the ray of an input pixel may meet the body, from the silhouettes or the frames of the input views alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mousefacelift.core.render.jit import run
from mousefacelift.lrm.raycast_kernel import RAYS, count_ray_votes

SAMPLES = 48  # along a ray
INSIDE = 0.1  # alpha from which a pixel belongs to the silhouette


@torch.no_grad()
def allowed_part(
    origin: Tensor, direction: Tensor, alpha: Tensor, w2c: Tensor, fxfycxcy: Tensor, reach: float
) -> Tensor:
    """Where along each ray the most views see foreground, bool [B, R, SAMPLES]: its part of the visual hull.

    Where silhouettes contradict each other (errors of calibration or masks) that is the part that most of them allow. A
    view that does not show a point, because it lies outside the frame, has half a vote for it: a camera that sees
        little of the body forbids
    nothing, and a corner that most cameras miss is no body. Every ray has some such part; it may lie in several pieces.

    Args:
        origin, direction: [B, R, 3] rays, directions of unit length.
        alpha: [B, V, H, W] of the input views, with w2c [B, V, 4, 4] and fxfycxcy [B, V, 4].
        reach: the ray is searched this far to each side of its closest approach to the world origin, which lies in
            front of every camera.
    """
    step = 2 * reach / SAMPLES
    offset = torch.arange(SAMPLES, device=origin.device) * step - reach + step / 2
    ballots = F.pad(2 * (alpha > INSIDE).to(torch.uint8), (1, 1, 1, 1), value=1)  # in half votes
    count = count_votes_cpu if origin.device.type == "cpu" and origin.dtype == torch.float32 else count_votes
    votes = count(origin, direction, offset, ballots, w2c, fxfycxcy)
    return votes == votes.amax(-1, keepdim=True)


def count_votes(
    origin: Tensor, direction: Tensor, offset: Tensor, ballots: Tensor, w2c: Tensor, fxfycxcy: Tensor
) -> Tensor:
    """Sum over the views of the ballots that the samples of every ray fall on, uint8 [B, R, S].

    Args:
        origin, direction: [B, R, 3]. offset: [S] of the samples from the ray's closest approach to the world origin.
        ballots: uint8 [B, V, H + 2, W + 2], pictures with a border of one pixel that stands for all outside the frame.
        w2c: [B, V, 4, 4]. fxfycxcy: [B, V, 4].
    """
    distance = offset - (origin * direction).sum(-1, keepdim=True)  # [B, R, S]
    height, width = ballots.shape[-2:]
    votes = torch.zeros(distance.shape, dtype=torch.uint8, device=origin.device)
    for view in range(ballots.shape[1]):
        fx, fy, cx, cy = (part[:, None] for part in fxfycxcy[:, view].unbind(-1))
        start = torch.baddbmm(w2c[:, view, None, :3, 3], origin, w2c[:, view, :3, :3].mT)
        slope = direction @ w2c[:, view, :3, :3].mT
        z = torch.addcmul(start[..., 2:], distance, slope[..., 2:])
        column, row = (
            torch.addcmul(
                (f * start[..., i] + c * start[..., 2])[..., None],
                distance,
                (f * slope[..., i] + c * slope[..., 2])[..., None],
            )
            .div_(z)
            .add_(1)
            .clamp_(0, edge - 1)
            .long()
            for i, f, c, edge in ((0, fx, cx, width), (1, fy, cy, height))
        )
        index = row.mul_(width).add_(column).flatten(1)
        votes += torch.gather(ballots[:, view].flatten(1), 1, index).reshape(distance.shape)
    return votes


def count_votes_cpu(
    origin: Tensor, direction: Tensor, offset: Tensor, ballots: Tensor, w2c: Tensor, fxfycxcy: Tensor
) -> Tensor:
    """`count_votes` in one pass; a sample within rounding of a pixel's edge may fall to its other side."""
    votes = torch.empty((*origin.shape[:2], len(offset)), dtype=torch.uint8)
    parts = (part.contiguous().numpy() for part in (origin, direction, offset, ballots, w2c, fxfycxcy, votes))
    tasks = len(origin) * -(-origin.shape[1] // RAYS)
    run(count_ray_votes, tasks, *parts)
    return votes


def ends(allowed: Tensor, reach: float) -> Tensor:
    """Begin and end [B, R, 2] of the allowed part, as distances from the ray's closest approach to the origin."""
    number = torch.arange(1, SAMPLES + 1, dtype=torch.uint8, device=allowed.device)
    first, last = SAMPLES - (allowed * number.flip(0)).amax(-1), (allowed * number).amax(-1)
    return torch.stack([first, last], -1) * (2 * reach / SAMPLES) - reach


def offset_within(allowed: Tensor, share: Tensor, reach: float) -> Tensor:
    """The point [B, R, 1] that has `share` [B, R, 1] of the allowed part before it, as a distance from the closest
    approach.

    Gaps are jumped over, so no share names a point that the silhouettes exclude.
    """
    count = allowed.cumsum(-1, dtype=torch.float32)
    position = share * count[..., -1:]
    whole = torch.minimum(position.detach().floor(), count[..., -1:] - 1)
    return (torch.searchsorted(count, whole, right=True) + position - whole) * (2 * reach / SAMPLES) - reach


@torch.no_grad()
def framed_part(
    origin: Tensor, direction: Tensor, w2c: Tensor, fxfycxcy: Tensor, size: tuple[int, int], reach: float
) -> tuple[Tensor, Tensor]:
    """Begin and end [B, R, 1] of the piece of each ray that all views frame, from the ray's closest approach to the
    origin; a ray of which no piece is framed by all keeps its whole reach.

    Args:
        origin, direction: [B, R, 3] rays, directions of unit length. size: (width, height) of the pictures.
        w2c: [B, V, 4, 4]. fxfycxcy: [B, V, 4].
        reach: the ray is searched this far to each side.
    """
    start = origin[:, None] @ w2c[..., :3, :3].mT + w2c[..., None, :3, 3]  # [B, V, R, 3] in the cameras
    slope = direction[:, None] @ w2c[..., :3, :3].mT
    middle = -(origin * direction).sum(-1)[:, None]  # distance of the closest approach
    begin, end = torch.full_like(middle[:, 0], -reach), torch.full_like(middle[:, 0], reach)
    for axis in (0, 1):
        f, c = fxfycxcy[..., axis, None], fxfycxcy[..., 2 + axis, None]
        for sign, edge in ((1.0, 0.0), (-1.0, float(size[axis]))):  # sign * (pixel - edge) >= 0, times the depth
            at = sign * (f * start[..., axis] + (c - edge) * start[..., 2])
            per_unit = sign * (f * slope[..., axis] + (c - edge) * slope[..., 2])
            bound = -at / torch.where(per_unit.abs() < 1e-9, 1e-9, per_unit) - middle
            begin = torch.maximum(begin, torch.where(per_unit > 0, bound, -torch.inf).amax(1))
            end = torch.minimum(end, torch.where(per_unit < 0, bound, torch.inf).amin(1))
    empty = begin >= end
    return torch.where(empty, -reach, begin)[..., None], torch.where(empty, reach, end)[..., None]
