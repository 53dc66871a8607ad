"""Making of the generator from the photos of train frames: capture chunks and splits.json -> generator folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mousefacelift.core.files import json_text, write_text
from mousefacelift.core.splits import Splits
from mousefacelift.distill.config import GeneratorConfig
from mousefacelift.distill.load_generator import recipe_of
from mousefacelift.distill.making import Making
from mousefacelift.distill.photos import FrameStore, choose_frames, list_frames, photo_area


def train_generator(
    indexes: Sequence[Path],
    splits_path: Path,
    out: Path,
    config: GeneratorConfig,
    seed: int,
    library: Path | None = None,
) -> dict:
    """Make the generator of the configured kind (train, adapt or only check it) and validate it; returns the
    validation.

    Args:
        library: folder of the library of poses, for nearest.
    """
    splits = Splits.read(splits_path)
    items = list_frames(indexes)
    at_most = config.prior.max_frames if config.kind == "prior" else config.training.max_frames
    photos = FrameStore(choose_frames(items, splits, "train", at_most), splits.held_out_camera)
    held = FrameStore(choose_frames(items, splits, "val", config.training.validation_frames), splits.held_out_camera)
    out.mkdir(parents=True, exist_ok=True)
    (out / "generator.json").unlink(missing_ok=True)
    making = Making(photos, held, out, config, seed, library)
    document, validation = recipe_of(config.kind).make(making)
    write_text(out / "validation.json", json_text(validation, indent=1))
    facts = {"held_out_camera": splits.held_out_camera, "photo_area": photo_area(photos)}
    document = {"kind": config.kind} | document | {"validation": validation} | facts
    write_text(out / "generator.json", json_text(document, indent=1))
    making.checkpoint.unlink(missing_ok=True)
    return validation
