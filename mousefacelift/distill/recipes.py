"""What each command of the stage does, from files to files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mousefacelift.config import config_hash
from mousefacelift.core.cameras import azimuth_elevation
from mousefacelift.core.images import composite, contact_sheet, write_png, write_text
from mousefacelift.distill.config import DistillConfig
from mousefacelift.distill.dedupe import check_tolerance
from mousefacelift.distill.gate import Thresholds, learn_thresholds
from mousefacelift.distill.generators.protocol import Generator, change_camera, require_files
from mousefacelift.distill.photos import FrameStore, Splits, choose_frames, fit_focal, list_frames, photo_area
from mousefacelift.distill.view_sets import VIEW_SETS, ViewSet, wanted_views
from mousefacelift.errors import DataError, GateFailure

TRAIN_HINT = "mousefacelift distill train --frames INDEX.json ... --splits SPLITS.json --out FOLDER"


def learn_gate(indexes: Sequence[Path], splits_path: Path, out: Path, config: DistillConfig) -> Thresholds:
    """Learn the gate's thresholds from train frames and write them to `out`."""
    splits = Splits.read(splits_path)
    items = choose_frames(list_frames(indexes), splits, "train", config.gate.frames)
    store = FrameStore(items, splits.held_out_camera)
    thresholds = learn_thresholds([store.views(i) for i in range(len(store))], config.gate)
    write_text(out, json.dumps(thresholds.to_dict() | {"held_out_camera": splits.held_out_camera}, indent=1))
    return thresholds


def train_generator(indexes: Sequence[Path], splits_path: Path, out: Path, config: DistillConfig, seed: int) -> dict:
    """Train (pose, facelift) or check (zero123plus) the generator, validate it, learn the gate; returns the
    validation."""
    splits = Splits.read(splits_path)
    items = list_frames(indexes)
    train = FrameStore(choose_frames(items, splits, "train", config.training.max_frames), splits.held_out_camera)
    held = FrameStore(choose_frames(items, splits, "val", config.training.validation_frames), splits.held_out_camera)
    out.mkdir(parents=True, exist_ok=True)
    (out / "generator.json").unlink(missing_ok=True)
    recipe = {"pose": _train_pose, "facelift": _train_facelift, "zero123plus": _check_zero123plus}[config.generator]
    document, validation = recipe(train, held, out, config, seed)
    learn_gate(indexes, splits_path, out / "gate.json", config)
    write_text(out / "validation.json", json.dumps(validation, indent=1))
    facts = {"held_out_camera": splits.held_out_camera, "photo_area": photo_area(train)}
    write_text(out / "generator.json", json.dumps(document | facts, indent=1))
    return validation


def _train_pose(train: FrameStore, held: FrameStore, out: Path, config: DistillConfig, seed: int) -> tuple[dict, dict]:
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
    views = wanted_views(config.view_set, config.azimuths, config.elevation)
    generator = PoseGenerator(network, focal, views, config.sampler, {})
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
    train: FrameStore, held: FrameStore, out: Path, config: DistillConfig, seed: int
) -> tuple[dict, dict]:
    import torch
    from safetensors.torch import save_file

    from mousefacelift.distill.facelift_training import TRAINED_FILE, FaceLiftBatches, Trainable
    from mousefacelift.distill.generators.facelift import FaceLiftGenerator
    from mousefacelift.distill.generators.protocol import hash_files
    from mousefacelift.distill.train import train as run_training
    from mousefacelift.distill.train import write_losses
    from mousefacelift.distill.validate import validate

    parts = _facelift_parts(config)
    torch.manual_seed(seed)  # the adapter's first weights
    module = Trainable(parts, config.training)
    batches = FaceLiftBatches(parts, train, VIEW_SETS["facelift"], config.training, seed)
    key = config_hash([asdict(config.training), parts.weights, seed, [i.frame for i in train.items]])
    checkpoint = out.parent / f".{out.name}.checkpoint.pt"
    state = run_training(
        module, lambda m, step, process: batches.loss(m, step * 64 + process), config.training, checkpoint, key
    )
    save_file(module.trained(), out / TRAINED_FILE)
    write_losses(out / "losses.csv", state, config.training)
    views = wanted_views(config.view_set, config.azimuths, config.elevation)
    generator = FaceLiftGenerator(parts, views, config.sampler, VIEW_SETS["facelift"], module.adapter.eval())
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


def _facelift_parts(config: DistillConfig):
    import torch

    from mousefacelift.distill.generators.facelift_folder import load_facelift

    return load_facelift(
        config.weights, config.prompt_embeddings, _precision(config), "cuda" if torch.cuda.is_available() else "cpu"
    )


def _precision(config: DistillConfig):
    import torch

    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[config.precision]


def _check_zero123plus(
    train: FrameStore, held: FrameStore, out: Path, config: DistillConfig, seed: int
) -> tuple[dict, dict]:
    """Zero123++ is used as published: nothing is trained, its weights are checked, and validation has nothing to
    compare."""
    from mousefacelift.distill.generators.zero123plus import Zero123PlusGenerator

    generator = Zero123PlusGenerator.load(
        config.weights, wanted_views(config.view_set, (), None), config.sampler, _precision(config)
    )
    report = {"alarms": [], "note": "used as published; its views lie between the rig's cameras, the gate judges them"}
    return {"kind": "zero123plus", "weights": generator.weights, "validation": report}, report


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


def load_generator(folder: Path, config: DistillConfig) -> Generator:
    """The configured generator; `folder` is what `distill train` wrote.

    Raises:
        DataError: the folder holds another kind of generator than the configuration asks for.
    """
    root = require_files(folder, ("generator.json",), "the generator", TRAIN_HINT)
    document = json.loads((root / "generator.json").read_text())
    if document["kind"] != config.generator:
        raise DataError(
            f"generator folder {folder} holds another generator",
            got=document["kind"],
            expected=config.generator,
            hint=TRAIN_HINT,
        )
    views = wanted_views(config.view_set, config.azimuths, config.elevation)
    if config.generator == "pose":
        from mousefacelift.distill.generators.pose import PoseGenerator

        return PoseGenerator.load(folder, views, config.sampler)
    if config.generator == "zero123plus":
        from mousefacelift.distill.generators.zero123plus import Zero123PlusGenerator

        return Zero123PlusGenerator.load(config.weights, views, config.sampler, _precision(config))
    return _load_facelift(root, document, views, config)


def _load_facelift(root: Path, document: dict, views: ViewSet, config: DistillConfig) -> Generator:
    from dataclasses import replace

    from mousefacelift.distill.facelift_training import TRAINED_FILE, Trainable
    from mousefacelift.distill.generators.facelift import FaceLiftGenerator

    require_files(root, (TRAINED_FILE,), "the fine-tuned generator", TRAIN_HINT)
    parts = _facelift_parts(config)
    if parts.weights != document["base"]:
        raise DataError(
            "the fine-tuned generator was made from other published weights", where=config.weights, hint=TRAIN_HINT
        )
    training = replace(
        config.training, mode=document["mode"], lora_rank=document["lora_rank"], gradient_checkpointing=False
    )
    module = Trainable(parts, training)
    module.load_trained(root / TRAINED_FILE)
    parts.weights = parts.weights | document["weights"]
    return FaceLiftGenerator(parts, views, config.sampler, VIEW_SETS["facelift"], module.adapter.eval())


def check_views(views: ViewSet, tolerance: float) -> None:
    """Refuse a tolerance that would merge views of one call."""
    from mousefacelift.core.cameras import canonical_fxfycxcy, orbit

    cameras = views.cameras(orbit(0, 15, 2.7, canonical_fxfycxcy(8), 8, 8), 8)
    angles = [azimuth_elevation(camera) for camera in cameras]
    check_tolerance(tolerance, [a[0] for a in angles], [a[1] for a in angles], f"view set '{views.name}'")


def distill_views(frames: Path, folder: Path, out: Path, config: DistillConfig, seed: int) -> dict:
    """Distil one capture chunk; returns the summary of candidates.json.

    Raises:
        GateFailure: more views refused than `gate.max_quarantine` allows; everything is written all the same.
    """
    from mousefacelift.distill.selfdistill import Distiller, distill_chunk

    root = require_files(folder, ("gate.json",), "the gate", TRAIN_HINT)
    learnt = json.loads((root / "gate.json").read_text())
    generator = load_generator(folder, config)
    check_views(generator.view_set, config.dedupe.tolerance)
    distiller = Distiller(
        generator, Thresholds(learnt["values"], learnt["facts"]), config, seed, learnt["held_out_camera"]
    )
    distill_chunk(frames, out, distiller)
    summary = json.loads((out.parent / "candidates.json").read_text())["summary"]
    refused = summary["status"].get("refused", 0) / max(1, summary["candidates"])
    if refused > config.gate.max_quarantine:
        raise GateFailure(
            f"the gate refused {refused:.0%} of the generated views of {out.parent.name}",
            expected=f"at most {config.gate.max_quarantine:.0%}",
            where=str(out.parent / "candidates.json"),
            likely="a generator trained too little, or on another animal",
            hint="train longer",
        )
    return summary
