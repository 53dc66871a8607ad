"""The image formation written down once more, naively: dense, plain torch, any dtype, gradients by autograd.

Equations: Zwicker et al., "EWA splatting" (2002); Kerbl et al., "3D Gaussian Splatting" (2023); constants and order of
operations of gsplat 1.5.3. Every Gaussian meets every pixel, so only tiny scenes are affordable.
"""

from __future__ import annotations

import torch

from mousefacelift.core.render import Render


def rotation_matrices(quats):
    """[..., 3, 3] of wxyz quaternions of any norm."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    ]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def project(means, quats, scales, w2c, fxfycxcy, width, height, config):
    """Pixel means [N, 2], dilated 2D covariances [N, 2, 2], depths [N], antialiasing factors [N] for one camera."""
    fx, fy, cx, cy = fxfycxcy
    x, y, z = (means @ w2c[:3, :3].T + w2c[:3, 3]).unbind(-1)
    z = torch.where(z >= config.near, z, torch.ones_like(z))
    margin_x, margin_y = 0.15 * width / fx, 0.15 * height / fy
    tx = z * torch.clamp(x / z, -(cx / fx + margin_x), (width - cx) / fx + margin_x)
    ty = z * torch.clamp(y / z, -(cy / fy + margin_y), (height - cy) / fy + margin_y)
    zero = torch.zeros_like(z)
    jacobian = torch.stack([fx / z, zero, -fx * tx / z**2, zero, fy / z, -fy * ty / z**2], -1).unflatten(-1, (2, 3))
    half = rotation_matrices(quats) * scales.unsqueeze(-2)
    half = jacobian @ w2c[:3, :3] @ half
    cov = half @ half.transpose(-1, -2)
    dilated = cov + config.eps2d * torch.eye(2, dtype=cov.dtype)
    factor = torch.sqrt((torch.linalg.det(cov) / torch.linalg.det(dilated)).clamp_min(0))
    return torch.stack([fx * x / z + cx, fy * y / z + cy], -1), dilated, z, factor


def render_view(means, quats, scales, opacities, colors, w2c, fxfycxcy, width, height, config, background, shift=None):
    """rgb [H, W, 3], alpha [H, W], depth [H, W] of one view; colors [N, 3]; shift [N, 2] px is added to the projected
    means."""
    seen = (means @ w2c[:3, :3].T + w2c[:3, 3])[:, 2] >= config.near
    shift = means.new_zeros(len(means), 2) if shift is None else shift
    means, quats, scales, opacities, colors, shift = (a[seen] for a in (means, quats, scales, opacities, colors, shift))
    centers, cov, z, factor = project(means, quats, scales, w2c, fxfycxcy, width, height, config)
    centers = centers + shift
    order = torch.argsort(z.detach(), stable=True)
    centers, cov, z, colors = centers[order], cov[order], z[order], colors[order]
    opacities = (opacities * factor if config.antialiased else opacities)[order]
    v, u = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    offset = torch.stack([u.reshape(-1), v.reshape(-1)], -1).to(means.dtype)[:, None] - centers
    conic = torch.linalg.inv(cov)
    power = 0.5 * torch.einsum("pni,nij,pnj->pn", offset, conic, offset)
    alpha = torch.clamp(opacities * torch.exp(-power), max=config.alpha_max)
    alpha = torch.where(alpha >= config.alpha_min, alpha, torch.zeros_like(alpha))
    after = torch.cumprod(1 - alpha, -1)
    before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], -1)
    weight = torch.where(after > config.t_stop, alpha * before, torch.zeros_like(alpha))
    total = weight.sum(-1)
    rgb = weight @ colors + (1 - total)[:, None] * background
    return rgb.reshape(height, width, 3), total.reshape(height, width), (weight @ z).reshape(height, width)


def render_views(means, quats, scales, opacities, colors, cameras, config, background):
    """Stacked `render_view` for one scene; colors [V or 1, N, 3], background [V, 3]."""
    views = range(cameras.w2c.shape[0])
    images = [
        render_view(
            means,
            quats,
            scales,
            opacities,
            colors[v if colors.shape[0] > 1 else 0],
            cameras.w2c[v],
            cameras.fxfycxcy[v],
            cameras.width,
            cameras.height,
            config,
            background[v],
        )
        for v in views
    ]
    return tuple(torch.stack(parts) for parts in zip(*images))


def render_oracle(gaussians, colors, cameras, config, background):
    """The seam's `render` by this oracle; colors [..., V or 1, N, 3], background [3] or [..., V, 3]."""
    lead, views = gaussians.means.shape[:-2], cameras.w2c.shape[-3]
    background = background.expand(*lead, views, 3)
    raw = (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, colors)
    if not lead:
        return Render(*render_views(*raw, cameras, config, background))
    scenes = [render_views(*(a[s] for a in raw), cameras, config, background[s]) for s in range(lead[0])]
    return Render(*(torch.stack(parts) for parts in zip(*scenes)))
