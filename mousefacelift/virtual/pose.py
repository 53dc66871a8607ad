"""From a track of behaviour and planned feet to joint transforms: spine, inverse kinematics of the limbs, trailing
tail."""

from __future__ import annotations

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

    def _pelvis(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Rotation and position of the pelvis."""
        track = self.track
        shift = sum(np.array(_PELVIS_SHIFT[name]) * getattr(track, name)[step] for name in _PELVIS_SHIFT) * self._size
        phase = 2 * np.pi * self.steps.phase[step]
        walking = np.clip(track.speed[step] / 80.0, 0, 1)
        local = self._bind("pelvis") + [
            shift[0],
            0.7 * walking * np.sin(phase),
            shift[1] + 0.5 * walking * np.sin(2 * phase),
        ]
        heading = _turn_z(track.heading[step])
        position = heading @ local + [*track.position[step], 0.0]
        return heading @ self._spine_turn(step, "pelvis"), position

    def _spine_turn(self, step: int, name: str) -> np.ndarray:
        """Local rotation of a spine joint."""
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
        rotations[self._index["pelvis"]], positions[self._index["pelvis"]] = self._pelvis(step)
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
        count, length = len(self.track), np.linalg.norm(self._bind("tail_1") - self._bind("tail_0"))
        tails, root = np.zeros((count, TAIL_JOINTS + 1, 3)), self._bind("tail_0") - self._bind("pelvis")
        s = np.arange(TAIL_JOINTS + 1) / TAIL_JOINTS
        for step in range(count):
            rotation, pelvis = self._pelvis(step)
            base, back = pelvis + rotation @ root, -rotation[:, 0]
            raise_tip = 7.0 + 6.0 * np.sin(0.9 * step / RATE + 1.0) + 4.0 * np.sin(2.1 * step / RATE)
            height = 2.6 + (base[2] - 2.6) * np.exp(-((4.2 * s) ** 1.6)) + max(raise_tip, 0.0) * s**2.2
            tails[step, 0], direction = base, back[:2] / np.linalg.norm(back[:2])
            for i in range(1, TAIL_JOINTS + 1):
                old = tails[step - 1, i] if step else base + [*(direction * length * i), 0.0]
                pull = old[:2] - tails[step, i - 1, :2]
                stiff = 0.5 if i == 1 else 0.18
                direction = stiff * direction + (1 - stiff) * pull / max(np.linalg.norm(pull), 1e-9)
                direction /= np.linalg.norm(direction)
                drop = np.clip(height[i] - tails[step, i - 1, 2], -0.8 * length, 0.8 * length)
                tails[step, i, :2] = tails[step, i - 1, :2] + np.sqrt(length**2 - drop**2) * direction
                tails[step, i, 2] = tails[step, i - 1, 2] + drop
        return tails

    def _place_tail(self, step: int, rotations: np.ndarray, positions: np.ndarray) -> None:
        current = rotations[self._index["pelvis"]]
        for i in range(TAIL_JOINTS):
            joint, segment = self._index[f"tail_{i}"], self._tails[step, i + 1] - self._tails[step, i]
            current = _align(current @ np.array([-1.0, 0, 0]), segment) @ current
            rotations[joint], positions[joint] = current, self._tails[step, i]


def _turn_z(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def _turn_y(angle: float) -> np.ndarray:
    """Rotation about y; positive angles turn the nose (+x) down."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1.0, 0], [-s, 0, c]])


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
