"""What a run will draw, in words, and where it does with less than its configuration asks for."""

from __future__ import annotations

import sys

from mousefacelift.core.sources import SOURCES
from mousefacelift.dataset.mixture import MixtureSampler
from mousefacelift.lrm.config import TrainConfig


def describe_plan(sampler: MixtureSampler) -> str:
    """What a run will draw: steps, samples, and per source its share, draws and passes."""
    lines = [f"arm {sampler.arm.name}: {sampler.steps} steps of {sampler.batch_size} samples"]
    for source, row in sampler.realised(sampler.steps).items():
        planned = sampler.shares[:, SOURCES.index(source)].mean()
        lines.append(
            f"  {source:<10} planned {planned:6.1%}  drawn {row['share']:6.1%} = {row['count']:>7} samples, "
            f"{row['epochs']:.2f} passes over {len(sampler.sources[source].rows)}"
        )
    return "\n".join([*lines, *(f"  {line}" for line in describe_lowered(sampler))])


def describe_lowered(sampler: MixtureSampler) -> list[str]:
    """Where a step shows fewer inputs than `loader.inputs` allows, since its samples have too few views."""
    return [
        f"{source}: {poor} of {count} samples have too few views for {sampler.inputs[1]} inputs (loader.inputs) and "
        f"{sampler.unseen_targets} unseen; a step with the poorest of them shows {fewest} at most"
        for source, (poor, count, fewest) in sampler.lowered_inputs().items()
    ]


def say_lowered(sampler: MixtureSampler, config: TrainConfig, validated: int) -> None:
    """Say on stderr what is done with less than the configuration asks for; `validated` samples are judged."""
    lines = describe_lowered(sampler)
    if validated < config.validation_frames:
        lines.append(
            f"{validated} samples of source {config.validation_source} are judged at a validation, all that the val "
            f"split has (train.validation_frames {config.validation_frames})"
        )
    for line in lines:
        print(line, file=sys.stderr)
