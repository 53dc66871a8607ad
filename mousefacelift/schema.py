"""All sections of config.yaml as one dataclass, and what is written from it: the file itself and its JSON schema.

mousefacelift schema --out workflow/schemas/config.schema.yaml --config config.yaml
"""

from __future__ import annotations

import json
from dataclasses import field
from datetime import date
from pathlib import Path
from typing import Literal

from mousefacelift.capture.config import CaptureConfig, RecordingSource
from mousefacelift.check.config import EvaluateConfig
from mousefacelift.config import adapter, json_schema, load, require_at_least, section
from mousefacelift.dataset.config import DatasetConfig, LoaderConfig, MixtureConfig
from mousefacelift.distill.config import DistillConfig
from mousefacelift.embed.config import EmbedConfig
from mousefacelift.errors import ConfigError
from mousefacelift.lrm.config import PredictConfig, TrainConfig
from mousefacelift.objects.config import ObjectsConfig
from mousefacelift.prior.config import PriorConfig
from mousefacelift.report.config import ReportConfig
from mousefacelift.single.config import SingleConfig
from mousefacelift.splats.config import SplatsConfig
from mousefacelift.virtual.config import VirtualConfig

SCALES = {  # keys that `scale` sets together; the demo's values are the defaults of the sections
    "demo": {
        "capture.size": 128,
        "splats.fit.size": 128,
        "splats.fit.count": 1500,
        "splats.fit.optimise.steps": 210,
        "splats.fit.optimise.opacity_weight": 0.03,
        "splats.fit.optimise.dropout": 0.3,
        "splats.novel.size": 128,
        "objects.size": 128,
        "loader.image_size": 128,
        "train.preset": "small",
        "train.init": "",
    },
    "lab": {
        "capture.size": 256,
        "splats.fit.size": 256,
        "splats.fit.count": 2500,
        "splats.fit.optimise.steps": 180,
        "splats.fit.optimise.opacity_weight": 0.01,
        "splats.fit.optimise.dropout": 0.5,
        "splats.novel.size": 256,
        "objects.size": 256,
        "loader.image_size": 256,
        "train.preset": "base",
        "train.init": "",
    },
    "published": {
        "capture.size": 512,
        "splats.fit.size": 512,
        "splats.fit.count": 8000,
        "splats.fit.optimise.steps": 180,
        "splats.fit.optimise.opacity_weight": 0.01,
        "splats.fit.optimise.dropout": 0.5,
        "splats.novel.size": 512,
        "objects.size": 512,
        "loader.image_size": 512,
        "train.preset": "facelift",
        "train.init": "weights/facelift",
    },
}


@section
class GpusConfig:
    """GPUs of each GPU step; 0 runs it on the CPU."""

    generator: int = 0
    views: int = 0
    splats: int = 0
    train: int = 0
    predict: int = 0

    def __post_init__(self) -> None:
        require_at_least(self, 0, "generator", "views", "splats", "train", "predict")


@section
class JobsConfig:
    """How work is cut into jobs. Nothing here changes a result."""

    frames_per_job: int = 32
    """size of a chunk (changing it renames the chunks and makes them anew)"""
    objects_per_job: int = 32
    rerun_on_code: bool = True
    """rerun a stage when its code changed (comments, docstrings and layout do not count)"""
    gpus: GpusConfig = field(default_factory=GpusConfig)
    """per GPU step"""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "frames_per_job", "objects_per_job")


@section
class PipelineConfig:
    """config.yaml, sections in stage order."""

    recordings: dict[str, RecordingSource]
    """name -> where it is"""
    scale: Literal["demo", "lab", "published"] = "demo"
    """sizes of pictures, splats and network together; keys that stand as comments below have its values unless set"""
    seed: int = 0
    """of everything that is drawn at random"""
    virtual: VirtualConfig = field(default_factory=VirtualConfig)
    """virtual recordings: made for every recording whose path is "virtual\""""
    capture: CaptureConfig = field(default_factory=CaptureConfig)
    """recording -> canonical samples"""
    distill: DistillConfig = field(default_factory=DistillConfig)
    """multi-view generator, 6x6 views, dedupe, gate"""
    splats: SplatsConfig = field(default_factory=SplatsConfig)
    """a Gaussian splat per frame, in-between views and rings"""
    objects: ObjectsConfig = field(default_factory=ObjectsConfig)
    """objects (and scans) rendered to samples"""
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    """splits and the geometry gate at the door"""
    mixture: MixtureConfig = field(default_factory=MixtureConfig)
    """what the optimiser sees, and when"""
    loader: LoaderConfig = field(default_factory=LoaderConfig)
    """from manifest rows to tensors"""
    train: TrainConfig = field(default_factory=TrainConfig)
    """GS-LRM"""
    predict: PredictConfig = field(default_factory=PredictConfig)
    """what a trained model is asked for its evaluation"""
    single: SingleConfig = field(default_factory=SingleConfig)
    """one picture in, all other views judged"""
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    """judging"""
    report: ReportConfig = field(default_factory=ReportConfig)
    """the HTML report"""
    prior: PriorConfig = field(default_factory=PriorConfig)
    """the single-picture prior; its weights are shipped, `snakemake prior` makes them again"""
    embed: EmbedConfig = field(default_factory=EmbedConfig)
    """every frame as a heading-free vector; only `snakemake embed` runs it"""
    arms: tuple[str, ...] = ("80-20",)
    """trained by default: objects-mouse shares, real-only, distilled-only, splat-only, no-synthetic, distortion-only;
    80-20.lgm is the arm 80-20 of another reconstructor than train.model"""
    sweep: tuple[str, ...] = ("90-10", "80-20", "70-30")
    """trained by `snakemake sweep`"""
    sweep_seeds: tuple[int, ...] = (0, 1, 2)
    """of training, every arm with each on the same data; with another than `seed` the run is called 80-20.seed1"""
    jobs: JobsConfig = field(default_factory=JobsConfig)
    """how work is cut into jobs; nothing here changes a result"""


def refuse_odd_names(node: object, where: str = "config.yaml") -> None:
    """Raise ConfigError for names and values that YAML does not read as text or numbers: 20240501, 2024-05-01, yes."""
    if isinstance(node, dict):
        for name, inner in node.items():
            if not isinstance(name, str):
                kind = {bool: "true or false", int: "a number", float: "a number"}.get(type(name), "a date")
                raise ConfigError(
                    f"the name {name} in '{where}' is {kind} for YAML",
                    expected="text",
                    hint=f'write it in quotes: "{name}"',
                )
            refuse_odd_names(inner, name if where == "config.yaml" else f"{where}.{name}")
    elif isinstance(node, list):
        for inner in node:
            refuse_odd_names(inner, where)
    elif isinstance(node, date):
        raise ConfigError(f"config key '{where}' is a date for YAML", got=node, hint=f'write it in quotes: "{node}"')


def complete(config: dict) -> dict:
    """The whole configuration with every default written out, from what the user's files say.

    Raises:
        ConfigError: a key that no section has, or a value that its key cannot have.
    """
    refuse_odd_names(config)
    scale = config.get("scale", "demo")
    given = json.loads(json.dumps(config))
    for key, value in SCALES.get(scale, {}).items() if isinstance(scale, str) else ():
        *parents, last = key.split(".")
        node = given
        for name in parents:
            node = node.setdefault(name, {}) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node.setdefault(last, value)
    return json.loads(adapter(PipelineConfig).dump_json(load(PipelineConfig, given, "")))


def pipeline_schema() -> dict:
    """JSON schema of config.yaml, for editors. A section that is left out takes its defaults."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | json_schema(PipelineConfig)


def add_command(subparsers) -> None:
    parser = subparsers.add_parser(
        "schema",
        help="the JSON schema of config.yaml, made from the dataclasses",
        description="the JSON schema of config.yaml, made from the dataclasses",
    )
    parser.add_argument("--out", type=Path, help="YAML file to write the schema to")
    parser.add_argument("--config", type=Path, help="config.yaml to write anew: all keys, their words, its own values")
    parser.set_defaults(run=_run)


def _run(args) -> None:
    import yaml

    from mousefacelift.config_file import write_config
    from mousefacelift.core.files import write_text

    if args.out:
        text = "# Made by `mousefacelift schema` from the dataclasses of the stages; change those.\n"
        write_text(args.out, text + yaml.safe_dump(pipeline_schema(), sort_keys=False, width=120))
    if args.config:
        write_text(args.config, write_config(yaml.safe_load(args.config.read_text())))
