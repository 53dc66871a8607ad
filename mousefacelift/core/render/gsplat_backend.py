"""GPU backend: gsplat's CUDA rasteriser behind the seam.

Always `packed=False`: the packed path of gsplat 1.5.3 takes opacities of scene 0 for every scene of a batch and mixes
their gradients. gsplat clamps alpha at a compiled-in constant (0.999 in 1.5.3, 0.99 from 1.6), so a configuration that
asks for another value is refused instead of being rendered differently.
"""

from __future__ import annotations

from importlib import metadata

import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.render.formation import Render, RenderConfig
from mousefacelift.errors import ConfigError, DataError


def compiled_alpha_max() -> float:
    """The alpha clamp that the installed gsplat was written with."""
    major, minor = (int(part) for part in metadata.version("gsplat").split(".")[:2])
    return 0.999 if (major, minor) < (1, 6) else 0.99


def check_constants(config: RenderConfig) -> None:
    """Raise ConfigError when gsplat's compiled-in constants differ from the configuration."""
    fixed = {"alpha_max": compiled_alpha_max(), "alpha_min": 1 / 255, "t_stop": 1e-4}
    for name, value in fixed.items():
        if abs(getattr(config, name) - value) > 1e-9:
            raise ConfigError(
                f"gsplat {metadata.version('gsplat')} cannot render with {name} = {getattr(config, name)}",
                expected=f"{name} = {value}, compiled into its kernels",
                hint="set it in the configuration, or render on the CPU",
            )


def render_gsplat(
    gaussians: Gaussians,
    colors: torch.Tensor,
    cameras: CameraTensors,
    config: RenderConfig,
    background: torch.Tensor | None,
    probe_means2d: bool,
) -> Render:
    """See `render`; colors [..., V or 1, N, 3]. Half precision is rendered in float32."""
    means = gaussians.means
    if not means.is_cuda:
        raise DataError(
            "the gsplat backend needs CUDA tensors",
            got=str(means.device),
            expected="cuda",
            hint="backend='auto' takes the CPU kernels here",
        )
    if means.dtype == torch.float64:
        raise DataError(
            "gsplat's kernels are written in single precision",
            got=str(means.dtype),
            expected="float32",
            hint="render doubles on the CPU",
        )
    check_constants(config)
    single = Gaussians(*(a.float() for a in vars(gaussians).values()))
    cameras = CameraTensors(cameras.w2c.float(), cameras.fxfycxcy.float(), cameras.width, cameras.height)
    return rasterize_scenes(single, colors.float(), cameras, config, background, probe_means2d)


def rasterize_scenes(
    gaussians: Gaussians,
    colors: torch.Tensor,
    cameras: CameraTensors,
    config: RenderConfig,
    background: torch.Tensor | None,
    probe_means2d: bool,
) -> Render:
    """The call of gsplat itself, with everything in the shapes that it asserts: [B..., N, *] and [B..., V, *]."""
    from gsplat import rasterization

    means, lead, views = gaussians.means, gaussians.means.shape[:-2], cameras.w2c.shape[-3]
    if background is not None:
        background = background.to(means).expand(*lead, views, 3).contiguous()
    if gaussians.count == 0:  # gsplat 1.5.3 divides by the number of Gaussians
        return _empty_render(means, (*lead, views, cameras.height, cameras.width), background, probe_means2d)
    if probe_means2d and not means.requires_grad:
        means = means.detach().requires_grad_()  # so that the projected means are part of a graph
    images, alpha, meta = rasterization(
        means,
        gaussians.quats,
        gaussians.scales,
        gaussians.opacities,
        colors.expand(*lead, views, -1, 3).contiguous(),
        cameras.w2c.expand(*lead, views, 4, 4).contiguous(),
        cameras.Ks.expand(*lead, views, 3, 3).contiguous(),
        cameras.width,
        cameras.height,
        near_plane=config.near,
        eps2d=config.eps2d,
        packed=False,
        backgrounds=background,
        render_mode="RGB+D",
        rasterize_mode="antialiased" if config.antialiased else "classic",
    )
    if probe_means2d:
        meta["means2d"].retain_grad()
    return Render(images[..., :3], alpha[..., 0], images[..., 3], meta["means2d"] if probe_means2d else None)


def _empty_render(
    means: torch.Tensor, shape: tuple[int, ...], background: torch.Tensor | None, probe_means2d: bool
) -> Render:
    nothing = means.new_zeros(shape) + means.sum()  # keeps the graph: gradients of no Gaussians
    rgb = nothing.unsqueeze(-1) + (means.new_zeros(3) if background is None else background[..., None, None, :])
    probe = means.new_zeros(*shape[:-2], 0, 2).requires_grad_() if probe_means2d else None
    return Render(rgb, nothing, nothing, probe)
