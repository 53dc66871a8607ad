"""Which views of a sample are shown to the network, which are its targets, and on which background.

Pure functions of a random generator; the same seed gives the same choice.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mousefacelift.dataset.config import LoaderConfig
from mousefacelift.dataset.manifest import ViewRows
from mousefacelift.errors import DataError

OVERLAP_COSINE = 0.5  # 60 degrees between view directions, the published threshold
NAMED_BACKGROUNDS = {"white": 1.0, "black": 0.0, "gray": 0.5}


def choose_views(
    views: ViewRows,
    inputs: int,
    config: LoaderConfig,
    rng: np.random.Generator,
    where: Callable[[], str] = lambda: "a sample",
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of input views [inputs] and target views [config.targets] among the views of a sample.

    Inputs are usable views drawn without repetition in proportion to their weight. At least `config.unseen_targets`
    targets (as many as there are places and views for) are not inputs; the rest are drawn from all usable views.
    Held-out views are never chosen.

    Raises:
        DataError: fewer usable views than inputs and unseen targets.
    """
    usable = np.flatnonzero(views.usable)
    needed = inputs + config.unseen_targets
    if len(usable) < needed:
        raise DataError(
            f"sample {where()} has fewer usable views than asked for",
            got=f"{len(usable)} of {len(views)}",
            expected=f"{inputs} inputs + {config.unseen_targets} unseen targets",
            likely="held-out camera, views of weight 0, or loader.inputs too large for this source",
            hint="pass min_views to the sampler, or lower loader.inputs",
        )
    weight = views.weight[usable].astype(np.float64)
    chosen = rng.choice(usable, inputs, replace=False, p=weight / weight.sum())
    rest = np.setdiff1d(usable, chosen)
    if config.protocol == "overlap":
        rest = _overlapping(views, chosen, rest, config.unseen_targets)
    rest = rng.permutation(rest)
    unseen = rest[: config.unseen_targets]
    pool = np.setdiff1d(np.concatenate([chosen, rest]), unseen)
    extra = config.targets - len(unseen)
    more = rng.choice(pool, extra, replace=extra > len(pool)) if extra else np.zeros(0, int)
    return chosen.astype(np.int64), np.concatenate([unseen, more]).astype(np.int64)


def _overlapping(views: ViewRows, inputs: np.ndarray, rest: np.ndarray, needed: int) -> np.ndarray:
    """Those of `rest` within 60 degrees of an input; the nearest `needed` when fewer are."""
    directions = _directions(views)
    cosine = (directions[rest] @ directions[inputs].T).max(1)
    near = rest[cosine >= OVERLAP_COSINE]
    return near if len(near) >= needed else rest[np.argsort(-cosine)[:needed]]


def _directions(views: ViewRows) -> np.ndarray:
    azimuth, elevation = np.radians(views.azimuth.astype(np.float64)), np.radians(views.elevation.astype(np.float64))
    return np.stack([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], 1)


def background_colour(name: str | float, rng: np.random.Generator) -> np.ndarray:
    """[3] colour in [0, 1]: a name, a grey value, `random` (any colour) or `three_choices` (white, grey, black)."""
    if name == "random":
        return rng.integers(0, 256, 3) / 255.0  # exact in 8 bits: image and renderer get the same colour
    if name == "three_choices":
        name = ("white", "gray", "black")[int(rng.integers(3))]
    value = NAMED_BACKGROUNDS[name] if isinstance(name, str) else float(name)
    return np.full(3, value)
