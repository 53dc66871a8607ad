"""Which Gaussians of a reconstruction are kept in a file: the published post filters, in their order."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mousefacelift.core.gaussians import Gaussians

BODY_BOX = (-0.91, 0.91, -0.91, 0.91, -1.0, 1.0)


@dataclass(frozen=True)
class FilterConfig:
    """Post filters; the defaults are those of FaceLift's command line. None switches a filter off.

    scale_max and floater are made for heads above a floor of floaters (they act below z = 0); box is
    (x0, x1, y0, y1, z0, z1), bounds kept; near_far are percentiles of the distance to each camera.
    """

    opacity_min: float = 0.04
    scale_max: float | None = 0.1
    floater: float | None = 0.6
    box: tuple[float, float, float, float, float, float] | None = BODY_BOX
    near_far: tuple[float, float] | None = None


FILTERS = {
    "body": FilterConfig(opacity_min=0.02, scale_max=None, floater=None, box=(-1.0, 1.0) * 3),
    "cli": FilterConfig(),
    "gradio": FilterConfig(scale_max=0.2, floater=0.75),
    "train_eval": FilterConfig(opacity_min=0.02, scale_max=None, floater=None, box=(-0.91, 0.91) * 3),
    "none": FilterConfig(opacity_min=0.0, scale_max=None, floater=None, box=None),
}


def rows_to_keep(gaussians: Gaussians, config: FilterConfig, camera_centers: Tensor | None = None) -> Tensor:
    """Bool [N]: which Gaussians of one scene pass all filters.

    Args:
        gaussians: one scene, means [N, 3].
        camera_centers: [V, 3]; needed for near_far, whose quantiles are taken over the Gaussians still kept.
    """
    x, y, z = gaussians.means.unbind(-1)
    keep = gaussians.opacities > config.opacity_min
    if config.scale_max is not None:
        keep = keep & ((gaussians.scales.amax(-1) < config.scale_max) | (z > 0))
    if config.floater is not None:
        keep = keep & ~((x.abs() > config.floater) & (y.abs() > config.floater) & (z < -config.floater))
    if config.box is not None:
        low, high = gaussians.means.new_tensor(config.box).reshape(3, 2).T
        keep = keep & ((gaussians.means >= low) & (gaussians.means <= high)).all(-1)
    if config.near_far is not None and camera_centers is not None and keep.any():
        distance = torch.cdist(camera_centers, gaussians.means)  # [V, N]
        near, far = (torch.quantile(distance[:, keep], q / 100, dim=1, keepdim=True) for q in config.near_far)
        keep = keep & ((distance >= near) & (distance <= far)).all(0)
    return keep
