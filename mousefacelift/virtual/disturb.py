"""What labs have in their pictures besides one animal: bedding, reflections, occluders, a second animal.

Drawn into the video and, as a threshold or a saliency network does, into the masks; truth files never see it. Flat
shapes at the video's resolution are enough: what matters is where a mask is wrong, and how it moves.
"""

from __future__ import annotations

import cv2
import numpy as np

from mousefacelift.virtual.arena import CYLINDER_RADIUS
from mousefacelift.virtual.config import Degradations
from mousefacelift.virtual.raster import fill_depth, project_points
from mousefacelift.virtual.rig import ARENA_CENTER, Lens, project

HEAP = (np.array([-62.0, -38.0, 0.0]), np.array([26.0, 20.0, 18.0]))  # mm from the arena's centre: place, radii
HEAP_COLOUR, POST_COLOUR = (0.78, 0.68, 0.48), (0.35, 0.36, 0.38)
POST_WIDTH = 0.035  # of the picture's width
SECOND = np.array([0.0, 45.0])  # mm from the arena's centre: the point about which the second animal is a half turn
DIM = 0.55  # of the animal's brightness in its reflection
_FAR = np.float32(1e9)


def disturb(
    image: np.ndarray,
    alpha: np.ndarray,
    body: tuple[np.ndarray, np.ndarray],
    lens: Lens,
    camera: int,
    degradations: Degradations,
) -> tuple[np.ndarray, np.ndarray]:
    """Picture [H, W, 3] and mask [H, W] (both in [0, 1]) with everything that `degradations` switches on.

    Args:
        body: the animal's vertices [N, 3] mm and faces.
    """
    spoil, (vertices, faces) = degradations, body
    if spoil.bedding:
        image, alpha = _add(image, alpha, _heap(lens, alpha.shape), HEAP_COLOUR)
    if spoil.second_animal:
        turned = np.concatenate([2 * (ARENA_CENTER + SECOND) - vertices[:, :2], vertices[:, 2:]], 1)
        image, alpha = _add(image, alpha, _silhouette(turned, faces, lens, alpha.shape), _coat(image, alpha))
    if spoil.floor_mirror_camera == camera:
        image, alpha = _reflect(image, alpha, vertices * [1, 1, -1], faces, lens)
    if spoil.glass_reflection_camera == camera:
        image, alpha = _reflect(image, alpha, _behind_glass(vertices, lens), faces, lens)
    if spoil.occluder_camera == camera:
        middle = project(lens, np.array([*ARENA_CENTER, 20.0]))[0][0]
        half = 0.5 * POST_WIDTH * alpha.shape[1]
        columns = slice(max(0, int(middle - half)), int(middle + half) + 1)
        image[:, columns], alpha[:, columns] = POST_COLOUR, 0.0
    return image, alpha


def _silhouette(vertices: np.ndarray, faces: np.ndarray, lens: Lens, shape: tuple[int, int]) -> np.ndarray:
    projected, depth = np.empty((len(vertices), 3)), np.full(shape, _FAR, np.float32)
    project_points(np.ascontiguousarray(vertices, np.float64), lens.packed(), 1.0, projected)
    fill_depth(projected, faces[(projected[faces, 2] > 0).all(1)], depth)
    return depth < _FAR


def _heap(lens: Lens, shape: tuple[int, int]) -> np.ndarray:
    """A dome on the floor, the same in every frame."""
    turn, rise = np.meshgrid(np.linspace(0, 2 * np.pi, 24), np.linspace(0, np.pi / 2, 6))
    dome = np.stack([np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise)], -1).reshape(-1, 3)
    pixels, _ = project(lens, dome * HEAP[1] + HEAP[0] + [*ARENA_CENTER, 0.0])
    filled = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(filled, np.rint(cv2.convexHull(pixels.astype(np.float32))).astype(np.int32), 1)
    return filled > 0


def _behind_glass(vertices: np.ndarray, lens: Lens) -> np.ndarray:
    """The animal mirrored in the wall of the cylinder on the far side of the camera."""
    away = np.append(ARENA_CENTER - lens.center[:2], 0.0)
    away /= np.linalg.norm(away)
    wall = np.array([*ARENA_CENTER, 0.0]) + CYLINDER_RADIUS * away
    return vertices - 2 * ((vertices - wall) @ away)[:, None] * away


def _reflect(image, alpha, vertices, faces, lens) -> tuple[np.ndarray, np.ndarray]:
    return _add(image, alpha, _silhouette(vertices, faces, lens, alpha.shape), DIM * np.array(_coat(image, alpha)))


def _coat(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    inside = alpha > 0.9
    return image[inside].mean(0) if inside.any() else np.full(3, 0.2)


def _add(image, alpha, shape: np.ndarray, colour) -> tuple[np.ndarray, np.ndarray]:
    """A flat shape behind the animal, and in its mask."""
    behind = (shape * (1 - alpha))[..., None].astype(np.float32)
    return image * (1 - behind) + behind * np.float32(colour), np.maximum(alpha, shape.astype(np.float32))
