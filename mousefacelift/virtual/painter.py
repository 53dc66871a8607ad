"""Pictures of the animal from any lens: skin into a depth buffer, fur painted over it back to front, alpha from the
same strokes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mousefacelift.core.compiled import compiled
from mousefacelift.virtual.coat import Strands
from mousefacelift.virtual.light import Lighting, Lights, light_animal
from mousefacelift.virtual.mesh import MouseMesh
from mousefacelift.virtual.raster import fill_triangles, paint_segments, project_points
from mousefacelift.virtual.rig import Lens

DISPLAY_GAMMA = 1 / 2.2
BAND_HEIGHT = 25.0  # mm; the acrylic wall's reflection reaches this high on the animal
BAND_GREY = 0.60  # display value of that reflection
_SEGMENTS = 3
_BIAS = 1.3  # mm by which fur may lie behind the skin's depth


@dataclass(frozen=True)
class Scene:
    """One frame ready to be painted from any lens: everything that does not depend on the view.

    Args:
        mesh: the animal. vertices: [N, 3] float64 mm. lighting: light on them.
        strand_points: [S, 4, 3] float32 mm. strand_light: [S, 2] diffuse and lamp light. strands: the rest-pose
            strands.
        band: strength of the acrylic band, 0 for none.
    """

    mesh: MouseMesh
    vertices: np.ndarray
    lighting: Lighting
    strands: Strands
    strand_points: np.ndarray
    strand_light: np.ndarray
    band: float


def make_scene(mesh: MouseMesh, vertices: np.ndarray, strands: Strands, lights: Lights, band: float = 0.0) -> Scene:
    """Light a posed mesh and grow its fur."""
    lighting = light_animal(vertices, mesh.faces, lights)
    points = np.empty((len(strands.face), _SEGMENTS + 1, 3), np.float32)
    light = np.empty((len(strands.face), 2), np.float32)
    _grow(
        vertices,
        mesh.faces,
        strands.face,
        strands.bary,
        strands.lie,
        strands.length,
        strands.curl,
        lighting.diffuse,
        lighting.lamp,
        points,
        light,
    )
    return Scene(mesh, vertices, lighting, strands, points, light, band)


def paint(scene: Scene, lens: Lens, supersample: int = 2) -> tuple[np.ndarray, tuple[int, int]]:
    """Premultiplied display rgba [h, w, 4] float32 of the animal's box, and the pixel (x, y) of the box's corner.

    The box is empty ([0, 0, 4]) when the animal is out of view.
    """
    packed, projected = lens.packed(), np.zeros((len(scene.vertices), 3))
    project_points(scene.vertices, packed, float(supersample), projected)
    strand_count = len(scene.strands.face)
    strand_pixels = np.zeros((strand_count * (_SEGMENTS + 1), 3))
    strand_points = scene.strand_points.reshape(-1, 3).astype(np.float64)  # as the vertices: one kernel for both
    project_points(strand_points, packed, float(supersample), strand_pixels)
    box = _box(projected, strand_pixels, lens, supersample)
    if box is None:
        return np.zeros((0, 0, 4), np.float32), (0, 0)
    x0, y0, x1, y1 = box
    shape = ((y1 - y0) * supersample, (x1 - x0) * supersample)
    depth, image = np.full(shape, 1e9, np.float32), np.zeros((*shape, 4), np.float32)
    origin = float(x0 * supersample), float(y0 * supersample)
    eye = lens.center
    fill_triangles(projected, scene.mesh.faces, _skin_colours(scene, eye), *origin, depth, image)
    segments = np.empty((strand_count * _SEGMENTS, 7), np.float32)
    colours = np.empty((strand_count * _SEGMENTS, 4), np.float32)
    pixels_per_slope = float(supersample * lens.intrinsics[0])
    count = _shade_strands(
        scene.strand_points,
        strand_pixels.reshape(strand_count, _SEGMENTS + 1, 3),
        scene.strand_light,
        scene.strands.colour,
        scene.strands.width,
        scene.lighting.normals,
        scene.mesh.faces,
        scene.strands.face,
        eye,
        scene.lighting.lamp_direction,
        pixels_per_slope,
        scene.band,
        segments,
        colours,
    )
    order = np.argsort(-(segments[:count, 4] + segments[:count, 5]), kind="stable")
    paint_segments(
        order, segments, colours, np.float32(origin[0]), np.float32(origin[1]), depth, np.float32(_BIAS), image
    )
    return _reduce(image, supersample), (x0, y0)


def paint_frame(scene: Scene, lens: Lens, supersample: int = 2) -> np.ndarray:
    """Straight display rgba [H, W, 4] float32 of the whole image, transparent around the animal."""
    patch, (x, y) = paint(scene, lens, supersample)
    full = np.zeros((lens.height, lens.width, 4), np.float32)
    alpha = patch[..., 3:]
    full[y : y + patch.shape[0], x : x + patch.shape[1]] = np.concatenate(
        [patch[..., :3] / np.maximum(alpha, 1e-6), alpha], -1
    )
    return np.clip(full, 0, 1)


def _box(
    projected: np.ndarray, strand_pixels: np.ndarray, lens: Lens, supersample: int
) -> tuple[int, int, int, int] | None:
    seen = np.concatenate([projected[projected[:, 2] > 0], strand_pixels[strand_pixels[:, 2] > 0]])[:, :2] / supersample
    if len(seen) == 0:
        return None
    low = np.maximum(np.floor(seen.min(0)).astype(int) - 2, 0)
    high = np.minimum(np.ceil(seen.max(0)).astype(int) + 2, (lens.width, lens.height))
    return None if np.any(high <= low) else (int(low[0]), int(low[1]), int(high[0]), int(high[1]))


def _skin_colours(scene: Scene, eye: np.ndarray) -> np.ndarray:
    """Display colours [N, 3] of the vertices: diffuse light, a highlight of the lamps, the acrylic band."""
    mesh, lighting = scene.mesh, scene.lighting
    view = eye - scene.vertices
    view /= np.linalg.norm(view, axis=1, keepdims=True)
    halfway = view + lighting.lamp_direction
    halfway /= np.linalg.norm(halfway, axis=1, keepdims=True)
    facing = np.clip((lighting.normals * halfway).sum(1), 0, 1)
    is_eye = mesh.region == 2
    highlight = mesh.gloss * lighting.lamp * np.where(is_eye, facing**90, facing**14)
    grazing = np.where(is_eye, 0.10, 0.04) * (1 - np.abs((lighting.normals * view).sum(1))) ** 4
    linear = mesh.albedo * lighting.diffuse[:, None] + (highlight + grazing * lighting.diffuse)[:, None]
    display = np.clip(linear, 0, 1) ** DISPLAY_GAMMA
    veil = scene.band * np.clip(1 - scene.vertices[:, 2:] / BAND_HEIGHT, 0, 1) ** 0.6
    return (display * (1 - veil) + BAND_GREY * veil).astype(np.float32)


def _reduce(image: np.ndarray, supersample: int) -> np.ndarray:
    if supersample == 1:
        return image
    return image.reshape(
        image.shape[0] // supersample, supersample, image.shape[1] // supersample, supersample, 4
    ).mean((1, 3))


@compiled()
def _grow(vertices, faces, face, bary, lie, length, curl, diffuse, lamp, points, light):
    """World points of the strands and the light at their roots, in the posed mesh."""
    for s in range(face.shape[0]):
        a, b, c = faces[face[s], 0], faces[face[s], 1], faces[face[s], 2]
        e1, e2 = vertices[b] - vertices[a], vertices[c] - vertices[a]
        n = np.array([e1[1] * e2[2] - e1[2] * e2[1], e1[2] * e2[0] - e1[0] * e2[2], e1[0] * e2[1] - e1[1] * e2[0]])
        n /= max(np.sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]), 1e-12)
        direction = lie[s, 0] * e1 + lie[s, 1] * e2 + lie[s, 2] * n
        direction /= max(np.sqrt((direction * direction).sum()), 1e-12)
        light[s, 0] = bary[s, 0] * diffuse[a] + bary[s, 1] * diffuse[b] + bary[s, 2] * diffuse[c]
        light[s, 1] = bary[s, 0] * lamp[a] + bary[s, 1] * lamp[b] + bary[s, 2] * lamp[c]
        root = bary[s, 0] * vertices[a] + bary[s, 1] * vertices[b] + bary[s, 2] * vertices[c]
        for k in range(points.shape[1]):
            t = k / (points.shape[1] - 1.0)
            for d in range(3):
                points[s, k, d] = root[d] + length[s] * (t * direction[d] - curl[s] * t * t * n[d])


@compiled()
def _shade_strands(
    points, pixels, light, colour, width, normals, faces, face, eye, lamp, focal, band, segments, colours
):
    """Fill segments and their display colours (Kajiya-Kay) for strands on the near side; returns their number."""
    count = 0
    for s in range(points.shape[0]):
        root = points[s, 0]
        vx, vy, vz = eye[0] - root[0], eye[1] - root[1], eye[2] - root[2]
        distance = np.sqrt(vx * vx + vy * vy + vz * vz)
        vx, vy, vz = vx / distance, vy / distance, vz / distance
        a = faces[face[s], 0]
        if normals[a, 0] * vx + normals[a, 1] * vy + normals[a, 2] * vz < -0.45:
            continue
        hx, hy, hz = vx + lamp[0], vy + lamp[1], vz + lamp[2]
        scale = 1.0 / np.sqrt(hx * hx + hy * hy + hz * hz)
        hx, hy, hz = hx * scale, hy * scale, hz * scale
        for k in range(points.shape[1] - 1):
            p, q = pixels[s, k], pixels[s, k + 1]
            if p[2] <= 0.0 or q[2] <= 0.0:
                continue
            tx, ty, tz = (
                points[s, k + 1, 0] - points[s, k, 0],
                points[s, k + 1, 1] - points[s, k, 1],
                points[s, k + 1, 2] - points[s, k, 2],
            )
            scale = 1.0 / max(np.sqrt(tx * tx + ty * ty + tz * tz), 1e-9)
            along_lamp = (tx * lamp[0] + ty * lamp[1] + tz * lamp[2]) * scale
            along_half = (tx * hx + ty * hy + tz * hz) * scale
            sine = np.sqrt(max(1.0 - along_lamp * along_lamp, 0.0))
            gleam = max(1.0 - along_half * along_half, 0.0) ** 18
            depth_in_fur = 0.50 + 0.28 * k  # roots lie in the shade of the other hairs
            diffuse = light[s, 0] * depth_in_fur * (0.45 + 0.55 * sine)
            shine = 0.085 * gleam * light[s, 1] * depth_in_fur * min(light[s, 0] * 1.3, 1.0)
            veil = band * max(1.0 - points[s, k, 2] / 25.0, 0.0) ** 0.6
            for d in range(3):
                linear = min(colour[s, d] * diffuse + shine * (0.7 + colour[s, d]), 1.0)
                colours[count, d] = linear ** (1 / 2.2) * (1.0 - veil) + 0.60 * veil
            colours[count, 3] = 0.92 - 0.14 * k
            segments[count, 0], segments[count, 1], segments[count, 2], segments[count, 3] = p[0], p[1], q[0], q[1]
            segments[count, 4], segments[count, 5] = p[2], q[2]
            segments[count, 6] = 0.5 * width[s] * (1.0 - 0.25 * k) * focal / p[2]
            count += 1
    return count
