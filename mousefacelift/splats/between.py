"""Views that no camera took, rendered during a fit to keep the Gaussians honest between the cameras.

There is no picture to compare with, but an animal is solid: seen from anywhere, a pixel is either covered or free.
Gaussians that fit the cameras alone are not: the optimiser makes half-transparent whatever only blurs a silhouette a
little.
"""

from __future__ import annotations

import torch

from mousefacelift.core.camera_tensors import CameraTensors


def between_cameras(
    cameras: CameraTensors, center: torch.Tensor, count: int, generator: torch.Generator
) -> CameraTensors:
    """`count` cameras per scene between two neighbours around the ring, at a random share of the way, that look at
    `center`.

    Args:
        cameras: [B, V] of the fit.
        center: [B, 3], middle of the animal.
    Returns:
        CameraTensors [B, count] with the size of the fit's windows, aimed at their middle; world up is up.
    """
    offset = cameras.centers - center[:, None]
    radius = offset.norm(dim=-1)
    azimuth = torch.atan2(offset[..., 1], offset[..., 0])
    elevation = torch.asin((offset[..., 2] / radius).clamp(-1, 1))
    order = azimuth.argsort(1)
    views = azimuth.shape[1]
    first = torch.randint(views, (len(azimuth), count), generator=generator).to(azimuth.device)
    share = torch.rand(len(azimuth), count, generator=generator).to(azimuth.device)
    one, two = order.gather(1, first), order.gather(1, (first + 1) % views)

    def blend(values: torch.Tensor) -> torch.Tensor:
        return values.gather(1, one) * (1 - share) + values.gather(1, two) * share

    step = (azimuth.gather(1, two) - azimuth.gather(1, one)) % (2 * torch.pi)
    angle, height, distance = azimuth.gather(1, one) + share * step, blend(elevation), blend(radius)
    out = torch.stack([height.cos() * angle.cos(), height.cos() * angle.sin(), height.sin()], -1)
    right = torch.stack([-angle.sin(), angle.cos(), torch.zeros_like(angle)], -1)
    forward = -out
    rotation = torch.stack([right, torch.linalg.cross(forward, right), forward], -2)
    w2c = torch.eye(4, device=angle.device).repeat(*angle.shape, 1, 1)
    w2c[..., :3, :3] = rotation
    w2c[..., :3, 3] = -(rotation @ (center[:, None] + out * distance[..., None])[..., None])[..., 0]
    focal = cameras.fxfycxcy[..., 0].mean(1, keepdim=True).expand_as(angle)
    middle = torch.ones_like(angle)
    fxfycxcy = torch.stack([focal, focal, middle * cameras.width / 2, middle * cameras.height / 2], -1)
    return CameraTensors(w2c, fxfycxcy, cameras.width, cameras.height)
