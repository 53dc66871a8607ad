"""The template: which vertices of the procedural mouse stand for its surface, the same on every individual.

Points are chosen once on the average animal, by farthest-point sampling of each part with its own budget (thin parts
more densely than the trunk), on the left half only; the right half is its mirror image, so that a left-right map
exists.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from mousefacelift.prior.surface import NEIGHBOURS
from mousefacelift.virtual import loft
from mousefacelift.virtual.anatomy import Animal
from mousefacelift.virtual.mesh import build_mouse

GROUPS = ("trunk", "tail", "ears", "limbs", "eyes")  # what part recall is reported for
# Points per piece, in the order of `mesh.build_mouse`: the trunk and the tail whole, limbs and ears per side.
_BUDGET = {"trunk": 1100, "tail": 260, "leg": 110, "foot": 50, "toe": 8, "arm": 80, "hand": 36, "digit": 7, "ear": 100}
_EYE = 12
_SAME_SIDE = 0.3  # least cosine between normals of neighbours: points across a thin part are none


@dataclass(frozen=True)
class Template:
    """N surface points.

    Args:
        vertices: [N] vertex index in the procedural mesh.
        group: [N] index into GROUPS.
        mirror: [N] the point that a left-right mirror image puts here.
        neighbours: [N, NEIGHBOURS] points around each on the same sheet of the same part; seen from outside, the first
            two turn counter-clockwise.
    """

    vertices: np.ndarray
    group: np.ndarray
    mirror: np.ndarray
    neighbours: np.ndarray


@functools.cache
def build_template() -> Template:
    """The template of the average animal; about a second."""
    mesh = build_mouse(Animal())
    normals = loft.vertex_normals(mesh.vertices, mesh.faces)
    chosen, group, sheet = [], [], []
    for index, (kind, partner) in enumerate(_pieces()):
        if partner is not None and partner < index:
            continue  # the right half comes with the left
        ids = np.flatnonzero(mesh.part == index)
        budget = _EYE if kind == "eye" else _BUDGET[kind]
        if partner is None:
            half = ids[mesh.vertices[ids, 1] >= -1e-9]
            picked = _spread(mesh.vertices, half, budget // 2)
            other = _nearest_mirrored(mesh.vertices, picked, ids)
        else:
            picked = _spread(mesh.vertices, ids, budget)
            other = _nearest_mirrored(mesh.vertices, picked, np.flatnonzero(mesh.part == partner))
        chosen.append(np.concatenate([picked, other]))
        count = len(picked)
        group.append(np.full(2 * count, GROUPS.index(_group_of(kind))))
        sheet.append(np.repeat([index, index if partner is None else partner], count))
    vertices = np.concatenate(chosen)
    group, halves = np.concatenate(group), [(len(part) + 1) // 2 for part in chosen]
    is_left = np.concatenate([np.arange(len(part)) < half for part, half in zip(chosen, halves)])
    around = _neighbours(mesh.vertices[vertices], normals[vertices], np.concatenate(sheet))
    return Template(vertices, group, _match_sides(mesh.vertices[vertices], group, is_left), around)


def _pieces() -> list[tuple[str, int | None]]:
    """Kind and the index of the mirrored piece (None for the two on the midline) of every piece of `build_mouse`."""
    side = ["leg", "foot", *["toe"] * 5, "arm", "hand", *["digit"] * 4, "ear", "eye"]
    left = [(kind, 2 + i + len(side)) for i, kind in enumerate(side)]
    right = [(kind, 2 + i) for i, kind in enumerate(side)]
    return [("trunk", None), ("tail", None), *left, *right]


def _group_of(kind: str) -> str:
    return kind if kind in ("trunk", "tail") else {"ear": "ears", "eye": "eyes"}.get(kind, "limbs")


def _spread(vertices: np.ndarray, ids: np.ndarray, count: int) -> np.ndarray:
    """`count` of the vertices `ids` by farthest-point sampling, from the foremost on."""
    points = vertices[ids]
    picked = [int(points[:, 0].argmax())]
    distance = np.full(len(ids), np.inf)
    while len(picked) < min(count, len(ids)):
        distance = np.minimum(distance, ((points - points[picked[-1]]) ** 2).sum(1))
        picked.append(int(distance.argmax()))
    return ids[picked]


def _nearest_mirrored(vertices: np.ndarray, picked: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    return candidates[cKDTree(vertices[candidates]).query(vertices[picked] * [1, -1, 1])[1]]


def _match_sides(points: np.ndarray, group: np.ndarray, is_left: np.ndarray) -> np.ndarray:
    """[N] each point's partner on the other side: pairs whose mirror images lie nearest together (toes count from the
    inside on one foot and from the outside on the other)."""
    mirror = np.arange(len(points))
    for part in np.unique(group):
        left, right = np.flatnonzero((group == part) & is_left), np.flatnonzero((group == part) & ~is_left)
        far = cdist(points[left] * [1, -1, 1], points[right])
        rows, columns = linear_sum_assignment(far)
        mirror[left[rows]], mirror[right[columns]] = right[columns], left[rows]
    return mirror


def _neighbours(points: np.ndarray, normals: np.ndarray, sheet: np.ndarray) -> np.ndarray:
    around = np.zeros((len(points), NEIGHBOURS), np.int64)
    for piece in np.unique(sheet):
        ids = np.flatnonzero(sheet == piece)
        count = min(24, len(ids))
        near = ids[cKDTree(points[ids]).query(points[ids], count)[1]]
        for i, row in zip(ids, near):
            row = row[row != i]
            facing = normals[row] @ normals[i] > _SAME_SIDE
            chosen = np.resize(np.concatenate([row[facing], row[~facing]])[:NEIGHBOURS], NEIGHBOURS)
            around[i] = _turn_outward(points[chosen] - points[i], normals[i], chosen)
    return around


def _turn_outward(offsets: np.ndarray, normal: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The neighbours with a pair in front whose cross product tells outside from inside."""
    length = np.maximum(np.linalg.norm(offsets, axis=1), 1e-9)
    sine = np.cross(offsets[:, None], offsets[None]) @ normal / (length[:, None] * length[None])
    first, second = np.unravel_index(sine.argmax(), sine.shape)
    rest = [k for k in range(len(chosen)) if k not in (first, second)]
    return chosen[[first, second, *rest]]
