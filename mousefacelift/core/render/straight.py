"""Renders as straight-alpha pictures and expected depth: what is written to disk and compared with photos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import Camera
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.render.formation import Render
from mousefacelift.core.render.published import published_render
from mousefacelift.core.render.seam import render

PRESENT = 1 / 255  # alpha below which a pixel of 8 bits shows nothing


def straight_rgba(picture: Render) -> tuple[np.ndarray, np.ndarray]:
    """rgba float32 [..., V, H, W, 4] and expected depth [..., V, H, W] of a render over black; 0 where there is
    nothing."""
    rgb, alpha, depth = (part.detach().float().cpu().numpy() for part in (picture.rgb, picture.alpha, picture.depth))
    present = alpha > PRESENT
    weight = np.where(present, alpha, 1.0)
    straight = np.where(present[..., None], np.clip(rgb / weight[..., None], 0, 1), 0.0)
    rgba = np.concatenate([straight, np.clip(alpha, 0, 1)[..., None]], -1).astype(np.float32)
    return rgba, np.where(present, depth / weight, 0.0).astype(np.float32)


@torch.no_grad()
def render_published(gaussians: Gaussians, cameras: Sequence[Camera]) -> tuple[np.ndarray, np.ndarray]:
    """Straight-alpha rgba [V, H, W, 4] and expected depth [V, H, W] of Gaussians [N] from V cameras of one size, with
    the published constants."""
    device = gaussians.means.device
    tensors = CameraTensors.from_cameras(list(cameras)).to(device)
    return straight_rgba(render(gaussians, tensors, published_render(device)))


def render_pictures(gaussians: Gaussians, cameras: Sequence[Camera]) -> np.ndarray:
    """The rgba of `render_published`."""
    return render_published(gaussians, cameras)[0]
