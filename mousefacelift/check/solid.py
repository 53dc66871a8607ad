"""A splat against the true body: parts that are there, volume, surface, and whether it is the right way round.

Pure functions. Surfaces are what cameras around can see; lengths are world units. A splat has no inside, so its volume
is the visual hull of its silhouettes, and so is the truth's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial import cKDTree

from mousefacelift.core.cameras import Camera, unproject
from mousefacelift.core.hull import carve_hull
from mousefacelift.errors import DataError

PARTS = ("trunk", "tail", "ears", "limbs")  # labels 0, 1, 2, 3 of truth.npz
THIN = (1, 2, 3)
PIXELS_128 = 2.0  # how far, in pixels of a 128 px picture, a part may be off and still count
TOLERANCE = 0.03  # world units: 2 px of 128 at distance 2.7 and 1.3 times the canonical focal length
SWAP_MARGIN = 0.1  # by which the parts must fit better the wrong way round
POINTS = 6000
HULL_RESOLUTION, HULL_HALF_EXTENT = 64, 0.9


@dataclass(frozen=True)
class Truth:
    """The true animal.

    Args:
        points: [P, 3] on the surface that cameras around can see. part: [P] label of each.
        own: [V, H, W] uint8: the part that alone covers the pixel of view v, else 255.
        center: [3] middle of the trunk. heading: [2] unit direction from tail to ears in the XY plane.
    """

    points: np.ndarray
    part: np.ndarray
    own: np.ndarray
    center: np.ndarray
    heading: np.ndarray


def read_truth(path: Path) -> Truth:
    """The truth of a test animal; points are drawn evenly over the visible surface (seed 0).

    Raises:
        DataError: the file is missing or not whole.
    """
    try:
        with np.load(path) as arrays:
            content = {name: arrays[name] for name in ("vertices", "faces", "part", "seen", "own", "heading")}
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"truth {path} cannot be read", got=repr(error), hint="rerun the rule film_animals") from error
    vertices, faces = content["vertices"].astype(np.float64), content["faces"]
    faces = faces[content["seen"][faces].all(1)]
    points, chosen = draw_on_faces(vertices, faces, POINTS, 0)
    trunk = vertices[content["part"] == 0].mean(0)
    return Truth(points, content["part"][faces[chosen, 0]], content["own"], trunk, content["heading"])


def draw_on_faces(vertices: np.ndarray, faces: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` points [count, 3] drawn evenly over triangles, and the row of `faces` that each lies on."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(faces), count, p=area / area.sum())
    u, v = np.sort(rng.uniform(size=(count, 2)), axis=1).T
    points = (
        u[:, None] * a[chosen] + (v - u)[:, None] * b[chosen] + (1 - v)[:, None] * c[chosen]
    )  # uniform over each triangle
    return points, chosen


def face_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals [F, 3] of triangles, outward where they are counter-clockwise seen from outside."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    normals = np.cross(b - a, c - a)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-12)


def part_recall(alpha: np.ndarray, own: np.ndarray) -> dict[str, float]:
    """Share of each part's own pixels within 2 px (at 128) of the predicted foreground, over all views.

    Args:
        alpha: [V, H, W] of the prediction. own: [V, H, W] as in `Truth`.
    Returns:
        {"recall_tail": ...} for every part; NaN for one that shows nowhere by itself.
    """
    reach = PIXELS_128 * own.shape[-1] / 128
    near = np.stack([_near(image > 0.5, reach) for image in alpha])
    return {
        f"recall_{name}": float(near[own == label].mean()) if (own == label).any() else float("nan")
        for label, name in enumerate(PARTS)
    }


def _near(mask: np.ndarray, reach: float) -> np.ndarray:
    if not mask.any():
        return np.zeros_like(mask)
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= reach


def volume_iou(alpha: np.ndarray, true_alpha: np.ndarray, cameras: Sequence[Camera]) -> float:
    """Intersection over union of the solids that two sets of silhouettes [V, H, W] leave (visual hulls); 0 where a
    prediction shows nothing in some view."""
    if not all((image > 0.5).any() for image in alpha):
        return 0.0
    solids = [
        carve_hull(
            masks > 0.5, cameras, np.zeros(3), HULL_HALF_EXTENT, HULL_RESOLUTION, min_views=len(cameras) // 2
        ).occupancy
        for masks in (alpha, true_alpha)
    ]
    return float((solids[0] & solids[1]).sum() / max((solids[0] | solids[1]).sum(), 1))


def surface_points(alpha: np.ndarray, depth: np.ndarray, cameras: Sequence[Camera]) -> np.ndarray:
    """Points [P, 3], at most POINTS, of what cameras see of a splat: its opaque pixels at their expected depth [V, H,
    W]."""
    points = []
    for image, z, camera in zip(alpha, depth, cameras, strict=True):
        rows, columns = np.nonzero(image > 0.5)
        points.append(unproject(camera, np.stack([columns + 0.5, rows + 0.5], -1), z[rows, columns]))
    seen = np.concatenate(points)
    return seen[np.linspace(0, len(seen) - 1, min(POINTS, len(seen))).astype(int)]


def surface_scores(points: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Chamfer distance to the true surface, precision, recall and F1 within TOLERANCE; the worst where there are no
    points.

    Args:
        points: [P, 3] of the splat. truth: [Q, 3] of the surface that cameras around can see.
    """
    if not len(points):
        return {"chamfer": float("nan"), "precision": 0.0, "surface_recall": 0.0, "f1": 0.0}
    to_truth, to_points = cKDTree(truth).query(points)[0], cKDTree(points).query(truth)[0]
    precision, recall = float((to_truth < TOLERANCE).mean()), float((to_points < TOLERANCE).mean())
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    return {
        "chamfer": float((to_truth.mean() + to_points.mean()) / 2),  # as `consistency.chamfer`
        "precision": precision,
        "surface_recall": recall,
        "f1": f1,
    }


def depth_normals(alpha: np.ndarray, depth: np.ndarray, cameras: Sequence[Camera]) -> tuple[np.ndarray, np.ndarray]:
    """Points and unit normals [P, 3], toward the camera, of the opaque pixels of depth images [V, H, W] whose
    neighbours to the right and below are opaque too."""
    points, normals = [], []
    for image, z, camera in zip(alpha > 0.5, depth, cameras, strict=True):
        rows, columns = np.nonzero(image[:-1, :-1] & image[1:, :-1] & image[:-1, 1:])
        here, right, below = (
            unproject(camera, np.stack([columns + dx + 0.5, rows + dy + 0.5], -1), z[rows + dy, columns + dx])
            for dx, dy in ((0, 0), (1, 0), (0, 1))
        )
        normal = np.cross(below - here, right - here)
        normals.append(normal / np.linalg.norm(normal, axis=1, keepdims=True).clip(1e-12))
        points.append(here)
    return np.concatenate(points), np.concatenate(normals)


def normal_error(points: np.ndarray, normals: np.ndarray, truth: np.ndarray, true_normals: np.ndarray) -> float:
    """Mean angle in degrees between normals of a splat's surface and those of the nearest true points; NaN without
    points. Random directions score 90.

    Args:
        points, normals: [P, 3] of the splat, normals toward the camera. truth, true_normals: [Q, 3], outward.
    """
    if not len(points):
        return float("nan")
    nearest = cKDTree(truth).query(points)[1]
    cosine = (normals * true_normals[nearest]).sum(1).clip(-1, 1)
    return float(np.degrees(np.arccos(cosine)).mean())


def swaps(points: np.ndarray, truth: Truth) -> dict[str, float]:
    """Whether tail, ears and limbs of the truth fit the splat's surface clearly better turned by half a turn
    (head_tail_swap) or mirrored left to right (left_right_swap); 1 or 0 each.

    An animal that is nearly its own mirror image cannot be swapped, and a splat without these parts is not.
    """
    if not len(points):
        return {"head_tail_swap": 0.0, "left_right_swap": 0.0}
    tree = cKDTree(points)
    across = np.array([-truth.heading[1], truth.heading[0], 0.0])
    moved = truth.points - truth.center
    candidates = {
        "": moved,
        "head_tail_swap": moved * [-1.0, -1.0, 1.0],
        "left_right_swap": moved - 2 * (moved @ across)[:, None] * across,
    }
    fits = {}
    for name, candidate in candidates.items():
        near = tree.query(candidate + truth.center)[0] < TOLERANCE
        fits[name] = np.mean([near[truth.part == part].mean() for part in THIN if (truth.part == part).any()])
    return {name: float(fits[name] > fits[""] + SWAP_MARGIN) for name in candidates if name}
