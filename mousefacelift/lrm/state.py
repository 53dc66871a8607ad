"""Checkpoints of a training run: written whole or not at all, the last few and the best kept, resumed to the exact
step.

    <run>/checkpoints/step_00000200/training.pt      model, optimiser, RNG states (tensors and numbers only)
    <run>/checkpoints/step_00000200/state.json       step, key of the configuration, counters, validation, alarm

Views, background and augmentation of a step come from (seed, step), so the step number is the state of the data order.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from mousefacelift.core.files import json_text, replace_folder
from mousefacelift.core.training import load_checkpoint
from mousefacelift.errors import ConfigError, DataError


@dataclass
class RunState:
    """What a run knows about itself besides its tensors.

    best_step and best_value belong to the validation foreground PSNR; alarms holds one entry per validation that
    tripped.
    """

    key: str
    step: int = 0
    applied: int = 0
    skipped: int = 0
    best_step: int = -1
    best_value: float = -math.inf
    alarms: list[dict] = field(default_factory=list)
    validation: dict = field(default_factory=dict)
    settings: str = ""  # key of everything but the sizes of batches
    batch: int = 0  # samples of a step, over all processes
    processes: int = 0  # that shared the step when the run began
    threads: int = 0  # of each process when the run began: other numbers round otherwise

    @property
    def applied_ratio(self) -> float:
        """Share of the steps so far whose update was applied."""
        return self.applied / max(self.applied + self.skipped, 1)


class Checkpoints:
    """The checkpoint folder of one run."""

    def __init__(self, folder: Path, keep_last: int):
        self.folder, self.keep_last = Path(folder), keep_last

    def steps(self) -> list[int]:
        """Steps of all whole checkpoints, ascending."""
        found = self.folder.glob("step_*/state.json") if self.folder.is_dir() else []
        return sorted(int(path.parent.name.removeprefix("step_")) for path in found)

    def path(self, step: int) -> Path:
        return self.folder / f"step_{step:08d}"

    def save(self, state: RunState, tensors: dict) -> None:
        """Write the checkpoint of `state.step`, then delete those that are neither recent nor the best.

        Raises:
            DataError: the disk refuses; earlier checkpoints are untouched.
        """
        target = self.path(state.step)
        work = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            work.mkdir(parents=True, exist_ok=True)
            torch.save(tensors, work / "training.pt")
            (work / "state.json").write_text(json_text(asdict(state), indent=1))
            replace_folder(work, target)
        except (OSError, RuntimeError) as error:  # torch reports a failed write as RuntimeError
            raise DataError(
                f"checkpoint {target} cannot be written",
                got=str(error).splitlines()[0],
                likely="a full disk or a read-only folder",
                hint="free space and rerun: training goes on from the last checkpoint",
            ) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
        self._delete_old(state.best_step)

    def load(self, step: int) -> tuple[RunState, dict]:
        """State and tensors of a checkpoint (loaded with weights_only).

        Raises:
            DataError: a file of it is damaged.
        """
        state = self._state(step)
        return state, load_checkpoint(self.path(step) / "training.pt", self._hint)

    def resume(self, wanted: RunState) -> tuple[RunState, dict] | None:
        """The newest whole checkpoint, or None when there is none of the configuration of `wanted`.

        Checkpoints of another configuration are set aside as `checkpoints-KEY` and taken up again when that
        configuration comes back; they are never mixed in and never deleted. What a killed process left half-written or
        had yet to delete is removed.

        Raises:
            ConfigError: the same run on another number of processes would have steps of another size.
            DataError: not one checkpoint can be read.
        """
        for rest in self.folder.glob(".step_*"):
            shutil.rmtree(rest, ignore_errors=True)
        found = self._newest()
        if found is not None and found[0].key != wanted.key:
            refuse_other_batch(found[0], wanted)
            other = found[0].key
            self._rename(self.folder, self._aside(other))
            print(f"the configuration changed ({other} -> {wanted.key}): old checkpoints are in {self._aside(other)}")
            found = None
        if self._aside(wanted.key).is_dir() and not self.steps():
            self._rename(self._aside(wanted.key), self.folder)
            found = self._newest()
        if found is not None:
            self._delete_old(found[0].best_step)
        return found

    def _delete_old(self, best_step: int) -> None:
        """Delete checkpoints that are neither recent nor the best."""
        keep = set(self.steps()[-self.keep_last :]) | {best_step}
        for step in set(self.steps()) - keep:
            shutil.rmtree(self.path(step), ignore_errors=True)

    def _newest(self) -> tuple[RunState, dict] | None:
        """The newest checkpoint that can be read; a damaged one is named and passed over, unless there is no other."""
        problem: DataError | None = None
        for step in reversed(self.steps()):
            try:
                return self.load(step)
            except DataError as error:
                problem = error
                print(f"passed over: {error.what} ({error.got})", file=sys.stderr)
        if problem is not None:
            raise problem
        return None

    @property
    def _hint(self) -> str:
        return f"delete {self.folder} to start the run anew"

    def _aside(self, key: str) -> Path:
        return self.folder.with_name(f"{self.folder.name}-{key}")

    def _rename(self, old: Path, new: Path) -> None:
        try:
            old.rename(new)
        except OSError as error:
            raise DataError(
                f"checkpoints {old} cannot be moved to {new}",
                got=str(error),
                likely="a folder of that name is in the way",
                hint=f"move {new} elsewhere",
            ) from error

    def _state(self, step: int) -> RunState:
        try:
            document = json.loads((self.path(step) / "state.json").read_text())
            if document.get("best_value", 0.0) is None:  # JSON has no infinity
                document["best_value"] = -math.inf
            return RunState(**document)
        except (OSError, ValueError, TypeError) as error:
            raise self._damaged(step, error) from error

    def _damaged(self, step: int, error: Exception) -> DataError:
        return DataError(
            f"checkpoint {self.path(step)} cannot be read",
            got=(str(error) or type(error).__name__).splitlines()[0],
            likely="a damaged file",
            hint=self._hint,
        )


def refuse_other_batch(found: RunState, wanted: RunState) -> None:
    """Raise ConfigError when a run would restart at step 0 only because it was started on more or fewer processes."""
    if found.settings != wanted.settings or found.processes == wanted.processes or not found.processes:
        return
    raise ConfigError(
        f"this run is at step {found.step} and was trained with steps of another size",
        got=f"{wanted.batch} samples a step on {wanted.processes} processes",
        expected=f"{found.batch} samples a step in batches as on {found.processes} processes",
        likely="another number of processes with the same train.optimizer",
        hint="keep train.optimizer.batch and set accumulate so that batch x accumulate x processes is "
        f"{found.batch}; or give --out another folder",
    )
