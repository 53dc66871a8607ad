"""The animal as numbers: joints of the bind pose, trunk profile, and how individuals differ.

Body frame of the bind pose: mm, +x toward the nose, +y left, +z up, floor at z = 0, mid body near x = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TAIL_JOINTS = 12
TAIL_MM = 66.0  # before the body's scale
BODY_SCALE = 0.94  # from the tables below to the average animal (trunk of 38 cm3 with its fur)
SPINE = ("pelvis", "lumbar", "loin", "thorax", "withers", "neck", "head", "snout")
SIDES = (("left", 1.0), ("right", -1.0))

# Bind positions (x, y, z) and parents; limbs are given for the left side and mirrored.
_SPINE_JOINTS = {
    "pelvis": ((-24.0, 0.0, 20.0), None),
    "lumbar": ((-13.0, 0.0, 21.6), "pelvis"),
    "loin": ((-3.0, 0.0, 22.0), "lumbar"),
    "thorax": ((8.0, 0.0, 21.0), "loin"),
    "withers": ((17.0, 0.0, 20.6), "thorax"),
    "neck": ((25.0, 0.0, 21.6), "withers"),
    "head": ((32.0, 0.0, 22.6), "neck"),
    "snout": ((45.0, 0.0, 19.4), "head"),
}
_LIMB_JOINTS = {
    "scapula": ((15.0, 6.0, 21.0), "withers"),
    "shoulder": ((19.0, 8.0, 16.5), "scapula"),
    "elbow": ((11.0, 9.6, 11.0), "shoulder"),
    "wrist": ((18.5, 8.6, 3.0), "elbow"),
    "digits": ((22.4, 8.8, 1.3), "wrist"),
    "hip": ((-23.0, 7.5, 18.0), "pelvis"),
    "knee": ((-9.5, 12.6, 11.5), "hip"),
    "ankle": ((-23.0, 11.4, 4.0), "knee"),
    "toes": ((-12.0, 12.6, 1.4), "ankle"),
    "ear": ((33.5, 6.2, 28.2), "head"),
}
# Trunk sections along the spine: x, centre z, half width, half height above, half height below (mm, without fur).
TRUNK = np.array(
    [
        (-41.5, 18.6, 1.7, 1.7, 1.7),
        (-39.5, 18.6, 3.2, 3.2, 3.2),
        (-36.5, 18.8, 5.8, 5.6, 5.6),
        (-32.0, 19.2, 9.0, 8.4, 8.2),
        (-26.0, 19.8, 11.6, 10.6, 10.4),
        (-18.0, 20.8, 12.8, 11.6, 12.4),
        (-9.0, 21.4, 13.0, 11.6, 13.4),
        (0.0, 21.2, 12.6, 11.2, 13.2),
        (8.0, 20.6, 11.6, 10.6, 11.8),
        (15.0, 20.4, 10.2, 9.6, 10.2),
        (21.0, 20.8, 8.9, 8.8, 9.0),
        (26.0, 21.6, 8.3, 8.4, 8.4),
        (31.0, 22.2, 8.5, 8.5, 8.3),
        (36.0, 22.0, 8.3, 8.2, 7.8),
        (40.5, 21.2, 7.1, 7.2, 6.8),
        (44.5, 20.0, 5.7, 5.8, 5.5),
        (48.5, 18.6, 4.5, 4.5, 4.2),
        (52.0, 17.4, 3.5, 3.4, 3.2),
        (54.6, 16.6, 2.3, 2.2, 2.1),
        (56.0, 16.2, 1.1, 1.1, 1.0),
    ]
)
KEYPOINTS = (
    "left_ear_tip",
    "right_ear_tip",
    "nose",
    "neck",
    "body_middle",
    "tail_root",
    "tail_middle",
    "tail_end",
    "left_paw",
    "left_paw_end",
    "left_elbow",
    "left_shoulder",
    "right_paw",
    "right_paw_end",
    "right_elbow",
    "right_shoulder",
    "left_foot",
    "left_knee",
    "left_hip",
    "right_foot",
    "right_knee",
    "right_hip",
)
COATS = ("black", "agouti", "white", "hooded")


@dataclass(frozen=True)
class Animal:
    """One individual.

    Args:
        length, girth, ear, tail: factors on the average animal.
        coat: one of COATS.
        shade: factor on the coat's colour.
    """

    length: float = 1.0
    girth: float = 1.0
    ear: float = 1.0
    tail: float = 1.0
    coat: str = "black"
    shade: float = 1.0


def pick_animal(seed: int, coat: str = "by_seed") -> Animal:
    """The individual of a seed; seed 0 is the average black mouse."""
    if seed == 0:
        return Animal(coat="black" if coat == "by_seed" else coat)
    rng = np.random.default_rng([seed, 11])
    length, girth, ear, tail = 1 + np.array([0.06, 0.09, 0.12, 0.12]) * rng.uniform(-1, 1, 4)
    picked = COATS[int(rng.choice(4, p=[0.4, 0.3, 0.12, 0.18]))]
    return Animal(length, girth, ear, tail, picked if coat == "by_seed" else coat, float(rng.uniform(0.85, 1.2)))


def joint_table(animal: Animal) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Names [J], parents [J] (-1 for the root, parents first) and bind positions [J, 3] in mm of an animal's joints."""
    joints = dict(_SPINE_JOINTS)
    for side, sign in SIDES:
        for name, ((x, y, z), parent) in _LIMB_JOINTS.items():
            full_parent = parent if parent in _SPINE_JOINTS else f"{side}_{parent}"
            joints[f"{side}_{name}"] = ((x, sign * y, z), full_parent)
    step = TAIL_MM * animal.tail / TAIL_JOINTS
    for i in range(TAIL_JOINTS):
        joints[f"tail_{i}"] = ((-39.0 - step * i, 0.0, 18.6), "pelvis" if i == 0 else f"tail_{i - 1}")
    names = tuple(joints)
    parents = np.array([-1 if joints[n][1] is None else names.index(joints[n][1]) for n in names])
    positions = np.array([joints[n][0] for n in names], np.float64)
    return names, parents, positions * body_scale(animal)


def body_scale(animal: Animal) -> np.ndarray:
    """[3] factors from the average body frame to this animal's; heights follow the length so that limbs keep their
    shape."""
    return BODY_SCALE * animal.length * np.array([1.0, 1 + 0.6 * (animal.girth - 1), 1.0])
