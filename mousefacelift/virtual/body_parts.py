"""The parts of the procedural mouse: trunk, tail, limbs, ears and eyes as closed lofts with their joint weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from mousefacelift.virtual import loft
from mousefacelift.virtual.anatomy import (
    BODY_SCALE,
    SIDES,
    SPINE,
    TAIL_JOINTS,
    TAIL_MM,
    TRUNK,
    Animal,
    body_scale,
    joint_table,
)
from mousefacelift.virtual.loft import Part

FUR, BARE, EYE = 0, 1, 2  # regions


@dataclass
class Piece:
    """One closed part: its surface, the region of its skin, and joint weights [n, J]."""

    name: str
    shape: Part
    region: int
    weights: np.ndarray


class Skeleton:
    """Average joints by name, and weight rows that blend along chains of them."""

    def __init__(self) -> None:
        self.names, self.parents, self.positions = joint_table(Animal())

    def at(self, name: str) -> np.ndarray:
        return self.positions[self.names.index(name)]

    def chain(self, along: np.ndarray, knots: list[tuple[float, str]]) -> np.ndarray:
        """Weights [n, J]: each joint owns `along` from its knot on, blended smoothly half-way to the next knot."""
        weights = np.zeros((len(along), len(self.names)))
        for k, (knot, name) in enumerate(knots):
            column = np.ones_like(along)
            if k > 0:
                column = _ramp(along, knots[k - 1][0], knot)
            if k + 1 < len(knots):
                column = column * (1 - _ramp(along, knot, knots[k + 1][0]))
            weights[:, self.names.index(name)] += column
        return weights / weights.sum(1, keepdims=True)


def _ramp(x: np.ndarray, start: float, stop: float) -> np.ndarray:
    t = np.clip((x - start) / (stop - start), 0, 1)
    return t * t * (3 - 2 * t)


def trunk_piece(skeleton: Skeleton, animal: Animal) -> Piece:
    arc = np.append(0.0, np.cumsum(np.hypot(*np.diff(TRUNK[:, :2], axis=0).T)))
    at = np.linspace(0, arc[-1], 120)
    at += 1.2 * np.sin(2 * np.pi * at / arc[-1])  # more rings at the head
    x, z, width, above, below = PchipInterpolator(arc, TRUNK)(at).T
    width = width * animal.girth * BODY_SCALE / body_scale(Animal(girth=animal.girth))[1]
    tangent = np.stack([np.gradient(x), 0 * x, np.gradient(z)], -1)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    up = np.stack([-tangent[:, 2], 0 * x, tangent[:, 0]], -1)
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    lateral, vertical = np.cos(angle), np.sin(angle)
    lateral = lateral * (1 + 0.05 * vertical * (vertical < 0))
    height = np.where(vertical > 0, above[:, None] * vertical, below[:, None] * vertical)
    center = np.stack([x, 0 * x, z], -1)
    rings = center[:, None] + (width[:, None] * lateral)[..., None] * [0.0, 1.0, 0.0] + height[..., None] * up[:, None]
    part = loft.loft(rings)
    part.along = part.vertices[:, 0]
    knots = [(float(skeleton.at(name)[0]) + 4.0, name) for name in SPINE]
    return Piece("trunk", part, FUR, skeleton.chain(part.along, knots))


def tail_piece(skeleton: Skeleton, animal: Animal) -> Piece:
    length = TAIL_MM * animal.tail
    s = np.linspace(-0.035, 1.0, 84)
    points = np.stack([-39.0 - length * s, 0 * s, 18.6 + 0 * s], -1)
    radii = 2.5 * (1 - np.clip(s, 0, 1)) ** 0.75 + 0.62
    radii = radii * np.where(s > 0.985, 0.6, 1.0)
    part = loft.tube(points[::-1], radii[::-1], 14)
    along = -(part.vertices[:, 0] + 39.0) / length * TAIL_JOINTS
    knots = [(-0.6, "pelvis")] + [(i + 0.5, f"tail_{i}") for i in range(TAIL_JOINTS)]
    return Piece("tail", part, BARE, skeleton.chain(along, knots))


def _limb(
    skeleton: Skeleton, side: str, joints: tuple[str, ...], radii: tuple[float, ...], base: str, rounding: float
) -> Part:
    corners = np.array([skeleton.at(f"{side}_{name}") for name in joints])
    points, widths = loft.smooth_path(corners, np.array(radii), 36, rounding)
    return loft.tube(points, widths, 24, up=(0.0, 1.0, 0.15), flatten=0.86)


def hind_limb(skeleton: Skeleton, side: str) -> list[Piece]:
    leg = _limb(skeleton, side, ("hip", "knee", "ankle"), (7.6, 4.6, 2.0), "pelvis", 0.2)
    ankle, toes = skeleton.at(f"{side}_ankle"), skeleton.at(f"{side}_toes")
    heel = ankle + [-1.4, 0.0, -1.2]
    path, radii = loft.smooth_path(
        np.array([heel, 0.5 * (heel + toes), toes, toes + 0.12 * (toes - heel)]),
        np.array([1.7, 1.75, 2.2, 1.5]),
        14,
        0.08,
    )
    foot = loft.tube(path, radii, 16, flatten=0.6)
    leg_weights = skeleton.chain(
        leg.along, [(-0.35, "pelvis"), (0.18, f"{side}_hip"), (0.72, f"{side}_knee"), (1.1, f"{side}_ankle")]
    )
    pieces = [
        Piece(f"{side}_leg", leg, FUR, leg_weights),
        Piece(f"{side}_foot", foot, BARE, skeleton.chain(foot.along, [(0.2, f"{side}_ankle"), (1.15, f"{side}_toes")])),
    ]
    return pieces + _digits(skeleton, side, f"{side}_toes", (toes - ankle), 5, 4.6, 1.75, 0.62)


def fore_limb(skeleton: Skeleton, side: str) -> list[Piece]:
    arm = _limb(skeleton, side, ("shoulder", "elbow", "wrist"), (5.2, 3.5, 1.55), "scapula", 0.18)
    wrist, digits = skeleton.at(f"{side}_wrist"), skeleton.at(f"{side}_digits")
    path, radii = loft.smooth_path(
        np.array([wrist + 0.3 * (wrist - digits), wrist, digits, digits + 0.1 * (digits - wrist)]),
        np.array([1.2, 1.35, 1.65, 1.1]),
        12,
        0.08,
    )
    hand = loft.tube(path, radii, 14, flatten=0.68)
    knots = [(-0.3, f"{side}_scapula"), (0.15, f"{side}_shoulder"), (0.7, f"{side}_elbow"), (1.1, f"{side}_wrist")]
    weights = skeleton.chain(arm.along, knots)
    pieces = [
        Piece(f"{side}_arm", arm, FUR, weights),
        Piece(
            f"{side}_hand", hand, BARE, skeleton.chain(hand.along, [(0.3, f"{side}_wrist"), (1.2, f"{side}_digits")])
        ),
    ]
    return pieces + _digits(skeleton, side, f"{side}_digits", (digits - wrist), 4, 3.4, 1.25, 0.5)


def _digits(
    skeleton: Skeleton,
    side: str,
    joint: str,
    forward: np.ndarray,
    count: int,
    length: float,
    spread: float,
    radius: float,
) -> list[Piece]:
    """`count` short toes fanning out from a joint, the middle ones longest, resting on the floor."""
    forward = forward * [1, 1, 0] / np.linalg.norm(forward[:2])
    lateral = np.array([-forward[1], forward[0], 0.0])
    base, pieces = skeleton.at(joint), []
    for i, offset in enumerate(np.linspace(-1, 1, count)):
        reach = length * (1 - 0.28 * offset * offset)
        start = base + lateral * spread * offset * 0.8 - forward * 0.4
        tip = base + lateral * spread * offset * 1.5 + forward * reach
        knuckle = 0.5 * (start + tip) + [0, 0, 0.45]
        start[2], tip[2] = base[2] * 0.9, radius + 0.1
        path, radii = loft.smooth_path(np.array([start, knuckle, tip]), radius * np.array([1.2, 1.0, 0.65]), 8, 0.2)
        part = loft.tube(path, radii, 8)
        pieces.append(Piece(f"{joint}_{i}", part, BARE, skeleton.chain(part.along, [(0.0, joint)])))
    return pieces


def ear_piece(skeleton: Skeleton, side: str, sign: float, animal: Animal) -> Piece:
    """A cupped oval shell whose narrow base is sunk into the head."""
    part = loft.ellipsoid(np.zeros(3), np.array([6.9, 5.4, 0.5]) * animal.ear, 22, 28)
    local = part.vertices.copy()
    s = local[:, 0] / (6.9 * animal.ear)
    local[:, 1] *= 1 - 0.34 * np.clip(-s, 0, 1)
    local[:, 2] += 0.055 * local[:, 1] ** 2 - 0.5 * np.clip(-s, 0, 1) ** 2 + 0.35 * s * s
    axis = np.array([-0.36, 0.50 * sign, 0.79])
    opening = np.array([0.78, 0.60 * sign, -0.02])
    axis /= np.linalg.norm(axis)
    opening -= axis * (opening @ axis)
    opening /= np.linalg.norm(opening)
    across = np.cross(opening, axis)
    base = skeleton.at(f"{side}_ear") - [0, 0, 1.2]
    placed = base + np.stack([local[:, 0] + 6.0 * animal.ear, local[:, 1], local[:, 2]], -1) @ np.stack(
        [axis, across, opening]
    )
    part.vertices, part.along = placed, (local[:, 0] / (13.8 * animal.ear)) + 0.5
    weights = skeleton.chain(part.along, [(0.0, "head"), (0.5, f"{side}_ear")])
    return Piece(f"{side}_ear", part, BARE, weights)


def eye_piece(skeleton: Skeleton, side: str, sign: float) -> Piece:
    part = loft.ellipsoid(np.array([41.6, 5.75 * sign, 23.2]), np.array([1.75, 1.35, 1.75]), 14, 20)
    return Piece(f"{side}_eye", part, EYE, skeleton.chain(part.along, [(0.0, "head")]))


def blend_limbs_into_trunk(skeleton: Skeleton, pieces: list[Piece]) -> None:
    """Swell the trunk where thighs and upper arms leave it, and give the swelling to the limb's joint."""
    trunk = pieces[0]
    for side, _ in SIDES:
        for a, b, radius_a, radius_b, blend in (("hip", "knee", 8.6, 4.0, 5.0), ("shoulder", "elbow", 5.8, 3.0, 4.0)):
            start, stop = skeleton.at(f"{side}_{a}"), skeleton.at(f"{side}_{b}")
            normals = loft.vertex_normals(trunk.shape.vertices, trunk.shape.faces)
            distance = loft.capsule_distance(trunk.shape.vertices, start, stop, radius_a, radius_b)
            push = np.minimum(loft.smooth_union_push(np.zeros_like(distance), distance, blend), 3.0)
            trunk.shape.vertices = trunk.shape.vertices + 0.8 * push[:, None] * normals
            share = 0.45 * _ramp(-distance, -3.0, 3.0)[:, None]
            own = np.zeros_like(trunk.weights)
            own[:, skeleton.names.index(f"{side}_{a}")] = 1.0
            trunk.weights = trunk.weights * (1 - share) + own * share
