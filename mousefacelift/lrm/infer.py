"""From views in memory to Gaussians and renders: what validation, prediction and reconstruction share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.images import resize_rgba
from mousefacelift.core.render import Render, published_render, render
from mousefacelift.core.render.published import NEAR
from mousefacelift.core.samples import View
from mousefacelift.errors import CameraError, DataError


def stack_views(views: Sequence[View], size: int, background=(1.0, 1.0, 1.0)) -> tuple[Tensor, Tensor, Tensor]:
    """Image [V, 4, size, size] (colour over the background, then alpha), c2w [V, 4, 4] and fxfycxcy [V, 4] of views.

    Images are resized with their cameras.

    Raises:
        DataError: a view is not square, shows nothing, or holds NaN.
        CameraError: the origin, where the animal is, lies behind a camera.
    """
    images, cameras = [], []
    for number, view in enumerate(views):
        _check_view(view, number)
        rgba = resize_rgba(view.rgba, size, size)
        alpha = rgba[..., 3:]
        images.append(np.concatenate([rgba[..., :3] * alpha + np.float32(background) * (1 - alpha), alpha], -1))
        cameras.append(view.camera.scaled_to(size, size))
    image = torch.from_numpy(np.stack(images)).float().permute(0, 3, 1, 2).contiguous()
    c2w = torch.from_numpy(np.stack([camera.c2w for camera in cameras])).float()
    return image, c2w, torch.from_numpy(np.stack([camera.fxfycxcy for camera in cameras])).float()


def _check_view(view: View, number: int) -> None:
    height, width = view.rgba.shape[:2]
    if height != width:
        raise DataError(
            "the reconstructor takes square images",
            where=f"view {number}",
            got=f"{width}x{height}",
            expected="a square",
            hint="mousefacelift capture normalise makes them, with their cameras",
        )
    if not np.isfinite(view.rgba).all():
        raise DataError("an input image holds numbers that are not finite", where=f"view {number}")
    if view.rgba[..., 3].max() < 0.5:
        raise DataError(
            "an input image shows no foreground",
            where=f"view {number}",
            got="alpha below 0.5 everywhere",
            likely="an empty mask",
        )
    if view.camera.t[2] <= NEAR:
        raise CameraError(
            "the animal is behind a camera",
            where=f"view {number}",
            got=f"origin at z = {view.camera.t[2]:.2f}",
            expected=f"more than {NEAR} world units",
            likely="OpenGL axes, or a world that is not centred on the animal",
        )


@torch.no_grad()
def predict_gaussians(model: nn.Module, image: Tensor, c2w: Tensor, fxfycxcy: Tensor) -> Gaussians:
    """Gaussians [B, N] of posed views [B, V, ...], in bf16 autocast on a GPU and fp32 on a CPU."""
    device = next(model.parameters()).device
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        return model(image.to(device), c2w.to(device), fxfycxcy.to(device)).activated()


def render_white(gaussians: Gaussians, cameras: CameraTensors) -> Render:
    """Renders over white, as the published model is always rendered."""
    device = gaussians.means.device
    return render(gaussians, cameras.to(device), published_render(device), torch.ones(3, device=device))
