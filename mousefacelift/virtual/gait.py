"""Where the feet are: a four-beat walk whose planted feet do not slide, correction steps in turns, forepaws free in the
air."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mousefacelift.virtual.motion import RATE, Track

FEET = ("left_hind", "left_fore", "right_hind", "right_fore")  # order of a lateral-sequence walk
_OFFSET = np.array([0.0, 0.25, 0.5, 0.75])
_GIRDLE = np.array([0, 1, 0, 1])
STRIDE_MM = 58.0
SWING_SHARE = 0.30
_MAX_ERROR = {"xy": np.array([14.0, 10.0, 14.0, 10.0]), "yaw": 0.5}
_LIFT_MM = np.array([4.5, 4.0, 4.5, 4.0])


@dataclass(frozen=True)
class Steps:
    """Feet over T steps; index 1 runs over FEET.

    Args:
        place: [T, 4, 2] mm of the toes' joint on the floor. yaw: [T, 4] radians. lift: [T, 4] mm above the floor.
        free: [T, 4] in [0, 1], 1 where the forepaw hangs from the body instead of standing.
        phase: [T] of the walk, in cycles.
    """

    place: np.ndarray
    yaw: np.ndarray
    lift: np.ndarray
    free: np.ndarray
    phase: np.ndarray


def plan_steps(track: Track, homes: np.ndarray) -> Steps:
    """Plan all four feet of a track.

    Args:
        homes: [4, 2] mm where the toes stand at rest, in the body frame (x forward, y left), in the order of FEET.
    """
    count = len(track)
    cycles = (np.abs(track.speed) / STRIDE_MM + 0.42 * np.abs(track.turning)) / RATE
    phase = np.cumsum(cycles)
    place, yaw, lift = np.zeros((count, 4, 2)), np.zeros((count, 4)), np.zeros((count, 4))
    free = np.clip(1.4 * (track.rear + track.groom) - 0.12, 0, 1)
    free = free * free * (3 - 2 * free)
    at_home = _homes_along(track, homes)
    now = at_home[0].copy()
    angle = np.full(4, track.heading[0])
    due = np.zeros(4, bool)
    swing_until, swing_from = np.full(4, -1), np.zeros(4, int)
    start, start_yaw, goal, goal_yaw = now.copy(), angle.copy(), now.copy(), angle.copy()
    for step in range(count):
        errors = np.linalg.norm(now - at_home[step], axis=1)
        if step > 0 and cycles[step] > 0.0025:
            due |= np.floor(phase[step] + _OFFSET) > np.floor(phase[step - 1] + _OFFSET)
        for foot in np.argsort(-errors):
            if _GIRDLE[foot] == 1 and free[step] > 0.98:
                landing = _landing(free, step)
                now[foot], angle[foot] = at_home[landing, foot], track.heading[landing]
                swing_until[foot] = -1
                continue
            if step <= swing_until[foot]:
                t = (step - swing_from[foot] + 1) / (swing_until[foot] - swing_from[foot] + 1)
                ease = t * t * (3 - 2 * t)
                now[foot] = start[foot] + ease * (goal[foot] - start[foot])
                angle[foot] = start_yaw[foot] + ease * (goal_yaw[foot] - start_yaw[foot])
                lift[step, foot] = _LIFT_MM[foot] * np.sin(np.pi * t) ** 1.3
            elif (
                (free[step] < 0.02 or _GIRDLE[foot] == 0)
                and _may_step(step, foot, swing_until)
                and (due[foot] or _must_step(foot, errors[foot], angle[foot] - track.heading[step], cycles[step]))
            ):
                due[foot] = False
                length, ahead = _timing(cycles[step])
                swing_from[foot], swing_until[foot] = step + 1, step + length
                start[foot], start_yaw[foot] = now[foot], angle[foot]
                landing = min(step + length + ahead, count - 1)
                goal[foot], goal_yaw[foot] = at_home[landing, foot], track.heading[landing]
        place[step], yaw[step] = now, angle
    both = np.stack([np.zeros(count), free, np.zeros(count), free], -1)
    return Steps(place, yaw, lift, both, phase)


def _homes_along(track: Track, homes: np.ndarray) -> np.ndarray:
    """[T, 4, 2] where the toes would stand at rest at every step of a track."""
    c, s = np.cos(track.heading), np.sin(track.heading)
    turns = np.stack([c, s, -s, c], -1).reshape(-1, 2, 2)
    return track.position[:, None] + homes @ turns


def _landing(free: np.ndarray, step: int) -> int:
    """The step at which free forepaws come down again."""
    later = np.flatnonzero(free[step:] < 0.02)
    return step + int(later[0]) if len(later) else len(free) - 1


def _timing(cycles_per_step: float) -> tuple[int, int]:
    """Steps that a swing lasts, and half a stance after it."""
    period = 1.0 / max(cycles_per_step, 1.0 / (0.75 * RATE))
    return int(np.clip(SWING_SHARE * period, 9, 20)), int(np.clip(0.5 * (1 - SWING_SHARE) * period, 3, 22))


def _may_step(step: int, foot: int, swing_until: np.ndarray) -> bool:
    """Whether a foot is free to lift: at most two are in the air, and never both of one girdle."""
    busy = swing_until >= step
    return busy.sum() < 2 and not np.any(busy & (_GIRDLE == _GIRDLE[foot]))


def _must_step(foot: int, error_mm: float, twist: float, cycles_per_step: float) -> bool:
    """Whether a foot is too far from where it should stand, though its turn in the walk has not come."""
    slack = 1.0 if cycles_per_step < 0.004 else 1.5
    return bool(error_mm > slack * _MAX_ERROR["xy"][foot] or abs(twist) > slack * _MAX_ERROR["yaw"])
