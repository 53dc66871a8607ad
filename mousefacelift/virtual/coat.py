"""Coat and skin: colours, fur density, length and lie on the mesh, and the strands that are seeded on it once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mousefacelift.virtual.anatomy import Animal

# Linear reflectances: hair on the back, hair on the belly; chosen by eye against photographs of laboratory mice.
_HAIR = {
    "black": ((0.030, 0.027, 0.025), (0.040, 0.036, 0.033)),
    "agouti": ((0.105, 0.075, 0.045), (0.26, 0.215, 0.16)),
    "white": ((0.86, 0.84, 0.79), (0.88, 0.86, 0.82)),
}
SKIN_PINK = np.array([0.50, 0.235, 0.195])
EYE_COLOUR = np.array([0.006, 0.005, 0.006])
FULL_STRANDS = 70_000  # a full coat; fewer strands are wider
WIDTH_MM = 0.09
SKIN_UNDER_FUR = 0.55  # skin under the fur as a factor on the hair's colour


def dress(
    vertices: np.ndarray, normals: np.ndarray, names: np.ndarray, along: np.ndarray, region: np.ndarray, animal: Animal
) -> dict[str, np.ndarray]:
    """Region, fur, fur_length, flow, albedo, hair and gloss of every vertex (see MouseMesh), from rest positions and
    part names."""
    is_trunk, is_tail = names == "trunk", names == "tail"
    is_leg = np.array([n.endswith(("_leg", "_arm")) for n in names])
    is_ear = np.array([n.endswith("_ear") for n in names])
    nose = is_trunk & (vertices[:, 0] > 54.2)
    fur = (is_trunk | is_leg).astype(float)
    fur[is_leg] *= np.clip((0.93 - along[is_leg]) / 0.15, 0, 1)
    fur[is_trunk] *= np.clip((54.6 - vertices[is_trunk, 0]) / 1.2, 0, 1) * np.clip(
        (vertices[is_trunk, 0] + 41.0) / 1.5, 0, 1
    )
    fur[is_ear] = 0.12
    region = np.where(nose | (fur < 0.3) & (region != 2), 1, region)
    head = np.clip((vertices[:, 0] - 26) / 14, 0, 1) * is_trunk
    length = 2.9 - 1.7 * head
    length = np.where(is_leg, 2.4 - 1.3 * along, length)
    length = np.where(is_ear, 0.7, length)
    hair = hair_colour(vertices, normals, animal)
    skin = _skin_colour(names, along, vertices, nose, is_ear, is_tail, animal)
    furry = np.clip(fur * 1.2, 0, 1)[:, None] * ~is_ear[:, None]
    albedo = hair * SKIN_UNDER_FUR * furry + skin * (1 - furry)
    albedo = np.where((region == 2)[:, None], EYE_COLOUR, albedo)
    gloss = np.where(region == 2, 1.0, np.where(nose, 0.25, np.where(is_tail, 0.06, 0.05)))
    return {
        "region": region.astype(np.uint8),
        "fur": fur,
        "fur_length": length * animal.length,
        "flow": _flow(vertices, normals, names),
        "albedo": albedo,
        "hair": hair,
        "gloss": gloss,
    }


def hair_colour(vertices: np.ndarray, normals: np.ndarray, animal: Animal) -> np.ndarray:
    """[N, 3] linear reflectance of the hair at rest positions in the body frame: back, belly, and the pattern of the
    coat."""
    base = "black" if animal.coat == "hooded" else animal.coat
    back, belly = (np.array(c) for c in _HAIR[base])
    under = np.clip((-normals[:, 2] - 0.15) / 0.6, 0, 1)[:, None]
    colour = back * (1 - under) + belly * under
    if animal.coat == "hooded":
        edge = 1.6 * np.sin(vertices[:, 0] * 0.55) + 1.1 * np.sin(vertices[:, 0] * 0.21 + 1.0)
        stripe = np.clip((5.0 + edge - np.abs(vertices[:, 1])) / 1.5, 0, 1) * (vertices[:, 2] > 22)
        hood = np.clip((vertices[:, 0] - 17.0 - edge) / 3.0, 0, 1)
        dark = np.maximum(stripe, hood)[:, None]
        colour = colour * dark + np.array(_HAIR["white"][0]) * (1 - dark)
    return np.clip(colour * animal.shade, 0.01, 0.92)


def _skin_colour(names, along, vertices, nose, is_ear, is_tail, animal: Animal) -> np.ndarray:
    skin = np.broadcast_to(SKIN_PINK, vertices.shape).copy()
    dark_coat = animal.coat in ("black", "agouti", "hooded")
    if dark_coat:
        skin[is_ear] = np.array([0.34, 0.18, 0.155]) * (0.75 + 0.35 * np.clip(along[is_ear], 0, 1))[:, None]
        skin[is_tail] = np.array([0.36, 0.19, 0.165])
    ring = 0.5 + 0.5 * np.cos(2 * np.pi * vertices[:, 0] / 1.35)
    skin[is_tail] *= (0.86 + 0.14 * ring[is_tail])[:, None]
    skin[nose] = np.array([0.47, 0.22, 0.20])
    return skin


def _flow(vertices: np.ndarray, normals: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Unit tangents: tailward and slightly down on the trunk, toward the paw on limbs, toward the tip on ears."""
    wanted = np.tile([-1.0, 0.0, -0.28], (len(vertices), 1))
    lateral = np.sign(vertices[:, 1])
    face = (names == "trunk") & (vertices[:, 0] > 36)
    wanted[face] += np.stack([np.zeros(face.sum()), 0.5 * lateral[face], np.zeros(face.sum())], -1)
    for suffix, direction in (("_leg", (-0.35, 0.0, -0.9)), ("_arm", (-0.25, 0.0, -1.0)), ("_ear", (-0.3, 0.0, 1.0))):
        wanted[np.array([n.endswith(suffix) for n in names])] = direction
    tangent = wanted - normals * (wanted * normals).sum(1, keepdims=True)
    return tangent / np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-6)


@dataclass(frozen=True)
class Strands:
    """S fur strands that ride on triangles.

    Args:
        face: [S]. bary: [S, 3].
        lie: [S, 3] the strand's direction in its triangle's frame (first edge, second edge, unit normal), unit mm at
            rest.
        length: [S] mm. colour: [S, 3] linear reflectance. width: [S] mm. curl: [S] how much the tip bends down to the
            skin.
    """

    face: np.ndarray
    bary: np.ndarray
    lie: np.ndarray
    length: np.ndarray
    colour: np.ndarray
    width: np.ndarray
    curl: np.ndarray


def seed_strands(mesh, count: int, seed: int) -> Strands:
    """`count` strands on a MouseMesh, with probability area x fur weight, lifted from the skin and clumped a little."""
    rng = np.random.default_rng([seed, 23])
    corners = mesh.vertices[mesh.faces]
    e1, e2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normal = np.cross(e1, e2)
    area = np.linalg.norm(normal, axis=1)
    chance = area * mesh.fur[mesh.faces].mean(1)
    face = np.sort(rng.choice(len(mesh.faces), count, p=chance / chance.sum()))
    u = np.sort(rng.uniform(size=(count, 2)), axis=1)
    bary = np.stack([u[:, 0], u[:, 1] - u[:, 0], 1 - u[:, 1]], -1)
    ids = mesh.faces[face]

    def mix(values: np.ndarray) -> np.ndarray:
        return np.einsum("sc,sc...->s...", bary, values[ids])

    unit = normal[face] / np.maximum(area[face], 1e-12)[:, None]
    clump = rng.normal(size=(len(mesh.vertices), 3))
    direction = mix(mesh.flow) + 0.38 * mix(clump) + 0.20 * rng.normal(size=(count, 3))
    direction -= unit * (direction * unit).sum(1, keepdims=True)
    direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-6)
    lift = np.radians(rng.uniform(16, 40, count))[:, None]
    direction = direction * np.cos(lift) + unit * np.sin(lift)
    lie = np.linalg.solve(np.stack([e1[face], e2[face], unit], -1), direction[..., None])[..., 0]
    length = mix(mesh.fur_length) * rng.uniform(0.62, 1.0, count) * np.clip(0.5 + mix(mesh.fur), 0, 1)
    colour = mix(mesh.hair) * np.exp(0.42 * rng.normal(size=(count, 1))) * (1 + 0.04 * rng.normal(size=(count, 3)))
    return Strands(
        face.astype(np.int32),
        bary.astype(np.float32),
        lie.astype(np.float32),
        length.astype(np.float32),
        np.clip(colour, 0.004, 0.95).astype(np.float32),
        np.full(count, WIDTH_MM * np.sqrt(FULL_STRANDS / count), np.float32),
        rng.uniform(0.1, 0.5, count).astype(np.float32),
    )
