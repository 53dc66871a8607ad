"""A splat from all around: cameras on one turn, zoomed so that it fills the picture, and the pictures themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import Camera, project, ring
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.render import published_render, render
from mousefacelift.core.render.published import NEAR

ELEVATION = 15.0
START = 270.0  # azimuth of the first picture: the published front view
FILL = 0.9  # of half the picture
VISIBLE = 0.1  # opacity from which a Gaussian must be in the picture
STRAY = 0.005  # share of them that may lie outside


def fitting_zoom(gaussians: Gaussians, elevation: float = ELEVATION) -> float:
    """Factor on the canonical focal length (548.99 at 512 px) at which the visible Gaussians [N] fill the picture all
    around."""
    points = gaussians.means[gaussians.opacities > VISIBLE].detach().cpu().numpy().astype(np.float64)
    if len(points) == 0:
        return 1.0
    reach = 0.0
    for camera in ring(12, 2, elevation):  # a picture from -1 to 1
        pixels, depth = project(camera, points)
        reach = max(reach, float(np.quantile(np.abs(pixels[depth > NEAR] - 1).max(1, initial=0), 1 - STRAY)))
    return float(np.clip(FILL / max(reach, 1e-9), 0.1, 10.0))


def turntable_cameras(count: int, size: int, elevation: float = ELEVATION, zoom: float = 1.0) -> list[Camera]:
    """`count` cameras once around at distance 2.7, square pictures of `size` px."""
    return [replace(c, fxfycxcy=c.fxfycxcy * [zoom, zoom, 1, 1]) for c in ring(count, size, elevation, start=START)]


def turntable(gaussians: Gaussians, count: int, size: int, elevation: float = ELEVATION) -> Iterator[np.ndarray]:
    """`count` pictures of Gaussians [N], rgb uint8 [size, size, 3] over white, once around, the splat filling them.

    An odd size is rounded up: H.264 takes even ones only.
    """
    size += size % 2
    for camera in turntable_cameras(count, size, elevation, fitting_zoom(gaussians, elevation)):
        yield picture(gaussians, camera)


@torch.no_grad()
def picture(gaussians: Gaussians, camera: Camera) -> np.ndarray:
    """Gaussians [N] from one camera over white, rgb uint8 [H, W, 3]."""
    device = gaussians.means.device
    cameras, white = CameraTensors.from_cameras([camera], device), torch.ones(3, device=device)
    rgb = render(gaussians, cameras, published_render(device), white).rgb[0]
    return (rgb.clamp(0, 1) * 255).round().byte().cpu().numpy()
