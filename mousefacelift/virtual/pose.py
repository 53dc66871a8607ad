"""From a track of behaviour and planned feet to joint transforms: spine, inverse kinematics of the limbs, trailing
tail."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mousefacelift.core.skinning import Pose
from mousefacelift.virtual.anatomy import SIDES, TAIL_JOINTS
from mousefacelift.virtual.gait import FEET, Steps, plan_steps
from mousefacelift.virtual.mesh import MouseMesh
from mousefacelift.virtual.motion import RATE, Track

# Pitch in degrees (nose up positive) that each behaviour adds at each spine joint.
_PITCH = {
    "rear": {"pelvis": 50.0, "lumbar": 10.0, "loin": 10.0, "thorax": 8.0, "withers": 2.0, "neck": -8.0, "head": -12.0},
    "groom": {
        "pelvis": 47.0,
        "lumbar": 6.0,
        "loin": -12.0,
        "thorax": -26.0,
        "withers": -25.0,
        "neck": -18.0,
        "head": -12.0,
    },
    "hunch": {
        "pelvis": 33.0,
        "lumbar": 0.0,
        "loin": -22.0,
        "thorax": -26.0,
        "withers": -4.0,
        "neck": 14.0,
        "head": 0.0,
    },
}
_BEND = {"pelvis": -0.45, "lumbar": 0.25, "loin": 0.35, "thorax": 0.35, "withers": 0.3, "neck": 0.3, "head": 0.2}
# Shift in mm of the pelvis, forward and up.
_PELVIS_SHIFT = {"rear": (7.5, 8.5), "groom": (6.5, -2.0), "hunch": (4.5, -3.0)}


class Puppet:
    """Poses one mesh along one track; `pose(step)` may be asked in any order.

    Args:
        mesh: the animal. track: its motion.
    """

    def __init__(self, mesh: MouseMesh, track: Track) -> None:
        self.mesh, self.track = mesh, track
        self._index = {name: i for i, name in enumerate(mesh.joint_names)}
        self._size = float(mesh.joints[self._index["pelvis"], 2] / 20.0)
        homes = np.array(
            [self._bind(f"{foot.split('_')[0]}_{'toes' if 'hind' in foot else 'digits'}")[:2] for foot in FEET]
        )
        self.steps: Steps = plan_steps(track, homes)
        self.behaviour = track.behaviour
        self._hips = self._pelvis(np.arange(len(track)))
        self._tails = self._trail_tail()

    def _bind(self, name: str) -> np.ndarray:
        return self.mesh.joints[self._index[name]]

    def pose(self, step: int) -> Pose:
        """Global joint rotations and positions at a step of the track."""
        rotations = np.tile(np.eye(3), (len(self._index), 1, 1))
        positions = self.mesh.joints.copy()
        self._place_spine(step, rotations, positions)
        for side, sign in SIDES:
            self._place_scapula(side, rotations, positions)
            self._place_leg(step, side, rotations, positions)
            self._place_arm(step, side, sign, rotations, positions)
            self._follow(f"{side}_ear", "head", rotations, positions)
        self._place_tail(step, rotations, positions)
        return Pose(rotations, positions)

    def _follow(self, name: str, parent: str, rotations: np.ndarray, positions: np.ndarray) -> None:
        i, p = self._index[name], self._index[parent]
        rotations[i] = rotations[p]
        positions[i] = positions[p] + rotations[p] @ (self.mesh.joints[i] - self.mesh.joints[p])

    def _pelvis(self, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rotations [T, 3, 3] and positions [T, 3] of the pelvis."""
        track = self.track
        amounts = [getattr(track, name)[steps][:, None] * np.array(shift) for name, shift in _PELVIS_SHIFT.items()]
        shift = sum(amounts) * self._size
        phase = 2 * np.pi * self.steps.phase[steps]
        walking = np.clip(track.speed[steps] / 80.0, 0, 1)
        sway = 0.7 * walking * np.sin(phase)
        local = self._bind("pelvis") + np.stack(
            [shift[:, 0], sway, shift[:, 1] + 0.5 * walking * np.sin(2 * phase)], -1
        )
        heading = _turn_z(track.heading[steps])
        positions = (heading @ local[..., None])[..., 0]
        positions[:, :2] += track.position[steps]
        return heading @ self._spine_turn(steps, "pelvis"), positions

    def _spine_turn(self, step: int | np.ndarray, name: str) -> np.ndarray:
        """Local rotation [..., 3, 3] of a spine joint at a step, or at several."""
        track = self.track
        pitch = np.radians(sum(_PITCH[b].get(name, 0.0) * getattr(track, b)[step] for b in _PITCH))
        walking = np.clip(track.speed[step] / 80.0, 0, 1)
        sway = 0.07 * walking * np.sin(2 * np.pi * self.steps.phase[step] + 0.6)
        yaw = _BEND.get(name, 0.0) * (track.bend[step] + sway)
        if name in ("neck", "head"):
            yaw += 0.5 * track.head_yaw[step]
            bob = 0.035 * track.sniff[step] * np.sin(2 * np.pi * 4.3 * step / RATE)
            licking = 0.06 * track.groom[step] * np.sin(2 * np.pi * 2.6 * step / RATE)
            pitch += 0.5 * track.head_pitch[step] + bob + licking
        return _turn_z(yaw) @ _turn_y(-pitch)

    def _place_spine(self, step: int, rotations: np.ndarray, positions: np.ndarray) -> None:
        names = ("pelvis", "lumbar", "loin", "thorax", "withers", "neck", "head", "snout")
        rotations[self._index["pelvis"]], positions[self._index["pelvis"]] = (part[step] for part in self._hips)
        for parent, name in zip(names[:-1], names[1:]):
            self._follow(name, parent, rotations, positions)
            rotations[self._index[name]] = rotations[self._index[parent]] @ self._spine_turn(step, name)

    def _place_scapula(self, side: str, rotations: np.ndarray, positions: np.ndarray) -> None:
        self._follow(f"{side}_scapula", "withers", rotations, positions)
        self._follow(f"{side}_shoulder", f"{side}_scapula", rotations, positions)
        self._follow(f"{side}_hip", "pelvis", rotations, positions)

    def _place_leg(self, step: int, side: str, rotations: np.ndarray, positions: np.ndarray) -> None:
        foot = FEET.index(f"{side}_hind")
        yaw = _turn_z(self.steps.yaw[step, foot])
        toes = np.append(self.steps.place[step, foot], self._bind(f"{side}_toes")[2] + self.steps.lift[step, foot])
        offset = self._bind(f"{side}_ankle") - self._bind(f"{side}_toes")
        hip = positions[self._index[f"{side}_hip"]]
        reach = 0.985 * self._limb_length(side, "hip", "knee", "ankle")
        pitch = 0.08 * self.steps.lift[step, foot]
        while np.linalg.norm(toes + yaw @ _turn_y(pitch) @ offset - hip) > reach and pitch < 1.35:
            pitch += 0.04
        sole = yaw @ _turn_y(pitch)
        middle = 0.5 * (self._bind(f"{side}_hip") + self._bind(f"{side}_ankle"))
        pole = _turn_z(self.track.heading[step]) @ (self._bind(f"{side}_knee") - middle + [0.0, 0.0, 4.0 * self._size])
        self._bend_limb(side, ("hip", "knee", "ankle"), "pelvis", toes + sole @ offset, pole, rotations, positions)
        ankle, tip = self._index[f"{side}_ankle"], self._index[f"{side}_toes"]
        rotations[ankle], rotations[tip] = (
            sole,
            yaw @ _turn_y(0.35 * pitch * min(self.steps.lift[step, foot] / 4.5, 1.0)),
        )
        positions[tip] = positions[ankle] - sole @ offset

    def _place_arm(self, step: int, side: str, sign: float, rotations: np.ndarray, positions: np.ndarray) -> None:
        foot = FEET.index(f"{side}_fore")
        free = self.steps.free[step, foot]
        yaw = _turn_z(self.steps.yaw[step, foot])
        digits = np.append(self.steps.place[step, foot], self._bind(f"{side}_digits")[2] + self.steps.lift[step, foot])
        offset = self._bind(f"{side}_wrist") - self._bind(f"{side}_digits")
        shoulder = positions[self._index[f"{side}_shoulder"]]
        reach = 0.985 * self._limb_length(side, "shoulder", "elbow", "wrist")
        pitch = 0.16 * self.steps.lift[step, foot]
        while np.linalg.norm(digits + yaw @ _turn_y(pitch) @ offset - shoulder) > reach and pitch < 1.2 and free < 0.5:
            pitch += 0.04
        palm = yaw @ _turn_y(pitch)
        self._slide_shoulder(side, (1 - free) * (digits + palm @ offset - shoulder), reach, positions)
        wrist = (1 - free) * (digits + palm @ offset) + free * self._free_wrist(step, side, sign, rotations, positions)
        withers = rotations[self._index["withers"]]
        middle = 0.5 * (self._bind(f"{side}_shoulder") + self._bind(f"{side}_wrist"))
        pole = withers @ (self._bind(f"{side}_elbow") - middle + [0, sign * (1.0 + 2.5 * free), -2.0 * free])
        self._bend_limb(side, ("shoulder", "elbow", "wrist"), f"{side}_scapula", wrist, pole, rotations, positions)
        hand, tip = self._index[f"{side}_wrist"], self._index[f"{side}_digits"]
        hanging = rotations[self._index[f"{side}_elbow"]] @ _turn_y(-0.3)
        rotations[hand] = _orthonormal((1 - free) * palm + free * hanging)
        rotations[tip] = _orthonormal((1 - free) * yaw + free * hanging @ _turn_y(0.5))
        positions[tip] = positions[hand] - rotations[hand] @ offset

    def _slide_shoulder(self, side: str, line: np.ndarray, reach: float, positions: np.ndarray) -> None:
        """Let the shoulder blade glide toward a paw that is out of reach by up to 9 mm, as a mouse's does."""
        distance = np.linalg.norm(line)
        glide = line / max(distance, 1e-9) * np.clip(distance - reach, 0.0, 9.0 * self._size)
        positions[self._index[f"{side}_scapula"]] += 0.5 * glide
        positions[self._index[f"{side}_shoulder"]] += glide

    def _free_wrist(
        self, step: int, side: str, sign: float, rotations: np.ndarray, positions: np.ndarray
    ) -> np.ndarray:
        """Where a free forepaw is: tucked under the chest when rearing, circling at the snout when grooming."""
        track, index = self.track, self._index
        groom = track.groom[step] / max(track.groom[step] + track.rear[step], 1e-6)
        tucked = np.array([4.5, -0.5 * sign, -9.0]) * self._size
        chest = positions[index[f"{side}_shoulder"]] + rotations[index["withers"]] @ tucked
        beat = 2 * np.pi * 5.0 * step / RATE
        stroke = (
            np.array([1.0 + 2.2 * np.cos(beat), sign * (4.2 + 0.8 * np.sin(beat)), -4.0 + 2.2 * np.sin(beat)])
            * self._size
        )
        face = positions[index["snout"]] + rotations[index["head"]] @ stroke
        return (1 - groom) * chest + groom * face

    def _limb_length(self, side: str, *names: str) -> float:
        joints = [self._bind(f"{side}_{name}") for name in names]
        return float(sum(np.linalg.norm(b - a) for a, b in zip(joints[:-1], joints[1:])))

    def _bend_limb(self, side, names, parent, target, pole, rotations, positions) -> None:
        """Two-bone inverse kinematics: the end reaches `target` (or points at it), the middle joint bends toward
        `pole`."""
        top, middle, end = (self._index[f"{side}_{name}"] for name in names)
        bones = self.mesh.joints[[middle, end]] - self.mesh.joints[[top, middle]]
        upper, lower = np.linalg.norm(bones, axis=1)
        line = target - positions[top]
        distance = np.clip(np.linalg.norm(line), abs(upper - lower) + 0.5, 0.999 * (upper + lower))
        line = line / max(np.linalg.norm(line), 1e-9)
        pole = pole - line * (pole @ line)
        pole = pole / max(np.linalg.norm(pole), 1e-9)
        along = (upper**2 - lower**2 + distance**2) / (2 * distance)
        positions[middle] = positions[top] + along * line + np.sqrt(max(upper**2 - along**2, 0.0)) * pole
        positions[end] = positions[top] + distance * line
        base = rotations[self._index[parent]]
        rotations[top] = _align(base @ bones[0], positions[middle] - positions[top]) @ base
        rotations[middle] = _align(rotations[top] @ bones[1], positions[end] - positions[middle]) @ rotations[top]

    def _trail_tail(self) -> np.ndarray:
        """[T, 13, 3] points of the tail: a stiff rope that the pelvis drags, lying on the floor after its first
        third."""
        count, length = len(self.track), float(np.linalg.norm(self._bind("tail_1") - self._bind("tail_0")))
        rotations, pelvis = self._hips
        bases = pelvis + rotations @ (self._bind("tail_0") - self._bind("pelvis"))
        backs = -rotations[:, :2, 0] / np.linalg.norm(rotations[:, :2, 0], axis=1, keepdims=True)
        time, s = np.arange(count)[:, None] / RATE, np.arange(TAIL_JOINTS + 1) / TAIL_JOINTS
        raise_tip = 7.0 + 6.0 * np.sin(0.9 * time + 1.0) + 4.0 * np.sin(2.1 * time)
        heights = 2.6 + (bases[:, 2:] - 2.6) * np.exp(-((4.2 * s) ** 1.6)) + np.maximum(raise_tip, 0.0) * s**2.2
        straight = bases[0, :2] + backs[0] * length * np.arange(TAIL_JOINTS + 1)[:, None]
        tail, tails = [(x, y, 0.0) for x, y in straight.tolist()], []
        for base, back, height in zip(bases.tolist(), backs.tolist(), heights.tolist(), strict=True):
            tail = _drag(tail, base, back, height, length)
            tails.append(tail)
        return np.array(tails)

    def _place_tail(self, step: int, rotations: np.ndarray, positions: np.ndarray) -> None:
        current = rotations[self._index["pelvis"]]
        for i in range(TAIL_JOINTS):
            joint, segment = self._index[f"tail_{i}"], self._tails[step, i + 1] - self._tails[step, i]
            current = _align(current @ np.array([-1.0, 0, 0]), segment) @ current
            rotations[joint], positions[joint] = current, self._tails[step, i]


def _drag(old: list, base: Sequence[float], back: Sequence[float], height: Sequence[float], length: float) -> list:
    """Points (x, y, z) of a tail whose points were `old`, drawn behind its root `base`, at heights that it would like.

    In plain numbers: a step of a track has too few for arrays, which took many times as long.

    Args:
        base: (x, y, z). back: (x, y) of unit length. height: of every point. length: of a segment.
    """
    (x, y, z), (along, across) = base, back
    tail, most = [(x, y, z)], 0.8 * length
    for i in range(1, len(old)):
        pull_x, pull_y = old[i][0] - x, old[i][1] - y
        pulled = max(math.sqrt(pull_x * pull_x + pull_y * pull_y), 1e-9)
        stiff = 0.5 if i == 1 else 0.18
        along = stiff * along + (1 - stiff) * pull_x / pulled
        across = stiff * across + (1 - stiff) * pull_y / pulled
        size = math.sqrt(along * along + across * across)
        along, across = along / size, across / size
        drop = min(max(height[i] - z, -most), most)
        reach = math.sqrt(length * length - drop * drop)
        x, y, z = x + reach * along, y + reach * across, z + drop
        tail.append((x, y, z))
    return tail


def _turn_z(angle: float | np.ndarray) -> np.ndarray:
    """Rotations [..., 3, 3] about z by `angle` [...]."""
    turn = np.zeros((*np.shape(angle), 3, 3))
    turn[..., 0, 0] = turn[..., 1, 1] = np.cos(angle)
    turn[..., 1, 0] = np.sin(angle)
    turn[..., 0, 1] = -turn[..., 1, 0]
    turn[..., 2, 2] = 1.0
    return turn


def _turn_y(angle: float | np.ndarray) -> np.ndarray:
    """Rotations [..., 3, 3] about y by `angle` [...]; positive angles turn the nose (+x) down."""
    turn = np.zeros((*np.shape(angle), 3, 3))
    turn[..., 0, 0] = turn[..., 2, 2] = np.cos(angle)
    turn[..., 0, 2] = np.sin(angle)
    turn[..., 2, 0] = -turn[..., 0, 2]
    turn[..., 1, 1] = 1.0
    return turn


def _align(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest rotation that turns direction a onto direction b."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    axis, cosine = np.cross(a, b), a @ b
    if cosine < -0.999999:
        helper = np.cross(a, [0.0, 0.0, 1.0])
        helper /= np.linalg.norm(helper)
        return 2 * np.outer(helper, helper) - np.eye(3)
    skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + skew + skew @ skew / (1 + cosine)


def _orthonormal(matrix: np.ndarray) -> np.ndarray:
    u, _, vt = np.linalg.svd(matrix)
    return u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt
