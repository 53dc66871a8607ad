"""A trained or published generator, read from its folder by the recipe of its kind."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import cast

from mousefacelift.distill.config import GeneratorConfig, NearestConfig
from mousefacelift.distill.generators.protocol import Asked, Generator, Recipe, require_files
from mousefacelift.distill.view_sets import ViewSet
from mousefacelift.errors import DataError

PLUG_INS = "mousefacelift.distill.generators"  # imported by name: `core.provenance` counts them to this module's code
TRAIN_HINT = "mousefacelift distill train --frames INDEX.json ... --splits SPLITS.json --out FOLDER"


def recipe_of(kind: str) -> Recipe:
    """How generators of a kind (`generators.KINDS`) are made and read."""
    return cast(Recipe, import_module(f"{PLUG_INS}.{kind}"))


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
    return recipe_of(config.kind).load(Asked(root, document, views, config, nearest or NearestConfig()))
