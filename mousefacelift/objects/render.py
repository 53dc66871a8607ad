"""Pictures of a mesh: `render_views(mesh, cameras)` with the project's own rasteriser, on any CPU.

Part of the objects stage. Views run in threads (the compiled code releases the GIL); a view alone uses one core.
The other backends (egl, blender) return the same `MeshRender`.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mousefacelift.core.cameras import Camera
from mousefacelift.core.compiled import compiled
from mousefacelift.objects import raster, recent_faces, shade, texture
from mousefacelift.objects.clip import NEAR, clip_near
from mousefacelift.objects.light import Light, three_point_light
from mousefacelift.objects.mesh import Mesh
from mousefacelift.objects.raster import bin_faces, draw_band, new_band, project_vertices
from mousefacelift.objects.recent_faces import new_recent
from mousefacelift.objects.shade import resolve_band
from mousefacelift.objects.texture import KERNEL, Surface, pack_surface

BAND_PIXELS = 8  # rows of pixels per band: its buffers stay in the second-level cache


@dataclass(frozen=True)
class MeshRender:
    """One picture of a mesh.

    Attributes:
        rgba: [H, W, 4] float32, sRGB, straight alpha, [0, 1]; colour is 0 where alpha is 0.
        depth: [H, W] float32 camera z averaged over the covered samples, world units; 0 where nothing is seen.
        normal: [H, W, 3] float32 unit world normal of the nearest surface; 0 where nothing is seen.
            Depth and normal are None where the backend does not make them (blender).
    """

    rgba: np.ndarray
    depth: np.ndarray | None
    normal: np.ndarray | None


def compile_kernel(version: str):
    """The compiled loop over bands; a change of `version` is a change of the cached kernel.

    Numba notices a change of this file only, and would go on with stale code after a change of raster, shade,
    recent_faces or texture.
    """

    @compiled(**KERNEL)
    def render_bands(
        recent_face,
        planes,
        place,
        side,
        level,
        band_face,
        band_inverse,
        layer_face,
        layer_inverse,
        faces,
        corners,
        materials,
        texels,
        levels,
        screen,
        starts,
        listed,
        light,
        eye,
        supersampling,
        rgba,
        depth,
        normal,
    ):
        """All bands of one picture, one after another in the same buffers."""
        _ = version  # a captured value is part of the key under which numba caches this kernel
        for k in range(starts.shape[0] - 1):
            if starts[k + 1] == starts[k]:
                continue
            first_row = k * band_face.shape[0]
            draw_band(
                band_face,
                band_inverse,
                layer_face,
                layer_inverse,
                faces,
                corners,
                materials,
                texels,
                levels,
                screen,
                listed[starts[k] : starts[k + 1]],
                first_row,
                rgba.shape[1] * supersampling,
            )
            resolve_band(
                recent_face,
                planes,
                place,
                side,
                level,
                band_face,
                band_inverse,
                layer_face,
                layer_inverse,
                faces,
                corners,
                materials,
                texels,
                levels,
                screen,
                light,
                eye,
                supersampling,
                first_row,
                rgba,
                depth,
                normal,
            )

    return render_bands


def sources_version() -> str:
    """Hash of the sources that the kernel is compiled from."""
    files = [Path(module.__file__).read_bytes() for module in (raster, recent_faces, shade, texture)]
    return hashlib.sha256(b"".join(files)).hexdigest()[:16]


render_bands = compile_kernel(sources_version())


def render_surface(surface: Surface, camera: Camera, light: Light, supersampling: int = 3) -> MeshRender:
    """One picture of a packed surface.

    Args:
        surface: from `pack_surface`.
        camera: any fxfycxcy; off-centre and unequal focal lengths are fine.
        supersampling: S, for S x S samples in each pixel; 2 or more gives soft edges.
    Returns:
        What lies beyond the near plane, clip.NEAR in front of the camera; an empty picture where nothing does.
    """
    depth = surface.vertices @ camera.R[2] + camera.t[2]
    if depth.min(initial=np.inf) <= NEAR:
        surface = clip_near(surface, depth)
    screen = project_vertices(surface.vertices, camera.w2c, camera.fxfycxcy, supersampling)
    height = -(-camera.height // BAND_PIXELS) * BAND_PIXELS  # whole bands; the extra rows are cut off below
    columns, rows = camera.width * supersampling, height * supersampling
    starts, listed = bin_faces(screen, surface.faces, surface.materials, columns, rows, BAND_PIXELS * supersampling)
    band = new_band(BAND_PIXELS * supersampling, columns, surface.has_blend)
    rgba = np.zeros((height, camera.width, 4), np.float32)
    depth = np.zeros((height, camera.width), np.float32)
    normal = np.zeros((height, camera.width, 3), np.float32)
    render_bands(
        *new_recent(surface.corners.shape[1]),
        *band,
        *surface[1:],
        screen,
        starts,
        listed,
        light.table(),
        camera.center,
        supersampling,
        rgba,
        depth,
        normal,
    )
    return MeshRender(rgba[: camera.height], depth[: camera.height], normal[: camera.height])


def render_views(
    mesh: Mesh,
    cameras: list[Camera],
    light: Light | None = None,
    supersampling: int = 3,
    threads: int = 1,
    finish: Callable[[MeshRender], object] = lambda picture: picture,
) -> list:
    """Pictures of `mesh` from each camera, in order; identical whatever `threads` is.

    Args:
        finish: what is kept of a picture, made in its thread: a batch of large views need not hold all floats.
    """
    surface = pack_surface(mesh)
    light = three_point_light() if light is None else light
    with ThreadPoolExecutor(max(1, threads)) as pool:
        return list(pool.map(lambda camera: finish(render_surface(surface, camera, light, supersampling)), cameras))


def to_levels(picture: MeshRender) -> np.ndarray:
    """[H, W, 4] uint8 of a picture: what a sample stores."""
    return quantise(picture.rgba)


@compiled(error_model="numpy")
def quantise(values):
    """uint8 nearest to 255 times values in [0, 1]; clipped."""
    levels = np.empty(values.shape, np.uint8)
    flat, out = values.reshape(-1), levels.reshape(-1)
    for k in range(flat.shape[0]):
        out[k] = np.uint8(min(max(flat[k], np.float32(0)), np.float32(1)) * np.float32(255) + np.float32(0.5))
    return levels
