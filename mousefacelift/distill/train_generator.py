"""Training of the generator on the photos of train frames: capture chunks and splits.json -> generator folder."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mousefacelift.config import config_hash
from mousefacelift.core.files import write_text
from mousefacelift.core.images import composite, contact_sheet, write_png
from mousefacelift.core.splits import Splits
from mousefacelift.distill.config import GeneratorConfig, NearestConfig
from mousefacelift.distill.generators.protocol import change_camera
from mousefacelift.distill.load_generator import facelift_parts, precision_of
from mousefacelift.distill.photos import FrameStore, choose_frames, fit_focal, list_frames, photo_area
from mousefacelift.distill.view_sets import VIEW_SETS


def train_generator(
    indexes: Sequence[Path],
    splits_path: Path,
    out: Path,
    config: GeneratorConfig,
    seed: int,
    library: Path | None = None,
) -> dict:
    """Train (pose, facelift), adapt (prior) or check (zero123plus, nearest) the generator, validate it; returns the
    validation.

    Args:
        library: folder of the library of poses, for nearest.
    """
    splits = Splits.read(splits_path)
    items = list_frames(indexes)
    at_most = config.prior.max_frames if config.kind == "prior" else config.training.max_frames
    train = FrameStore(choose_frames(items, splits, "train", at_most), splits.held_out_camera)
    held = FrameStore(choose_frames(items, splits, "val", config.training.validation_frames), splits.held_out_camera)
    out.mkdir(parents=True, exist_ok=True)
    (out / "generator.json").unlink(missing_ok=True)
    if config.kind == "nearest":
        document, validation = _check_nearest(train, held, out, library)
    elif config.kind == "prior":
        from mousefacelift.distill.prior_training import train_prior

        document, validation = train_prior(train, held, out, config, seed)
    else:
        recipe = {"pose": _train_pose, "facelift": _train_facelift, "zero123plus": _check_zero123plus}[config.kind]
        document, validation = recipe(train, held, out, config, seed)
    write_text(out / "validation.json", json.dumps(validation, indent=1))
    facts = {"held_out_camera": splits.held_out_camera, "photo_area": photo_area(train)}
    write_text(out / "generator.json", json.dumps(document | facts, indent=1))
    return validation


def _train_pose(
    train: FrameStore, held: FrameStore, out: Path, config: GeneratorConfig, seed: int
) -> tuple[dict, dict]:
    import torch
    from safetensors.torch import save_file

    from mousefacelift.distill.generators.pose import FILES, PoseGenerator, describe
    from mousefacelift.distill.generators.pose_network import PoseNetwork
    from mousefacelift.distill.generators.protocol import hash_files
    from mousefacelift.distill.pose_training import PoseBatches, pose_loss
    from mousefacelift.distill.train import train as run_training
    from mousefacelift.distill.train import write_losses
    from mousefacelift.distill.validate import validate

    torch.manual_seed(seed)
    network = PoseNetwork(config.network)
    focal = fit_focal(train)
    key = config_hash([asdict(config.network), asdict(config.training), seed, focal, [i.frame for i in train.items]])
    batches = PoseBatches(train, config.network, focal, config.training, seed)
    network.mean.copy_(batches.mean())

    def loss(module, step, process):
        device = next(module.parameters()).device
        draw = step * 64 + process
        return pose_loss(module, tuple(part.to(device) for part in batches.batch(draw)), config.training, seed, draw)

    checkpoint = out.parent / f".{out.name}.checkpoint.pt"
    state = run_training(network, loss, config.training, checkpoint, key)
    network = network.to("cpu")
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, out / "model.safetensors")
    write_losses(out / "losses.csv", state, config.training)
    generator = PoseGenerator(network, focal, VIEW_SETS["sixty"], config.sampler, {})  # asked for given cameras alone
    report = validate(
        lambda photo, cameras: generator.generate_at([photo], [cameras], [seed])[0], generator.own_camera, train, held
    )
    _draw_validation(generator, held, out / "validation.png", seed)
    report |= {
        "updates": state.step,
        "skipped": state.skipped,
        "elapsed_s": state.elapsed_s,
        "train_frames": len(train),
        "parameters": sum(p.numel() for p in network.parameters()),
    }
    document = describe(
        config.network, focal, {"weights": hash_files(out, FILES[1:]), "key": key, "validation": report}
    )
    checkpoint.unlink(missing_ok=True)
    return document, report


def _train_facelift(
    train: FrameStore, held: FrameStore, out: Path, config: GeneratorConfig, seed: int
) -> tuple[dict, dict]:
    import torch
    from safetensors.torch import save_file

    from mousefacelift.distill.facelift_training import TRAINED_FILE, FaceLiftBatches, Trainable
    from mousefacelift.distill.generators.facelift import FaceLiftGenerator
    from mousefacelift.distill.generators.protocol import hash_files
    from mousefacelift.distill.train import train as run_training
    from mousefacelift.distill.train import write_losses
    from mousefacelift.distill.validate import validate

    parts, declared = facelift_parts(config), VIEW_SETS["facelift"]
    torch.manual_seed(seed)  # the adapter's first weights
    module = Trainable(parts, config.training)
    batches = FaceLiftBatches(parts, train, declared, config.training, seed)
    key = config_hash([asdict(config.training), parts.weights, seed, [i.frame for i in train.items]])
    checkpoint = out.parent / f".{out.name}.checkpoint.pt"
    state = run_training(
        module, lambda m, step, process: batches.loss(m, step * 64 + process), config.training, checkpoint, key
    )
    save_file(module.trained(), out / TRAINED_FILE)
    write_losses(out / "losses.csv", state, config.training)
    generator = FaceLiftGenerator(parts, declared, config.sampler, declared, module.adapter.eval())
    report = validate(
        lambda photo, cameras: generator.generate_at([photo], [cameras], [seed])[0], generator.own_camera, train, held
    )
    _draw_validation(generator, held, out / "validation.png", seed)
    report |= {
        "updates": state.step,
        "skipped": state.skipped,
        "elapsed_s": state.elapsed_s,
        "train_frames": len(train),
    }
    document = {
        "kind": "facelift",
        "mode": config.training.mode,
        "lora_rank": config.training.lora_rank,
        "base": parts.weights,
        "weights": hash_files(out, [TRAINED_FILE]),
        "key": key,
        "validation": report,
    }
    checkpoint.unlink(missing_ok=True)
    return document, report


def _check_zero123plus(
    train: FrameStore, held: FrameStore, out: Path, config: GeneratorConfig, seed: int
) -> tuple[dict, dict]:
    """Zero123++ is used as published: nothing is trained, its weights are checked, and validation has nothing to
    compare."""
    from mousefacelift.distill.generators.zero123plus import Zero123PlusGenerator

    generator = Zero123PlusGenerator.load(
        config.weights, VIEW_SETS["zero123plus_v1.2"], config.sampler, precision_of(config)
    )
    report = {"alarms": [], "note": "used as published; its views lie between the rig's cameras, the gate judges them"}
    return {"kind": "zero123plus", "weights": generator.weights, "validation": report}, report


def _check_nearest(train: FrameStore, held: FrameStore, out: Path, library: Path | None) -> tuple[dict, dict]:
    """Nearest filmed pose: nothing is trained; its library is named, and it is validated on held frames."""
    from mousefacelift.distill.generators.nearest import HINT, NearestGenerator
    from mousefacelift.distill.generators.protocol import hash_files, require_files
    from mousefacelift.distill.nearest.library import FILES, Library
    from mousefacelift.distill.validate import validate

    root = require_files(library or "", FILES, "the nearest generator", HINT)
    weights = hash_files(root, FILES[:1])
    generator = NearestGenerator(Library.read(root), VIEW_SETS["sixty"], NearestConfig(), weights)
    report = validate(
        lambda photo, cameras: generator.generate_at([photo], [cameras], [0])[0], generator.own_camera, train, held
    )
    _draw_validation(generator, held, out / "validation.png", 0)
    document = {"kind": "nearest", "library": os.path.relpath(root, out), "weights": weights}
    return document | {"validation": report}, report


def _draw_validation(generator, held: FrameStore, path: Path, seed: int) -> None:
    """Rows of input, generated real angles, and the photos there; one row per frame, at most six."""
    images, columns = [], 0
    for index in range(min(6, len(held))):
        views = held.views(index)
        photo, others = views[0], views[1:]
        made = generator.generate_at([photo], [[v.camera for v in others]], [seed])[0]
        truth = [change_camera(v.rgba, v.camera, generator.own_camera(v.camera)) for v in views]
        row = [truth[0], *(view.rgba for view in made), *truth[1:]]
        images, columns = images + [composite(rgba) for rgba in row], len(row)
    write_png(path, contact_sheet(images, columns))
