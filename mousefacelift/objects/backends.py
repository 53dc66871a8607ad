"""The renderers behind one call: `render(mesh, cameras, light, config)`, all returning the same pictures.

Part of the objects stage. `cpu` is the project's rasteriser; `egl` and `blender` are imported only when asked for.
"""

import numpy as np

from mousefacelift.core.cameras import Camera
from mousefacelift.objects.config import ObjectsConfig
from mousefacelift.objects.light import Light
from mousefacelift.objects.mesh import Mesh
from mousefacelift.objects.render import render_views, to_levels


def render(
    mesh: Mesh, cameras: list[Camera], light: Light, config: ObjectsConfig, threads: int = 1
) -> list[np.ndarray]:
    """Pictures [H, W, 4] uint8 of a normalised mesh by the configured backend, in the order of the cameras.

    Args:
        mesh: inside the unit sphere, Z up.
        light: used by `cpu` and `egl`; Blender stands the same lamps and sky.
    Raises:
        ConfigError: the backend's program or library is not on this machine.
    """
    if config.backend == "egl":
        from mousefacelift.objects.egl import render_views_egl

        return [to_levels(picture) for picture in render_views_egl(mesh, cameras, light, config.supersampling)]
    if config.backend == "blender":
        from mousefacelift.objects.blender import render_views_blender

        return [to_levels(picture) for picture in render_views_blender(mesh, cameras, light, config, threads)]
    return render_views(mesh, cameras, light, config.supersampling, threads, to_levels)
