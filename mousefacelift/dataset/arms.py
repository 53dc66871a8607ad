"""Arms of the mixture sweep and their curriculum: which share every source has at every step, as pure functions.

An arm's name is `OBJECTS-MOUSE` in percent (`80-20`) or one of the controls: `real-only`, `distilled-only`,
`splat-only`, `no-synthetic` (objects and real mice), `distortion-only` (objects and real mice, with distorted inputs in
place of synthetic mice). `80-20.lgm` is the same mixture for another reconstructor.
"""

from __future__ import annotations

import numpy as np

from mousefacelift.core.sources import MOUSE_SOURCES, SOURCES
from mousefacelift.dataset.config import ONLY, ArmConfig, MixtureConfig, arm_percentages, split_arm
from mousefacelift.errors import ConfigError

DEFAULTS = MixtureConfig()


def parse_arm(name: str, mixture: MixtureConfig = DEFAULTS) -> ArmConfig:
    """The arm called `name`.

    Raises:
        ConfigError: an unknown control, or percentages that do not sum to 100.
    """
    data, _ = split_arm(name)
    if data in ONLY:
        return ArmConfig(name, {data.removesuffix("-only"): 1.0}, curriculum=False)
    if data in ("no-synthetic", "distortion-only"):
        objects = arm_percentages(mixture.reference_arm)[0]
        return ArmConfig(name, _shares(objects, {"real": 1.0}, mixture), distortion=data == "distortion-only")
    objects = arm_percentages(data)[0]
    divided = {source: getattr(mixture.mouse, source) for source in MOUSE_SOURCES}
    return ArmConfig(name, _shares(objects, divided, mixture), curriculum=0.0 < objects < 1.0)


def _shares(objects: float, mouse: dict[str, float], mixture: MixtureConfig) -> dict[str, float]:
    shares = {"object": objects * (1 - mixture.scan_share), "scan": objects * mixture.scan_share}
    shares |= {source: (1 - objects) * part for source, part in mouse.items()}
    return {source: share for source, share in shares.items() if share > 0}


def check_arm(arm: ArmConfig) -> None:
    """Raise ConfigError unless the shares name known sources, are not negative and sum to 1."""
    unknown = [source for source in arm.shares if source not in SOURCES]
    if unknown:
        raise ConfigError(
            f"arm '{arm.name}' names an unknown source", got=", ".join(unknown), expected=f"of {', '.join(SOURCES)}"
        )
    total = sum(arm.shares.values())
    if not arm.shares or min(arm.shares.values()) < 0 or abs(total - 1) > 1e-6:
        raise ConfigError(
            f"shares of arm '{arm.name}' are not a mixture", got=f"sum {total:g}", expected="none negative, sum 1"
        )


def mouse_factor(mixture: MixtureConfig, progress: np.ndarray | float) -> np.ndarray:
    """Curriculum factor on the mouse share at `progress` [...] in [0, 1] of the run."""
    progress = np.asarray(progress, np.float64)
    factor = np.zeros_like(progress)
    start = 0.0
    for phase in mixture.phases:
        inside = (progress >= start) & ((progress < phase.until) | (phase.until >= 1))
        along = np.clip((progress - start) / (phase.until - start), 0, 1)
        factor = np.where(inside, phase.mouse[0] + along * (phase.mouse[1] - phase.mouse[0]), factor)
        start = phase.until
    return factor


def schedule(arm: ArmConfig, mixture: MixtureConfig, steps: int) -> np.ndarray:
    """Probability of every source at every step, [steps, len(SOURCES)] in the order of SOURCES; every row sums to 1.

    The curriculum scales the mouse share; objects and scans take up the rest in their own proportion.

    Raises:
        ConfigError: the arm is not a mixture, or the curriculum lifts the mouse share above 1.
    """
    check_arm(arm)
    base = np.array([arm.shares.get(source, 0.0) for source in SOURCES])
    table = np.tile(base, (steps, 1))
    mouse = arm.mouse_share
    if arm.curriculum and 0 < mouse < 1:
        share = mouse * mouse_factor(mixture, (np.arange(steps) + 0.5) / steps)
        if share.max() > 1 + 1e-9:
            raise ConfigError(
                f"the curriculum lifts the mouse share of arm '{arm.name}' above 1",
                got=f"{share.max():.2f}",
                likely="a factor in mixture.phases too large for this arm",
            )
        is_mouse = np.array([source in MOUSE_SOURCES for source in SOURCES])
        table[:, is_mouse] *= (share / mouse)[:, None]
        table[:, ~is_mouse] *= ((1 - share) / (1 - mouse))[:, None]
    return table / table.sum(1, keepdims=True)


def mean_mouse_share(arm: ArmConfig, mixture: MixtureConfig, steps: int = 10_000) -> float:
    """Mouse share averaged over a run: what the optimiser sees in all."""
    columns = [SOURCES.index(source) for source in MOUSE_SOURCES]
    return float(schedule(arm, mixture, steps)[:, columns].sum(1).mean())


def planned_steps(arm: ArmConfig, mixture: MixtureConfig, steps: int) -> int:
    """Steps of `arm`: `steps`, or by `exposure: mouse` as many as give the mouse exposure of the reference arm.

    Raises:
        ConfigError: equal mouse exposure is asked of an arm without mice.
    """
    if mixture.exposure == "steps":
        return steps
    share = mean_mouse_share(arm, mixture)
    if share <= 0:
        raise ConfigError(
            f"arm '{arm.name}' sees no mouse and cannot match the mouse exposure of '{mixture.reference_arm}'",
            hint="exposure: steps",
        )
    return max(1, round(steps * mean_mouse_share(parse_arm(mixture.reference_arm, mixture), mixture) / share))
