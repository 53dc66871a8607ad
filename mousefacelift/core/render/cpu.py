"""CPU backend: dense torch, affordable for tiny scenes only."""

from __future__ import annotations

import torch
from torch.utils.checkpoint import checkpoint

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.render.seam import Render, RenderConfig


def _rot(quats):
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
            2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def _rows(centers, conic, opac, payload, first, last, width, config):
    v, u = torch.meshgrid(torch.arange(first, last) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    dx = u.reshape(-1, 1).to(centers) - centers[:, 0]
    dy = v.reshape(-1, 1).to(centers) - centers[:, 1]
    power = 0.5 * (conic[:, 0, 0] * dx * dx + conic[:, 1, 1] * dy * dy) + conic[:, 0, 1] * dx * dy
    alpha = torch.clamp(opac * torch.exp(-power), max=config.alpha_max)
    alpha = torch.where(alpha >= config.alpha_min, alpha, torch.zeros_like(alpha))
    after = torch.cumprod(1 - alpha, -1)
    before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], -1)
    return torch.where(after > config.t_stop, alpha * before, torch.zeros_like(alpha)) @ payload


def _view(means, quats, scales, opac, colors, w2c, k, width, height, config):
    local = means @ w2c[:3, :3].T + w2c[:3, 3]
    seen = local[:, 2] >= config.near
    local, quats, scales, opac, colors = local[seen], quats[seen], scales[seen], opac[seen], colors[seen]
    order = torch.argsort(local[:, 2].detach(), stable=True)
    local, quats, scales, opac, colors = local[order], quats[order], scales[order], opac[order], colors[order]
    fx, fy, cx, cy = k
    x, y, z = local.unbind(-1)
    mx, my = 0.15 * width / fx, 0.15 * height / fy
    tx = z * torch.clamp(x / z, -(cx / fx + mx), (width - cx) / fx + mx)
    ty = z * torch.clamp(y / z, -(cy / fy + my), (height - cy) / fy + my)
    zero = torch.zeros_like(z)
    jac = torch.stack([fx / z, zero, -fx * tx / z**2, zero, fy / z, -fy * ty / z**2], -1).unflatten(-1, (2, 3))
    half = jac @ w2c[:3, :3] @ (_rot(quats) * scales.unsqueeze(-2))
    cov = half @ half.transpose(-1, -2)
    dilated = cov + config.eps2d * torch.eye(2).to(cov)
    if config.antialiased:
        opac = opac * torch.sqrt((torch.linalg.det(cov) / torch.linalg.det(dilated)).clamp_min(0))
    centers, conic = torch.stack([fx * x / z + cx, fy * y / z + cy], -1), torch.linalg.inv(dilated)
    payload = torch.cat([colors, z[:, None], torch.ones_like(z[:, None])], -1)
    step = max(1, 4_000_000 // max(1, width * len(z)))
    parts = [checkpoint(_rows, centers, conic, opac, payload, first, min(first + step, height), width, config,
                        use_reentrant=False) for first in range(0, height, step)]
    return torch.cat(parts).reshape(height, width, 5)


def render_cpu(gaussians: Gaussians, colors: torch.Tensor, cameras: CameraTensors, config: RenderConfig,
               background: torch.Tensor | None, probe_means2d: bool) -> Render:
    """See `render`; colors [..., V or 1, N, 3]."""
    lead, views, count = gaussians.means.shape[:-2], cameras.w2c.shape[-3], gaussians.count
    flat = [a.reshape(-1, *a.shape[len(lead):]) for a in
            (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities,
             colors.expand(*lead, views, count, 3), cameras.w2c.expand(*lead, views, 4, 4),
             cameras.fxfycxcy.expand(*lead, views, 4))]
    out = [torch.stack([_view(*(a[s] for a in flat[:4]), flat[4][s, v], flat[5][s, v], flat[6][s, v], cameras.width,
                              cameras.height, config) for v in range(views)]) for s in range(flat[0].shape[0])]
    image = torch.stack(out).reshape(*lead, views, cameras.height, cameras.width, 5)
    rgb, depth, alpha = image[..., :3], image[..., 3], image[..., 4]
    if background is not None:
        color = background.to(rgb).expand(*lead, views, 3)[..., None, None, :]
        rgb = rgb + (1 - alpha[..., None]) * color
    return Render(rgb, alpha, depth)
