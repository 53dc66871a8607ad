"""LGM's world: seen from its first view, Y up, OpenGL camera axes, that view at distance 1.5 on the z axis.

From our cameras [R|t] (OpenCV axes, any world) with view 0 as the reference, F = diag(1, -1, -1) and s = 1.5 / |t0|:
x_lgm = s F R0 x + s F t0 + (0, 0, 1.5). A camera that looks at the origin keeps it at LGM's origin. One scale for all
views: each camera keeps its true distance relative to view 0.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mousefacelift.core.gaussians import Gaussians, multiply_quats

RADIUS = 1.5  # distance of view 0 from LGM's origin
MEAN = (0.485, 0.456, 0.406)  # of the colours the network sees (ImageNet's), and their deviation
DEVIATION = (0.229, 0.224, 0.225)


class World(NamedTuple):
    """x_lgm = scale * rotation @ x + translation: scale [B], rotation [B, 3, 3], translation [B, 3]."""

    scale: Tensor
    rotation: Tensor
    translation: Tensor

    def back(self, means: Tensor, quats: Tensor, scales: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Means, rotations (wxyz) and scales [B, N, ...] of LGM's world, in ours."""
        size = self.scale[:, None, None]
        means = ((means - self.translation[:, None]) / size) @ self.rotation
        return means, multiply_quats(quat_of(self.rotation.transpose(1, 2))[:, None], quats), scales / size


def world_of(c2w: Tensor) -> tuple[World, Tensor]:
    """The map into LGM's world of B scenes, and their cameras there.

    Args:
        c2w: [B, V, 4, 4] OpenCV axes.
    Returns:
        The map, and c2w [B, V, 4, 4] in LGM's world with OpenGL axes.
    """
    flip = c2w.new_tensor([1.0, -1.0, -1.0])
    first = c2w[:, 0]
    r0 = first[:, :3, :3].transpose(1, 2)  # world -> camera 0
    t0 = -(r0 @ first[:, :3, 3:])[..., 0]
    scale = RADIUS / t0.norm(dim=-1)
    rotation = flip[:, None] * r0
    translation = scale[:, None] * flip * t0 + c2w.new_tensor([0.0, 0.0, RADIUS])
    world = World(scale, rotation, translation)
    out = torch.zeros_like(c2w)
    out[..., :3, :3] = (rotation[:, None] @ c2w[..., :3, :3]) * flip
    out[..., :3, 3] = scale[:, None, None] * (c2w[..., :3, 3] @ rotation.transpose(1, 2)) + translation[:, None]
    out[..., 3, 3] = 1.0
    return world, out


def pluecker(c2w: Tensor, fxfycxcy: Tensor, height: int, width: int) -> Tensor:
    """o x d and d [..., 6, H, W] of the rays through all pixel centres.

    Args:
        c2w: [..., 4, 4] OpenGL axes (x right, y up, z backward). fxfycxcy: [..., 4] pixels, y downwards.
    """
    fx, fy, cx, cy = (part[..., None, None] for part in fxfycxcy.unbind(-1))
    column = torch.arange(width, device=c2w.device, dtype=c2w.dtype) + 0.5
    row = torch.arange(height, device=c2w.device, dtype=c2w.dtype)[:, None] + 0.5
    x, y = torch.broadcast_tensors((column - cx) / fx, -(row - cy) / fy)
    direction = torch.stack([x, y, -torch.ones_like(x)], dim=-3)
    direction = F.normalize(torch.einsum("...ij,...jhw->...ihw", c2w[..., :3, :3], direction), dim=-3, eps=1e-12)
    origin = c2w[..., :3, 3, None, None].expand_as(direction)
    return torch.cat([torch.linalg.cross(origin, direction, dim=-3), direction], dim=-3)


def show(image: Tensor, c2w: Tensor, fxfycxcy: Tensor) -> Tensor:
    """What the network sees: normalised colour, o x d, d [..., 9, H, W].

    Args:
        image: [..., 3, H, W] in [0,1] on white. c2w: [..., 4, 4] in LGM's world, OpenGL axes.
    """
    mean, deviation = (image.new_tensor(v)[:, None, None] for v in (MEAN, DEVIATION))
    return torch.cat([(image - mean) / deviation, pluecker(c2w, fxfycxcy, *image.shape[-2:])], dim=-3)


def resized(image: Tensor, fxfycxcy: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Images [B, V, C, size, size], bilinear without antialiasing as published, and their intrinsics."""
    b, v, c, height, width = image.shape
    if (height, width) == (size, size):
        return image, fxfycxcy
    image = F.interpolate(image.flatten(0, 1), size=(size, size), mode="bilinear", align_corners=False)
    factor = fxfycxcy.new_tensor([size / width, size / height, size / width, size / height])
    return image.reshape(b, v, c, size, size), fxfycxcy * factor


def zoomed(image: Tensor, fxfycxcy: Tensor, fovy: float) -> tuple[Tensor, Tensor]:
    """Images [B, V, C, H, H] as a centred camera of `fovy` degrees would have taken them from the same place: what
    published weights know. What was not filmed is white (and alpha 0)."""
    b, v, c, height, width = image.shape
    focal = height / 2 / torch.tan(torch.deg2rad(torch.tensor(fovy / 2, dtype=torch.float64))).item()
    wanted = fxfycxcy.new_tensor([focal, focal, width / 2, height / 2])
    column = torch.arange(width, device=image.device, dtype=image.dtype) + 0.5 - width / 2
    row = torch.arange(height, device=image.device, dtype=image.dtype) + 0.5 - height / 2
    fx, fy, cx, cy = fxfycxcy.flatten(0, 1).unbind(-1)
    x = (cx[:, None] + column * (fx / focal)[:, None]) * 2 / width - 1
    y = (cy[:, None] + row * (fy / focal)[:, None]) * 2 / height - 1
    grid = torch.stack([x[:, None].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)], -1)
    behind = image.new_tensor([1.0, 1.0, 1.0, 0.0])[:c, None, None]
    moved = F.grid_sample(
        image.flatten(0, 1) - behind, grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return (moved + behind).reshape(b, v, c, height, width), wanted.expand(b, v, 4)


def gaussians_of(raw: Tensor, world: World) -> Gaussians:
    """Gaussians [B, N] in our world of LGM's activated numbers [B, N, 14]: xyz, opacity, scale, quaternion, colour."""
    xyz, opacity, scale, quats, rgb = raw.split([3, 1, 3, 4, 3], dim=-1)
    means, quats, scales = world.back(xyz, quats, scale)
    return Gaussians.from_rgb(means, quats, scales, opacity[..., 0], rgb)


def quat_of(rotation: Tensor) -> Tensor:
    """Unit quaternions wxyz [B, 4] of rotations [B, 3, 3], through SciPy in double precision (no gradient needed)."""
    from scipy.spatial.transform import Rotation

    xyzw = Rotation.from_matrix(rotation.detach().double().cpu().numpy()).as_quat()
    return rotation.new_tensor(xyzw)[:, [3, 0, 1, 2]]
