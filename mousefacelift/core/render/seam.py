"""The one seam between the project and its splat renderers: checks and the choice of backend."""

from __future__ import annotations

from typing import Literal

import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.gaussians import Gaussians, gaussian_colors
from mousefacelift.core.render.formation import Render, RenderConfig
from mousefacelift.errors import ConfigError, DataError

Backend = Literal["auto", "cpu", "gsplat"]
DEFAULT = RenderConfig()  # every backend can render it


def render(
    gaussians: Gaussians,
    cameras: CameraTensors,
    config: RenderConfig | None = None,
    background: torch.Tensor | None = None,
    backend: Backend = "auto",
    *,
    probe_means2d: bool = False,
) -> Render:
    """Differentiable images of Gaussians [..., N, *] from cameras [..., V, *] with the same (or no) leading dimensions.

    Args:
        background: [3] or [..., V, 3]; black when None.
        backend: "auto" takes gsplat for CUDA tensors and the CPU kernels otherwise.
        probe_means2d: also return a tensor that collects the gradients of the projected means.
    Raises:
        DataError: shapes, types or devices do not fit together.
    """
    config = config or DEFAULT
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
        raise DataError(
            "Gaussians and cameras differ in their leading dimensions",
            got=f"{tuple(lead)} and {tuple(camera_lead)}",
            expected="the same, or cameras without any",
        )
    if gaussians.means.device != cameras.w2c.device:
        raise DataError(
            "Gaussians and cameras are on different devices",
            got=f"{gaussians.means.device} and {cameras.w2c.device}",
            expected="one device",
            hint="cameras.to(gaussians.means.device)",
        )
