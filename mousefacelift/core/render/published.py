"""The image formation of the published reconstructor, with the alpha ceiling that the backend in use has."""

from __future__ import annotations

import torch

from mousefacelift.core.render.formation import RenderConfig
from mousefacelift.core.render.gsplat_backend import compiled_alpha_max

NEAR = 0.2  # the cull depth of the original rasteriser, with which the published weights were trained
ALPHA_MAX = 0.99  # its alpha ceiling; gsplat 1.5.3 has 0.999 compiled in


def published_render(device: str | torch.device) -> RenderConfig:
    """The published constants, with the alpha ceiling that the backend of `device` can render.

    The CPU kernels take the published ceiling. On CUDA it is the one that the installed gsplat was compiled with: a
    pixel behind a Gaussian whose alpha would be between the two differs by at most 0.009 of what is behind it. A
    finished model's config.json says which it was trained with.
    """
    on_gpu = torch.device(device).type == "cuda"
    return RenderConfig(near=NEAR, alpha_max=compiled_alpha_max() if on_gpu else ALPHA_MAX)
