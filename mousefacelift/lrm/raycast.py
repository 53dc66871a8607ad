"""Where the ray of an input pixel may meet the body, from the silhouettes of the input views alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SAMPLES = 48  # along a ray
INSIDE = 0.1  # alpha from which a pixel belongs to the silhouette


@torch.no_grad()
def silhouette_interval(origin: Tensor, direction: Tensor, alpha: Tensor, w2c: Tensor, fxfycxcy: Tensor,
                        reach: float) -> tuple[Tensor, Tensor]:
    """First and last distance [B, R, 1] along each ray at which the most views see foreground: its part of the visual hull.

    Where silhouettes contradict each other (errors of calibration or masks) that is the part that most of them allow. A point
    outside a view's frame is allowed by that view.

    Args:
        origin, direction: [B, R, 3] rays, directions of unit length.
        alpha: [B, V, H, W] of the input views, with w2c [B, V, 4, 4] and fxfycxcy [B, V, 4].
        reach: the ray is searched this far to each side of its closest approach to the world origin, which lies in front of
            every camera.
    """
    step = 2 * reach / SAMPLES
    offset = torch.arange(SAMPLES, device=origin.device) * step - reach + step / 2
    distance = offset - (origin * direction).sum(-1, keepdim=True)  # [B, R, S]
    height, width = alpha.shape[-2:]
    allowed = F.pad(alpha > INSIDE, (1, 1, 1, 1), value=True).flatten(2)
    votes = torch.zeros(distance.shape, dtype=torch.uint8, device=origin.device)
    for view in range(alpha.shape[1]):
        fx, fy, cx, cy = (part[:, None] for part in fxfycxcy[:, view].unbind(-1))
        start = torch.baddbmm(w2c[:, view, None, :3, 3], origin, w2c[:, view, :3, :3].mT)
        slope = direction @ w2c[:, view, :3, :3].mT
        z = torch.addcmul(start[..., 2:], distance, slope[..., 2:])
        column, row = (
            torch.addcmul((f * start[..., i] + c * start[..., 2])[..., None], distance,
                          (f * slope[..., i] + c * slope[..., 2])[..., None]).div_(z).add_(1).clamp_(0, limit + 1).long()
            for i, f, c, limit in ((0, fx, cx, width), (1, fy, cy, height)))
        index = row.mul_(width + 2).add_(column).flatten(1)
        votes += torch.gather(allowed[:, view], 1, index).reshape(distance.shape)
    agreed = (votes == votes.amax(-1, keepdim=True)).to(torch.uint8)
    first, last = agreed.argmax(-1, keepdim=True), SAMPLES - 1 - agreed.flip(-1).argmax(-1, keepdim=True)
    return torch.gather(distance, 2, first) - step / 2, torch.gather(distance, 2, last) + step / 2
