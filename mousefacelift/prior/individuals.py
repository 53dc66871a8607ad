"""Who is in the prior's data: individuals, poses and lights, drawn from seeds that no recording can have.

A recording's seed is a 32-bit number (`stage.mix_seed`); every generator here is seeded with KEY in front of the
index, and tracks start at TRACK_SEEDS = 2^40, so no individual, motion or light of a recording can be drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from mousefacelift.core.skinning import Pose, Skinner
from mousefacelift.virtual import coat, mesh, motion
from mousefacelift.virtual.anatomy import COATS, SPINE, TAIL_JOINTS, Animal
from mousefacelift.virtual.body_parts import FUR
from mousefacelift.virtual.light import Lights
from mousefacelift.virtual.pose import Puppet
from mousefacelift.virtual.stage import FLOOR_MM

KEY = 0x5052494F52  # "PRIOR"
TRACK_SEEDS = 2**40
HELD_OUT = 1_000_000  # individuals from this index on are for tests only
TRACK_STEPS = 500


@dataclass(frozen=True)
class Individual:
    """One animal with its fur and one stretch of motion.

    Args:
        index: of the individual. animal: its numbers. mesh: its body. strands: its fur.
        scales: [J] size of the body around each joint, relative to the average.
    """

    index: int
    animal: Animal
    mesh: mesh.MouseMesh
    strands: coat.Strands
    puppet: Puppet
    skinner: Skinner
    scales: np.ndarray


def draw_individual(index: int, strands: int) -> Individual:
    """The individual of an index: proportions wider than a recording's, any coat, tinted, with `strands` hairs."""
    rng = np.random.default_rng([KEY, index, 1])
    spread = np.array([0.10, 0.20, 0.28, 0.30])
    length, girth, ear, tail = 1 + spread * rng.uniform(-1, 1, 4)
    kind = COATS[int(rng.choice(4, p=[0.34, 0.26, 0.18, 0.22]))]
    animal = Animal(length, girth, ear, tail, kind, float(rng.uniform(0.75, 1.45)))
    body = _tint(mesh.build_mouse(animal), rng)
    track = _exaggerate(motion.make_track(TRACK_STEPS, TRACK_SEEDS + index), rng)
    fur = coat.seed_strands(body, strands, TRACK_SEEDS + index)
    return Individual(index, animal, body, fur, Puppet(body, track), Skinner(body), _sizes(body, rng))


def _tint(body: mesh.MouseMesh, rng: np.random.Generator) -> mesh.MouseMesh:
    """Hair and skin in slightly other colours, and sometimes hair of a brightness between the coats."""
    hair = body.hair * np.exp(0.10 * rng.normal(size=3))
    if rng.uniform() < 0.25:
        hair = hair ** rng.uniform(0.55, 1.0)  # linear reflectances below 1 become greyer
    skin = np.clip(body.albedo * np.exp(0.10 * rng.normal(size=3) + 0.15 * rng.normal()), 0.004, 0.92)
    furry = np.clip(body.fur * 1.2, 0, 1)[:, None] * (body.region == FUR)[:, None]
    albedo = np.clip(hair * coat.SKIN_UNDER_FUR * furry + skin * (1 - furry), 0.004, 0.92)
    length = body.fur_length * rng.uniform(0.8, 1.25)
    return replace(body, hair=np.clip(hair, 0.01, 0.92), albedo=albedo, fur_length=length)


def _exaggerate(track: motion.Track, rng: np.random.Generator) -> motion.Track:
    """The same motion with other amounts of everything that an animal may do more or less of."""
    more = rng.uniform(0.4, 1.5, 6)
    return replace(
        track,
        rear=np.clip(track.rear * more[0], 0, 1.15),
        groom=np.clip(track.groom * more[1], 0, 1.1),
        hunch=np.clip(track.hunch * more[2], 0, 1.2),
        head_yaw=track.head_yaw * 1.4 * more[3],
        head_pitch=track.head_pitch * 1.4 * more[4],
        bend=track.bend * 1.8 * more[5],
    )


def _sizes(body: mesh.MouseMesh, rng: np.random.Generator) -> np.ndarray:
    names, size = body.joint_names, np.ones(len(body.joint_names))
    head, fore, hind, tail = np.exp(np.array([0.09, 0.12, 0.12, 0.18]) * rng.normal(size=4))
    along = np.exp(0.06 * rng.normal(size=5))
    for i, name in enumerate(names):
        if name in ("neck", "head", "snout") or name.endswith("_ear"):
            size[i] = head
        elif name in SPINE:
            size[i] = along[SPINE.index(name)]
        elif name.startswith("tail"):
            size[i] = 1 + (tail - 1) * min(int(name.split("_")[1]) / 3, 1.0)
        else:
            size[i] = fore if name.split("_")[1] in ("scapula", "shoulder", "elbow", "wrist", "digits") else hind
    return np.clip(size, 0.75, 1.35)


def draw_pose(individual: Individual, number: int) -> tuple[np.ndarray, float]:
    """Vertices [N, 3] mm and heading (radians) of an individual's pose `number`, in a world with its floor at z = 0."""
    rng = np.random.default_rng([KEY, individual.index, 2, number])
    step = int(rng.integers(0, TRACK_STEPS))
    pose = individual.puppet.pose(step)
    amount = 0.0 if rng.uniform() < 0.3 else float(rng.uniform(0.15, 0.9))
    vertices = individual.skinner.vertices(_perturb(individual, pose, amount, rng))
    vertices[:, 2] -= max(vertices[:, 2].min(), -4.0) - FLOOR_MM if amount else 0.0
    vertices[:, 2] = np.maximum(vertices[:, 2], FLOOR_MM)
    return vertices, float(individual.puppet.track.heading[step])


def _perturb(individual: Individual, pose: Pose, amount: float, rng: np.random.Generator) -> Pose:
    """The pose with random turns at every joint and the individual's sizes, by forward kinematics."""
    body, sizes = individual.mesh, individual.scales
    names, parents = body.joint_names, body.parents
    turns = _turns(names, amount, rng)
    rotations, positions = np.empty_like(pose.rotations), np.empty_like(pose.positions)
    for j, parent in enumerate(parents):
        if parent < 0:
            rotations[j], positions[j] = pose.rotations[j] @ turns[j], pose.positions[j]
            continue
        back = pose.rotations[parent].T
        rotations[j] = rotations[parent] @ back @ pose.rotations[j] @ turns[j]
        offset = back @ (pose.positions[j] - pose.positions[parent])
        positions[j] = positions[parent] + rotations[parent] @ (offset * sizes[parent])
    return Pose(rotations * sizes[:, None, None], positions)


def _turns(names: tuple[str, ...], amount: float, rng: np.random.Generator) -> np.ndarray:
    """[J, 3, 3] local turns; the tail curls smoothly, the rest trembles joint by joint."""
    spread = np.full((len(names), 3), 9.0)  # degrees about x, y, z
    for i, name in enumerate(names):
        if name in SPINE:
            spread[i] = (3.0, 8.0, 6.0) if name != "pelvis" else (4.0, 7.0, 0.0)
        if name in ("neck", "head"):
            spread[i] = (7.0, 12.0, 12.0)
        if name.endswith("_ear"):
            spread[i] = (14.0, 14.0, 14.0)
    vectors = spread * rng.normal(size=spread.shape) * amount
    along = np.arange(TAIL_JOINTS) / (TAIL_JOINTS - 1)
    curl = 9.0 * rng.normal(size=2) + 14.0 * rng.normal(size=2) * np.cos(
        np.pi * np.outer(along + 0.3 * rng.normal(), [1, 1])
    )
    tails = [names.index(f"tail_{i}") for i in range(TAIL_JOINTS)]
    vectors[tails] = np.stack([0 * along, 0.35 * curl[:, 0], curl[:, 1]], -1) * (0.3 + 0.7 * amount)
    return Rotation.from_rotvec(np.radians(vectors)).as_matrix()


def draw_lights(rng: np.random.Generator) -> Lights:
    """A dome of eight lights and one or two lamps from anywhere above, of random strength."""
    dome, turn = 8, rng.uniform(0, 2 * np.pi)
    i = np.arange(dome) + 0.5
    sine = np.sqrt(0.06 + 0.94 * i / dome)
    azimuth = i * np.pi * (3 - np.sqrt(5)) + turn
    lamps = int(rng.integers(1, 3))
    lamp_sine, lamp_azimuth = np.sin(rng.uniform(0.45, 1.4, lamps)), rng.uniform(0, 2 * np.pi, lamps)
    sine, azimuth = np.append(sine, lamp_sine), np.append(azimuth, lamp_azimuth)
    flat = np.sqrt(1 - sine**2)
    soft = rng.uniform(0.35, 0.85)
    weights = np.append(np.full(dome, soft / dome), (1 - soft) * rng.dirichlet(np.full(lamps, 3.0)))
    weights *= rng.uniform(0.75, 1.25)
    return Lights(
        np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), sine], -1), weights, np.arange(dome + lamps) >= dome
    )
