"""A trained or published generator, read from its folder."""

from __future__ import annotations

import json
from pathlib import Path

from mousefacelift.distill.config import GeneratorConfig, NearestConfig, TrainingConfig
from mousefacelift.distill.generators.protocol import Generator, require_files
from mousefacelift.distill.view_sets import VIEW_SETS, ViewSet
from mousefacelift.errors import DataError

TRAIN_HINT = "mousefacelift distill train --frames INDEX.json ... --splits SPLITS.json --out FOLDER"


def known_area(folder: Path) -> float:
    """Share of a canonical image that the animal covers in the photos that the generator in `folder` was trained on."""
    root = require_files(folder, ("generator.json",), "the generator", TRAIN_HINT)
    document = json.loads((root / "generator.json").read_text())
    if "photo_area" not in document:
        raise DataError(
            f"generator {folder} does not say how large its photos showed the animal",
            likely="made by an earlier version",
            hint=TRAIN_HINT,
        )
    return document["photo_area"]


def load_generator(
    folder: Path, config: GeneratorConfig, views: ViewSet, nearest: NearestConfig | None = None
) -> Generator:
    """The configured generator, asked for `views`; `folder` is what `distill train` wrote.

    Args:
        nearest: how the nearest filmed pose is looked for, by the generator of that kind.
    Raises:
        DataError: the folder holds another kind of generator than the configuration asks for.
    """
    root = require_files(folder, ("generator.json",), "the generator", TRAIN_HINT)
    document = json.loads((root / "generator.json").read_text())
    if document["kind"] != config.kind:
        raise DataError(
            f"generator folder {folder} holds another generator",
            got=document["kind"],
            expected=config.kind,
            hint=TRAIN_HINT,
        )
    if config.kind == "prior":
        from mousefacelift.distill.generators.prior import PriorGenerator

        return PriorGenerator.load(folder, views, config.prior.view_steps, document["size"])
    if config.kind == "pose":
        from mousefacelift.distill.generators.pose import PoseGenerator

        return PoseGenerator.load(folder, views, config.sampler)
    if config.kind == "nearest":
        from mousefacelift.distill.generators.nearest import NearestGenerator

        return NearestGenerator.load(root, views, nearest or NearestConfig())
    if config.kind == "zero123plus":
        from mousefacelift.distill.generators.zero123plus import Zero123PlusGenerator

        return Zero123PlusGenerator.load(config.weights, views, config.sampler, precision_of(config))
    return _load_facelift(root, document, views, config)


def _load_facelift(root: Path, document: dict, views: ViewSet, config: GeneratorConfig) -> Generator:
    from mousefacelift.distill.facelift_training import TRAINED_FILE, Trainable
    from mousefacelift.distill.generators.facelift import FaceLiftGenerator

    require_files(root, (TRAINED_FILE,), "the fine-tuned generator", TRAIN_HINT)
    parts = facelift_parts(config)
    if parts.weights != document["base"]:
        raise DataError(
            "the fine-tuned generator was made from other published weights", where=config.weights, hint=TRAIN_HINT
        )
    training = TrainingConfig(mode=document["mode"], lora_rank=document["lora_rank"], gradient_checkpointing=False)
    module = Trainable(parts, training)
    module.load_trained(root / TRAINED_FILE)
    parts.weights = parts.weights | document["weights"]
    return FaceLiftGenerator(parts, views, config.sampler, VIEW_SETS["facelift"], module.adapter.eval())


def facelift_parts(config: GeneratorConfig):
    """The published FaceLift pipeline of `config.weights`, on the device that is there."""
    import torch

    from mousefacelift.distill.generators.facelift_folder import load_facelift

    return load_facelift(
        config.weights, config.prompt_embeddings, precision_of(config), "cuda" if torch.cuda.is_available() else "cpu"
    )


def precision_of(config: GeneratorConfig):
    """torch dtype of `config.precision`."""
    import torch

    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[config.precision]
