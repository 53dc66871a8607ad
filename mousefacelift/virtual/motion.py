"""What the animal does: a seeded programme of behaviours at 100 steps per second, as smooth tracks of a few numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfiltfilt

from mousefacelift.virtual.rig import ARENA_CENTER

RATE = 100.0  # steps per second
ROAM_RADIUS = 53.0  # mm around the arena's centre that the mid body keeps to
CUT_MM = 110.0  # the largest cut of the public recording
BEHAVIOURS = ("walk", "turn", "sniff", "rear", "groom")
_DURATION = {"walk": (1.0, 2.4), "turn": (0.7, 1.3), "sniff": (0.6, 1.5), "rear": (1.5, 2.6), "groom": (1.5, 2.8)}
_NEXT = {
    "walk": (0.30, 0.12, 0.28, 0.20, 0.10),
    "turn": (0.62, 0.0, 0.22, 0.10, 0.06),
    "sniff": (0.50, 0.16, 0.0, 0.18, 0.16),
    "rear": (0.42, 0.24, 0.26, 0.0, 0.08),
    "groom": (0.36, 0.24, 0.34, 0.06, 0.0),
}


@dataclass(frozen=True)
class Track:
    """T steps of motion at RATE; arrays are [T] unless said otherwise.

    Args:
        position: [T, 2] mm of the mid body on the floor. heading: radians, unwrapped. speed: mm/s. turning: rad/s.
        rear, groom, hunch: amount in [0, 1]. head_yaw, head_pitch, bend: radians. sniff: amplitude in [0, 1].
        behaviour: [T] index into BEHAVIOURS.
    """

    position: np.ndarray
    heading: np.ndarray
    speed: np.ndarray
    turning: np.ndarray
    rear: np.ndarray
    groom: np.ndarray
    hunch: np.ndarray
    head_yaw: np.ndarray
    head_pitch: np.ndarray
    bend: np.ndarray
    sniff: np.ndarray
    behaviour: np.ndarray

    def __len__(self) -> int:
        return len(self.heading)


def make_track(steps: int, seed: int) -> Track:
    """`steps` steps of motion of a seed; a longer track begins like a shorter one but for its last 0.3 s
    (smoothing)."""
    rng = np.random.default_rng([seed, 37])
    programme = _programme(steps, rng)
    behaviour = np.array([BEHAVIOURS.index(name) for name in programme])
    position, heading, speed, turning = _roam(programme, rng)
    gaze = _gaze(programme, rng)
    is_walk = behaviour == 0
    hunch = np.where(is_walk | (behaviour == 1), 0.45, 1.0) * (behaviour < 3)
    return Track(
        position,
        heading,
        speed,
        turning,
        _smooth(behaviour == 3, 1.5),
        _smooth(behaviour == 4, 1.7),
        _smooth(hunch, 1.6),
        _smooth(gaze[:, 0], 2.2),
        _smooth(gaze[:, 1], 2.4),
        _smooth(np.clip(turning * 0.22, -0.5, 0.5), 3.0),
        _smooth(gaze[:, 2], 2.5),
        behaviour,
    )


def frame_steps(track: Track, frames: int, fps: float, cut: bool) -> np.ndarray:
    """[frames] step of each video frame; with a cut, two stretches of the track whose ends are 110 mm apart.

    A `cut` needs a track longer than the recording (see `steps_needed`).
    """
    steps = np.round(np.arange(frames) * RATE / fps).astype(int)
    if not cut or frames < 2:
        return steps
    middle = frames // 2
    first, rest = steps[middle - 1], steps[-1] - steps[middle]
    before = np.arange(first, len(track) // 2, 20)
    after = np.arange(len(track) // 2, len(track) - rest, 5)
    jump = np.linalg.norm(track.position[before][:, None] - track.position[after], axis=-1)
    i, j = np.unravel_index(np.argmin(np.abs(jump - CUT_MM)), jump.shape)
    return np.concatenate([steps[:middle] + before[i] - first, steps[middle:] + after[j] - steps[middle]])


def steps_needed(frames: int, fps: float, cut: bool) -> int:
    """Steps of a track that covers the recording (and, for a cut, stretches to choose from)."""
    return int(np.ceil(frames * RATE / fps)) + 40 + (2 * int(frames * RATE / fps) + 4000 if cut else 0)


def _programme(steps: int, rng: np.random.Generator) -> list[str]:
    """One behaviour name per step; the first few behaviours show all five, so that a short recording has them."""
    opening = ["walk", *rng.permutation(["rear", "turn", "groom"]).tolist(), "sniff"]
    names: list[str] = []
    current = opening.pop(0)
    while len(names) < steps:
        low, high = _DURATION[current]
        shorten = 0.72 if opening else 1.0
        names += [current] * int(RATE * shorten * rng.uniform(low, high))
        current = opening.pop(0) if opening else str(rng.choice(BEHAVIOURS, p=_NEXT[current]))
    return names[:steps]


def _roam(programme: list[str], rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Position, heading, speed and turning rate of a body that steers toward random goals on the disc."""
    steps = len(programme)
    position, heading = np.zeros((steps, 2)), np.zeros(steps)
    speed, turning = np.zeros(steps), np.zeros(steps)
    place, angle, fast, spin = _point_on_disc(rng, 40.0), float(rng.uniform(-np.pi, np.pi)), 0.0, 0.0
    goal, cruise, dt = _point_on_disc(rng, ROAM_RADIUS), 110.0, 1.0 / RATE
    for step, name in enumerate(programme):
        if step == 0 or programme[step - 1] != name or (name == "walk" and np.linalg.norm(goal - place) < 14.0):
            goal, cruise = _new_goal(place, rng), float(rng.uniform(90, 185))
        offset = goal - place
        error = (np.arctan2(offset[1], offset[0]) - angle + np.pi) % (2 * np.pi) - np.pi
        wanted_speed = {"walk": cruise * max(np.cos(error), 0.12), "turn": 14.0}.get(name, 0.0)
        wanted_spin = np.clip(2.6 * error, -2.6, 2.6) if name in ("walk", "turn") else 0.0
        fast += dt / 0.16 * (wanted_speed - fast)
        spin += dt / 0.14 * (wanted_spin - spin)
        angle += spin * dt
        place = place + fast * dt * np.array([np.cos(angle), np.sin(angle)])
        outward = place - ARENA_CENTER
        radius = np.linalg.norm(outward)
        if radius > ROAM_RADIUS:
            place = ARENA_CENTER + outward * (ROAM_RADIUS / radius)
        position[step], heading[step], speed[step], turning[step] = place, angle, fast, spin
    return _smooth(position, 4.0), _smooth(heading, 4.0), speed, turning


def _point_on_disc(rng: np.random.Generator, radius: float) -> np.ndarray:
    angle, distance = rng.uniform(0, 2 * np.pi), radius * np.sqrt(rng.uniform())
    return ARENA_CENTER + distance * np.array([np.cos(angle), np.sin(angle)])


def _new_goal(place: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    goals = np.array([_point_on_disc(rng, ROAM_RADIUS) for _ in range(4)])
    return goals[np.argmax(np.linalg.norm(goals - place, axis=1))]


def _gaze(programme: list[str], rng: np.random.Generator) -> np.ndarray:
    """[T, 3] head yaw and pitch targets (held for a moment each) and how hard it sniffs."""
    gaze, current, until = np.zeros((len(programme), 3)), np.zeros(3), 0
    for step, name in enumerate(programme):
        if step >= until:
            wide = 0.65 if name in ("sniff", "rear") else 0.22
            current = np.array([rng.uniform(-wide, wide), rng.uniform(-0.4, 0.35), rng.uniform(0.3, 1.0)])
            until = step + int(RATE * rng.uniform(0.3, 0.8))
        gaze[step] = current * (0.15 if name == "groom" else 1.0)
    return gaze


def _smooth(values: np.ndarray, cutoff_hz: float) -> np.ndarray:
    """Zero-phase low-pass, so that every track is smooth and nothing lags."""
    values = np.asarray(values, float)
    if len(values) < 16:
        return values
    sos = butter(2, cutoff_hz, fs=RATE, output="sos")
    pad = min(len(values) - 1, 60)
    return sosfiltfilt(sos, values, axis=0, padtype="constant", padlen=pad)
