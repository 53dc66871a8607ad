"""The mixture sampler: which sample stands in which slot of which training step.

    sampler = MixtureSampler(manifest, arm, seed, steps=20_000, batch_size=8)
    sampler.draw(step) -> [Draw, ...]          a pure function of (manifest, arm, seed, step)
    DataLoader(SampleDataset(manifest, loader), batch_sampler=sampler.from_step(step), collate_fn=collate)

Nothing is remembered between steps, so a run resumed at step k draws what the uninterrupted run would have drawn: the
step number is the whole state. The probability of a source never depends on its size. Within a source, samples come in
shuffled epochs in proportion to their weight, each as often as its weight says, give or take one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import numpy as np

from mousefacelift.config import config_hash
from mousefacelift.core.sources import SOURCES
from mousefacelift.dataset.arms import parse_arm, schedule
from mousefacelift.dataset.config import ArmConfig, MixtureConfig
from mousefacelift.errors import DataError

DEFAULTS = MixtureConfig()
BLOCK_STEPS = 1024  # steps whose source choices are drawn together


class SamplePool(Protocol):
    """What the sampler needs of a manifest."""

    def pool(self, source: str, split: str, min_views: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Rows [n] of the accepted samples of a source and split with enough usable views, and their weights [n]."""

    def view_counts(self, rows: list[int] | np.ndarray) -> np.ndarray:
        """Usable views [n] of samples."""


@dataclass(frozen=True)
class Draw:
    """One training item: which sample row, and the seed of its views, background and augmentation.

    `inputs` is the number of input views of the whole step, equal for all items of a batch.
    """

    step: int
    slot: int
    row: int
    source: str
    seed: int
    inputs: int


@dataclass(frozen=True)
class _Epochs:
    """Endless order of one source's rows: epoch e is a shuffle of a systematic draw by weight."""

    rows: np.ndarray
    weights: np.ndarray
    key: tuple[int, int]
    order: Callable[[int], np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", lru_cache(maxsize=4)(self._order))

    def _order(self, epoch: int) -> np.ndarray:
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([*self.key, epoch])))
        count = len(self.rows)
        ends = np.cumsum(self.weights) * (count / self.weights.sum())
        picks = np.searchsorted(ends, np.arange(count) + rng.random(), side="right").clip(max=count - 1)
        return rng.permutation(self.rows[picks])

    def at(self, position: int) -> int:
        epoch, index = divmod(position, len(self.rows))
        return int(self.order(epoch)[index])


class MixtureSampler:
    """Draws of every step of a run.

    Args:
        manifest: gives the rows and weights of every source (`Manifest`).
        arm: an `ArmConfig` or the name of one.
        seed: of the run.
        steps: length of the run; the curriculum is laid over it.
        batch_size: samples in a step, over all devices.
        mixture: curriculum and division of the mouse share.
        split: usually `train`.
        inputs: least and most input views (inclusive); one number is drawn per step, lowered to what the step's samples
            have.
        unseen_targets: views of a sample that are kept for targets.
        min_views: usable views that a sample needs to be drawn at all.
        rank, world_size: this process takes the rank-th of `world_size` equal runs of slots.
    Raises:
        ConfigError: the arm is not a mixture.
        DataError: a source with a share has no sample in this split.
    """

    def __init__(
        self,
        manifest: SamplePool,
        arm: ArmConfig | str,
        seed: int,
        *,
        steps: int,
        batch_size: int,
        mixture: MixtureConfig = DEFAULTS,
        split: str = "train",
        inputs: tuple[int, int] = (3, 5),
        unseen_targets: int = 1,
        min_views: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.arm = parse_arm(arm, mixture) if isinstance(arm, str) else arm
        self.seed, self.steps, self.batch_size, self.inputs = int(seed), int(steps), int(batch_size), inputs
        self.rank, self.world_size = rank, world_size
        self.unseen_targets, self._view_counts = unseen_targets, manifest.view_counts
        self.shares = schedule(self.arm, mixture, self.steps)
        self.sources: dict[str, _Epochs] = {}
        for number, source in enumerate(SOURCES):
            if self.shares[:, number].any():
                self.sources[source] = self._source(
                    manifest, source, split, number, min_views, mixture.use_sample_weights
                )
        self._block = lru_cache(maxsize=4)(self._draw_block)
        self._counts = [np.zeros(len(SOURCES), np.int64)]  # draws of every source before each block

    def _source(self, manifest, source, split, number, min_views, weighted) -> _Epochs:
        rows, weights = manifest.pool(source, split, min_views)
        keep = weights > 0
        if not keep.any():
            raise DataError(
                f"arm '{self.arm.name}' asks for source '{source}', of which the {split} split has no usable sample",
                got=f"{len(rows)} rows, {int(keep.sum())} with weight > 0",
                expected=f"at least {min_views} views",
                likely="the stage that makes it did not run, the gate refused all, or too few views were accepted",
                hint="mousefacelift dataset build prints what was refused and why",
            )
        weights = weights[keep] if weighted else np.ones(int(keep.sum()))
        return _Epochs(rows[keep], weights.astype(np.float64), (self.seed, 1 + number))

    def _draw_block(self, block: int) -> np.ndarray:
        """Source number of every slot of the steps of a block, int8 [BLOCK_STEPS, batch_size]."""
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, 0, block])))
        uniform = rng.random((BLOCK_STEPS, self.batch_size))
        last = np.minimum(np.arange(block * BLOCK_STEPS, (block + 1) * BLOCK_STEPS), self.steps - 1)
        ends = np.cumsum(self.shares[last], axis=1)
        ends /= ends[:, -1:]  # exactly 1 from the last source with a share on
        return (uniform[:, :, None] >= ends[:, None, :]).sum(-1).astype(np.int8)

    def _counts_before(self, block: int) -> np.ndarray:
        while len(self._counts) <= block:
            choices = self._block(len(self._counts) - 1)
            self._counts.append(self._counts[-1] + np.bincount(choices.ravel(), minlength=len(SOURCES)))
        return self._counts[block]

    def draw(self, step: int) -> list[Draw]:
        """All draws of a step, over all devices, in slot order."""
        block, offset = divmod(step, BLOCK_STEPS)
        positions = self._counts_before(block).copy()
        choices = self._block(block)
        positions += np.bincount(choices[:offset].ravel(), minlength=len(SOURCES))
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, 100, step])))
        inputs = int(rng.integers(self.inputs[0], self.inputs[1] + 1))
        seeds = rng.integers(0, 2**62, self.batch_size)
        sources, rows = [SOURCES[number] for number in choices[offset]], []
        for source, number in zip(sources, choices[offset]):
            rows.append(self.sources[source].at(int(positions[number])))
            positions[number] += 1
        inputs = max(min(inputs, int(self._view_counts(rows).min()) - self.unseen_targets), self.inputs[0])
        return [
            Draw(step, slot, row, source, int(seeds[slot]), inputs)
            for slot, (row, source) in enumerate(zip(rows, sources))
        ]

    def lowered_inputs(self) -> dict[str, tuple[int, int, int]]:
        """Sources whose samples have too few views for the most inputs that may be drawn: source -> (samples that do,
        all samples, most inputs that a step with the poorest of them shows)."""
        found = {}
        for source, epochs in self.sources.items():
            most = self._view_counts(epochs.rows) - self.unseen_targets
            if (most < self.inputs[1]).any():
                fewest = max(int(most.min()), self.inputs[0])
                found[source] = (int((most < self.inputs[1]).sum()), len(epochs.rows), fewest)
        return found

    def from_step(self, step: int = 0) -> StepRange:
        """Batches of this process from `step` to the end of the run, as a `batch_sampler`."""
        return StepRange(self, step)

    def realised(self, step: int) -> dict[str, dict[str, float]]:
        """What the first `step` steps really drew: source -> count, share, epochs (passes over its samples)."""
        block, offset = divmod(step, BLOCK_STEPS)
        counts = self._counts_before(block) + np.bincount(self._block(block)[:offset].ravel(), minlength=len(SOURCES))
        total = max(int(counts.sum()), 1)
        return {
            source: {
                "count": int(counts[SOURCES.index(source)]),
                "share": float(counts[SOURCES.index(source)] / total),
                "epochs": float(counts[SOURCES.index(source)] / len(epochs.rows)),
            }
            for source, epochs in self.sources.items()
        }

    def fingerprint(self) -> str:
        """16 hexadecimal digits that change when a resumed run would draw something else: save it with a checkpoint."""
        rows = {s: config_hash([e.rows.tolist(), e.weights.tolist()]) for s, e in self.sources.items()}
        return config_hash(
            [self.seed, self.steps, self.batch_size, list(self.inputs), config_hash(self.shares.tolist()), rows]
        )


@dataclass(frozen=True)
class StepRange:
    """The batches of one process from a step to the end of the run."""

    sampler: MixtureSampler
    start: int

    def __len__(self) -> int:
        return max(self.sampler.steps - self.start, 0)

    def __iter__(self) -> Iterator[list[Draw]]:
        sampler = self.sampler
        first, stop = (sampler.batch_size * r // sampler.world_size for r in (sampler.rank, sampler.rank + 1))
        for step in range(self.start, sampler.steps):
            yield sampler.draw(step)[first:stop]
