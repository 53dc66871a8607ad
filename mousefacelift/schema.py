"""All sections of config.yaml as one dataclass, and the JSON schema that the Snakefile validates with.

mousefacelift schema --out workflow/schemas/config.schema.yaml --comments config.yaml
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

from mousefacelift.capture.config import CaptureConfig, RecordingSource
from mousefacelift.check.config import EvaluateConfig
from mousefacelift.config import json_schema
from mousefacelift.dataset.config import DatasetConfig, LoaderConfig, MixtureConfig
from mousefacelift.distill.config import DistillConfig
from mousefacelift.lrm.config import PredictConfig, TrainConfig
from mousefacelift.objects.config import ObjectsConfig
from mousefacelift.report.config import ReportConfig
from mousefacelift.single.config import SingleConfig
from mousefacelift.splats.config import SplatsConfig
from mousefacelift.virtual.config import VirtualConfig


@dataclass(frozen=True)
class GpusConfig:
    """GPUs of each GPU step; 0 runs it on the CPU."""

    generator: int = 0
    views: int = 0
    splats: int = 0
    train: int = 0
    predict: int = 0


@dataclass(frozen=True)
class JobsConfig:
    """How work is cut into jobs. Nothing here changes a result.

    Args:
        frames_per_job, objects_per_job: size of a chunk (changing it renames the chunks and makes them anew).
        rerun_on_code: rerun a stage when its code changed (comments, docstrings and layout do not count).
        gpus: per GPU step.
    """

    frames_per_job: int = 16
    objects_per_job: int = 20
    rerun_on_code: bool = True
    gpus: GpusConfig = field(default_factory=GpusConfig)


@dataclass(frozen=True)
class PipelineConfig:
    """config.yaml, sections in stage order.

    Args:
        seed: of everything that is drawn at random.
        arms: trained by default.
        sweep: trained by `snakemake sweep`.
        sweep_seeds: of training, every arm with each on the same data; with another than `seed` the run is called
            80-20.seed1.
    """

    recordings: dict[str, RecordingSource]
    seed: int = 0
    virtual: VirtualConfig = field(default_factory=VirtualConfig)
    capture: CaptureConfig = field(default_factory=CaptureConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)
    splats: SplatsConfig = field(default_factory=SplatsConfig)
    objects: ObjectsConfig = field(default_factory=ObjectsConfig)
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    mixture: MixtureConfig = field(default_factory=MixtureConfig)
    loader: LoaderConfig = field(default_factory=LoaderConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    predict: PredictConfig = field(default_factory=PredictConfig)
    single: SingleConfig = field(default_factory=SingleConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    arms: tuple[str, ...] = ("80-20",)
    sweep: tuple[str, ...] = ("90-10", "80-20", "70-30")
    sweep_seeds: tuple[int, ...] = (0, 1, 2)
    jobs: JobsConfig = field(default_factory=JobsConfig)


def pipeline_schema() -> dict:
    """JSON schema of config.yaml. A section that is left out takes its defaults."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | json_schema(PipelineConfig)
    schema["properties"]["recordings"] |= {"minProperties": 1, "propertyNames": {"pattern": "^[A-Za-z0-9_.-]+$"}}
    return schema


def section_names() -> list[str]:
    """Names of the sections of config.yaml."""
    return [entry.name for entry in fields(PipelineConfig)]


def add_command(subparsers) -> None:
    parser = subparsers.add_parser("schema", help="the JSON schema of config.yaml, made from the dataclasses")
    parser.add_argument("--out", type=Path, required=True, help="YAML file to write")
    parser.add_argument("--comments", type=Path, help="config.yaml whose comments are written anew from the docstrings")
    parser.set_defaults(run=_run)


def _run(args) -> None:
    from mousefacelift.annotate import annotate
    from mousefacelift.core.images import write_text

    write_schema(args.out)
    if args.comments:
        write_text(args.comments, annotate(args.comments.read_text(), PipelineConfig))


def write_schema(out: Path) -> None:
    """Write the schema as YAML, with a line that says where it comes from."""
    import yaml

    from mousefacelift.core.images import write_text

    text = "# Made by `mousefacelift schema` from the dataclasses of the stages; change those.\n"
    write_text(out, text + yaml.safe_dump(pipeline_schema(), sort_keys=False, width=120))
