"""The one seam between the project and its splat renderers: configuration, result, choice of backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.gaussians import Gaussians, gaussian_colors
from mousefacelift.errors import ConfigError, DataError

Backend = Literal["auto", "cpu", "gsplat"]


@dataclass(frozen=True)
class RenderConfig:
    """Every constant of the image formation, gsplat 1.5.3's values by default.

    Args:
        eps2d: px^2 added to the diagonal of the projected covariance.
        near: depth below which a Gaussian is dropped, world units (0.2 matches the published reconstructor).
        alpha_min: a Gaussian's contribution to a pixel below this alpha is dropped.
        alpha_max: alpha is clamped here (gsplat 1.5.3: 0.999; the original 3DGS and gsplat 1.6: 0.99).
        t_stop: the Gaussian that would bring the transmittance to this value or below ends the pixel unblended.
        antialiased: multiply opacities by sqrt(det(cov) / det(cov + eps2d)).
    """

    eps2d: float = 0.3
    near: float = 0.01
    alpha_min: float = 1 / 255
    alpha_max: float = 0.999
    t_stop: float = 1e-4
    antialiased: bool = False

    def __post_init__(self) -> None:
        good = (self.eps2d >= 0 and self.near > 0 and 0 < self.alpha_min < self.alpha_max < 1 and 0 <= self.t_stop < 1)
        if not good:
            raise ConfigError("the render configuration is out of range", got=self,
                              expected="eps2d >= 0, near > 0, 0 < alpha_min < alpha_max < 1, 0 <= t_stop < 1")


@dataclass(frozen=True)
class Render:
    """Images of V views, channels last.

    Args:
        rgb: [..., V, H, W, 3] over the background.
        alpha: [..., V, H, W] in [0, 1].
        depth: [..., V, H, W] sum of weight * camera depth; divide by alpha for the expected depth. World units.
        means2d_probe: [..., V, N, 2] whose `.grad` after backward is the gradient with respect to the projected means in
            pixels, when `render` was asked for it, else None. Its values are the backend's own: zeros on the CPU.
    """

    rgb: torch.Tensor
    alpha: torch.Tensor
    depth: torch.Tensor
    means2d_probe: torch.Tensor | None = None


def render(gaussians: Gaussians, cameras: CameraTensors, config: RenderConfig | None = None,
           background: torch.Tensor | None = None, backend: Backend = "auto", *, probe_means2d: bool = False) -> Render:
    """Differentiable images of Gaussians [..., N, *] from cameras [..., V, *] with the same (or no) leading dimensions.

    Args:
        background: [3] or [..., V, 3]; black when None.
        backend: "auto" takes gsplat for CUDA tensors and the CPU kernels otherwise.
        probe_means2d: also return a tensor that collects the gradients of the projected means.
    Raises:
        DataError: shapes, types or devices do not fit together.
    """
    config = config or RenderConfig()
    _check(gaussians, cameras)
    colors = gaussian_colors(gaussians, cameras)
    chosen = ("gsplat" if gaussians.means.is_cuda else "cpu") if backend == "auto" else backend
    if chosen == "cpu":
        from mousefacelift.core.render.cpu import render_cpu as run
    elif chosen == "gsplat":
        from mousefacelift.core.render.gsplat_backend import render_gsplat as run
    else:
        raise ConfigError("unknown render backend", got=backend, expected="auto, cpu or gsplat")
    return run(gaussians, colors, cameras, config, background, probe_means2d)


def _check(gaussians: Gaussians, cameras: CameraTensors) -> None:
    lead, camera_lead = gaussians.means.shape[:-2], cameras.w2c.shape[:-3]
    if camera_lead not in (lead, ()):
        raise DataError("Gaussians and cameras differ in their leading dimensions",
                        got=f"{tuple(lead)} and {tuple(camera_lead)}", expected="the same, or cameras without any")
    if gaussians.means.device != cameras.w2c.device:
        raise DataError("Gaussians and cameras are on different devices",
                        got=f"{gaussians.means.device} and {cameras.w2c.device}", expected="one device",
                        hint="cameras.to(gaussians.means.device)")
