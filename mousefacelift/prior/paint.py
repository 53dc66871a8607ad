"""Training pictures: one pose of one individual from random cameras, with its exact surface points and colours."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mousefacelift.core.cameras import Camera, look_at
from mousefacelift.prior.crop import MARGIN, camera_of_crop, relative_heading, span_of_points, view_facts
from mousefacelift.prior.individuals import KEY, Individual, draw_lights, draw_pose
from mousefacelift.prior.template import Template
from mousefacelift.virtual.body_parts import FUR
from mousefacelift.virtual.degrade import change_mask
from mousefacelift.virtual.loft import vertex_normals
from mousefacelift.virtual.painter import BAND_GREY, BAND_HEIGHT, DISPLAY_GAMMA, Scene, make_scene, paint
from mousefacelift.virtual.rig import from_camera

FUR_OFFSET = (
    0.15  # share of the fur's length by which its visible surface lies outside the skin; fitted to painted silhouettes
)
HAIR_LIGHT = 0.58  # light on the hair that is seen over the light on the skin below; fitted to painted views
HAIR_SHINE = 0.014


@dataclass(frozen=True)
class PoseTruth:
    """A pose ready to be painted.

    Args:
        scene: lit and furred. origin: [3] mm where a recording would put the world's origin. heading: radians.
        points: [N, 3] mm template points about the origin, turned so that the animal heads along +x.
        colours: [N, 3] display colours in [0, 1].
    """

    scene: Scene
    origin: np.ndarray
    heading: float
    points: np.ndarray
    colours: np.ndarray


def make_pose(individual: Individual, number: int, template: Template) -> PoseTruth:
    """The pose `number` of an individual under random light."""
    rng = np.random.default_rng([KEY, individual.index, 3, number])
    vertices, heading = draw_pose(individual, number)
    band = 0.0 if rng.uniform() < 0.5 else float(rng.uniform(0.1, 0.5))
    scene = make_scene(individual.mesh, vertices, individual.strands, draw_lights(rng), band)
    middle = vertices[individual.mesh.part == 0].mean(0)
    origin = middle + 4.0 * rng.normal(size=3)
    points = surface_points(individual.mesh, vertices, template.vertices)
    return PoseTruth(scene, origin, heading, turn_z(points - origin, -heading), point_colours(scene)[template.vertices])


def surface_points(mesh, vertices: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """[n, 3] where the chosen vertices of a posed mesh are seen: outside the skin by part of the fur."""
    normals = vertex_normals(vertices, mesh.faces)
    return (vertices + normals * (FUR_OFFSET * mesh.fur * mesh.fur_length * (mesh.region == FUR))[:, None])[chosen]


def turn_z(points: np.ndarray, angle: float) -> np.ndarray:
    """Points [..., 3] turned about z by `angle` radians."""
    c, s = np.cos(angle), np.sin(angle)
    return points @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]])


def point_colours(scene: Scene) -> np.ndarray:
    """[N, 3] display colours of the vertices as the painter shows them on average, without what depends on the view."""
    mesh, light = scene.mesh, scene.lighting
    furry = np.clip(mesh.fur * 1.2, 0, 1)[:, None] * (mesh.region == FUR)[:, None]
    hair = mesh.hair * HAIR_LIGHT * light.diffuse[:, None] + HAIR_SHINE * (light.lamp * light.diffuse)[:, None]
    linear = hair * furry + mesh.albedo * light.diffuse[:, None] * (1 - furry)
    display = np.clip(linear, 0, 1) ** DISPLAY_GAMMA
    veil = scene.band * np.clip(1 - scene.vertices[:, 2:] / BAND_HEIGHT, 0, 1) ** 0.6
    return display * (1 - veil) + BAND_GREY * veil


@dataclass(frozen=True)
class PaintedView:
    """One training picture.

    Args:
        rgba: [S, S, 4] uint8, straight alpha. facts: [3] as `crop.view_facts`. heading: radians relative to the view.
        anchor: [3] mm in the frame of PoseTruth.points. unit: mm.
        camera: in mm, the pose's world.
    """

    rgba: np.ndarray
    facts: np.ndarray
    heading: float
    anchor: np.ndarray
    unit: float
    camera: Camera


def random_camera(
    pose: PoseTruth, rng: np.random.Generator, size: int, elevation: tuple[float, float]
) -> tuple[Camera, np.ndarray, float]:
    """The camera of a random crop, its anchor (mm) and unit: any azimuth, distances and lenses of real rigs, a crop a
    little off."""
    azimuth, height = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(*elevation))
    distance = float(np.exp(rng.uniform(np.log(190.0), np.log(750.0))))
    direction = np.array([np.cos(height) * np.cos(azimuth), np.cos(height) * np.sin(azimuth), np.sin(height)])
    center = pose.origin + distance * direction
    w2c = look_at(center, pose.origin)
    middle, half = span_of_points(pose.scene.vertices @ w2c[:3, :3].T + w2c[:3, 3])
    half *= MARGIN * np.exp(0.03 * rng.normal()) * 1.02
    middle[:2] += 0.025 * half * rng.normal(size=2)
    depth = distance * float(np.linalg.norm(middle))
    return camera_of_crop(center, w2c[:3, :3].T @ middle, depth, half, size)


def paint_view(pose: PoseTruth, rng: np.random.Generator, size: int, elevation: tuple[float, float]) -> PaintedView:
    """One degraded picture from a random camera."""
    camera, anchor, unit = random_camera(pose, rng, size, elevation)
    rgba = degrade(paint_square(pose.scene, camera, rng.uniform() < 0.2), rng)
    turned = turn_z(anchor - pose.origin, -pose.heading)
    facts = view_facts(camera.center - anchor, unit)
    return PaintedView(rgba, facts, relative_heading(pose.heading, camera), turned, unit, camera)


def paint_square(scene: Scene, camera: Camera, coarse: bool = False) -> np.ndarray:
    """Straight rgba [S, S, 4] float32; `coarse` paints half as many pixels and enlarges them."""
    small = camera.scaled_to(camera.width // 2, camera.height // 2) if coarse else camera
    patch, (x, y) = paint(scene, from_camera(small), 2)
    full = np.zeros((small.height, small.width, 4), np.float32)
    full[y : y + patch.shape[0], x : x + patch.shape[1]] = patch
    if coarse:
        full = cv2.resize(full, (camera.width, camera.height), interpolation=cv2.INTER_LINEAR)
    full[..., :3] /= np.maximum(full[..., 3:], 1e-6)
    return np.clip(full, 0, 1)


def degrade(rgba: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uint8 rgba with a mask as real ones are (grown, shrunk, lossy, cut), blur and sensor noise; colours lie outside
    the true mask too."""
    colour, alpha = rgba[..., :3].copy(), rgba[..., 3]
    background = rng.uniform(0.2, 0.95)
    colour = colour * alpha[..., None] + background * (1 - alpha[..., None])
    if rng.uniform() < 0.4:
        colour = cv2.GaussianBlur(colour, (0, 0), float(rng.uniform(0.3, 1.2)))
    colour += (rng.uniform(0, 0.02) * rng.standard_normal(colour.shape)).astype(np.float32)
    mask = alpha
    if rng.uniform() < 0.7:
        mask = change_mask(mask, float(np.clip(0.6 * rng.normal(), -1.2, 1.5)))
    if rng.uniform() < 0.4:
        mask = _ragged(mask, rng)
    if rng.uniform() < 0.12:
        mask = _cut(mask, rng)
    return np.rint(np.clip(np.concatenate([colour, mask[..., None]], -1), 0, 1) * 255).astype(np.uint8)


def _ragged(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The mask with a rough border, as lossy video leaves it."""
    size = mask.shape[0]
    rough = cv2.resize(
        rng.normal(size=(size // 4, size // 4)).astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR
    )
    soft = cv2.GaussianBlur(mask, (0, 0), 0.8)
    return np.clip((soft - 0.5) * 2.5 + 0.5 + 0.35 * rough * (soft > 0.02) * (soft < 0.98), 0, 1).astype(np.float32)


def _cut(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The mask with an ellipse missing: a hole, or a part cut off."""
    size = mask.shape[0]
    hole = np.zeros((size, size), np.uint8)
    center = tuple(int(v) for v in rng.integers(0, size, 2))
    axes = tuple(int(v) for v in rng.integers(2, max(size // 7, 3), 2))
    cv2.ellipse(hole, center, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    return mask * (1 - hole)
