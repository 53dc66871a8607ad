"""Small corrections of calibrated cameras, learned together with the Gaussians.

Renderers give gradients to Gaussians and not to cameras, so a camera is corrected by moving the Gaussians that it sees:
every view becomes a scene of its own. A correction is 8 numbers in the camera's axes: rotation (3, radians),
translation (3, world units), principal point (2, tangents, i.e. px / focal length).
"""

from __future__ import annotations

import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.gaussians import Gaussians, multiply_quats

SIZE = 8


def move_to_views(
    gaussians: Gaussians, cameras: CameraTensors, corrections: torch.Tensor
) -> tuple[Gaussians, CameraTensors]:
    """The scenes [B, N] as the corrected cameras see them: Gaussians [B, V, N] and cameras [B, V, 1].

    Args:
        cameras: [B, V].
        corrections: [V, 8], shared by the frames of the batch.
    """
    rotation = cameras.w2c[..., :3, :3]
    local = torch.einsum("bvij,bnj->bvni", rotation, gaussians.means) + cameras.w2c[..., None, :3, 3]
    turn, shift, principal = corrections[:, :3], corrections[:, 3:6], corrections[:, 6:]
    local = torch.einsum("vij,bvnj->bvni", torch.linalg.matrix_exp(_cross_matrix(turn)), local) + shift[:, None]
    sideways = local[..., 2:] * principal[:, None]
    local = torch.cat([local[..., :2] + sideways, local[..., 2:]], -1)
    means = torch.einsum("bvji,bvnj->bvni", rotation, local - cameras.w2c[..., None, :3, 3])
    in_world = torch.einsum("bvji,vj->bvi", rotation, turn)
    views = means.shape[1]
    moved = Gaussians(
        means,
        multiply_quats(_quaternion(in_world)[:, :, None], gaussians.quats[:, None]),
        *(t[:, None].expand(-1, views, *t.shape[1:]) for t in (gaussians.scales, gaussians.opacities, gaussians.sh)),
    )
    return moved, CameraTensors(cameras.w2c[:, :, None], cameras.fxfycxcy[:, :, None], cameras.width, cameras.height)


def penalty(corrections: torch.Tensor, scale: float) -> torch.Tensor:
    """Mean squared correction in units of its expected size."""
    return (corrections / scale).square().mean()


def _cross_matrix(vector: torch.Tensor) -> torch.Tensor:
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))


def _quaternion(vector: torch.Tensor) -> torch.Tensor:
    angle = (vector.square().sum(-1, keepdim=True) + 1e-20).sqrt()
    return torch.cat([(angle / 2).cos(), (angle / 2).sin() * vector / angle], -1)
