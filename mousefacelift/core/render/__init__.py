"""Gaussian splat rendering behind one seam: `render(gaussians, cameras, config, background) -> Render`.

CUDA tensors go to gsplat, everything else to the project's own vectorised CPU kernels; both compute the same image
formation (see `RenderConfig`) and both are differentiable.
"""

from mousefacelift.core.render.formation import Render, RenderConfig
from mousefacelift.core.render.published import published_render
from mousefacelift.core.render.seam import Backend, render
from mousefacelift.core.render.straight import render_pictures, render_published, straight_rgba

__all__ = [
    "Backend",
    "Render",
    "RenderConfig",
    "published_render",
    "render",
    "render_pictures",
    "render_published",
    "straight_rgba",
]
