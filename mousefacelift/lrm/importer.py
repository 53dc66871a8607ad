"""Import of a published reconstructor (FaceLift's `ckpt_*.pt`, LGM's .safetensors) into a model folder: strictly,
safely, with its licence.

Reads the pickle with weights_only (plain tensors and numbers, no code). Writes model.safetensors and config.json, the
perceptual network that travels inside the checkpoint as vgg19.safetensors, and LICENSE.txt. Command:
`mousefacelift lrm import CKPT --out FOLDER`.
"""

from __future__ import annotations

import dataclasses
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mousefacelift.core.files import file_hash, via, write_text
from mousefacelift.errors import DataError, MissingWeights, unwritable
from mousefacelift.lrm.lgm import importer as lgm
from mousefacelift.lrm.model_config import ModelConfig
from mousefacelift.lrm.models import Sizes, build, kind_of
from mousefacelift.lrm.perceptual import PerceptualLoss
from mousefacelift.lrm.weights import check_state, write_model

VGG_PREFIX = "loss_calculator.perceptual_loss_module.net."
PUBLISHED_HEAD_DIM = 64  # not visible in any weight's shape
NOTICE = """These weights were imported from {name} (SHA-256 {sha256}).
They are not covered by the licence of this project. The weights published with FaceLift (Lyu et al., 2025) are under
the Adobe Research License: non-commercial research use only, derivatives included, so weights fine-tuned from these
inherit the restriction. No licence file lay beside the checkpoint; get its text where the checkpoint came from, and
pass on both when you pass on the weights.
"""


def import_checkpoint(
    path: Path,
    out: Path,
    head_dim: int = PUBLISHED_HEAD_DIM,
    licence: Path | None = None,
    rotations: bool | None = None,
) -> dict:
    """Write the model folder `out` from a published checkpoint and return what the checkpoint holds.

    Args:
        path: `ckpt_*.pt` with a `model` state dict (or a bare one), or the same as .safetensors; an LGM's .safetensors.
        head_dim: width of an attention head (GS-LRM).
        rotations: whether the file's rotations are usable (LGM); None believes its name.
        licence: licence text to keep with the weights; by default a LICENSE* file beside the checkpoint.
    Raises:
        MissingWeights: no such file, no known network, or a key missing, left over or of another shape.
    """
    state, facts = read_checkpoint(Path(path))
    vgg = {name.removeprefix(VGG_PREFIX): state.pop(name) for name in list(state) if name.startswith(VGG_PREFIX)}
    sizes: Sizes
    is_lgm = lgm.is_lgm(state)
    sizes = lgm.sizes_of(state, Path(path), rotations) if is_lgm else sizes_of(state, head_dim, path)
    with torch.device("meta"):
        check_state(build(sizes), state, path)
        if vgg:
            check_state(PerceptualLoss(), vgg, f"{path}: perceptual network")
    facts |= {
        "imported_from": Path(path).name,
        "sha256": file_hash(Path(path)),
        "parameters": sum(value.numel() for value in state.values()),
        "perceptual_network": bool(vgg),
    }
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    if vgg:
        _save(vgg, out / "vgg19.safetensors")
    notice = lgm.NOTICE if is_lgm else NOTICE
    write_text(out / "LICENSE.txt", _licence_text(Path(path), licence, facts, notice))
    write_model(out, state, sizes, {"licence": "LICENSE.txt", **facts})
    return {"kind": kind_of(sizes), "sizes": dataclasses.asdict(sizes), **facts}


def read_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], dict]:
    """The network's state dict of a checkpoint file and the facts beside it (step counters, what else it holds).

    Raises:
        MissingWeights: missing, unreadable, or holding more than tensors and plain values.
    """
    if not path.is_file():
        raise MissingWeights(
            "the checkpoint to import is missing",
            got=path,
            expected="ckpt_*.pt of a published FaceLift",
            hint="download it from where its authors publish it and give its path",
        )
    try:
        if path.suffix == ".safetensors":
            document: dict[str, Any] = {"model": load_file(path)}
        else:
            document = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, SafetensorError, EOFError) as error:
        raise MissingWeights(
            f"checkpoint {path} cannot be read safely",
            got=str(error).splitlines()[0],
            likely="a truncated download, or a pickle that holds code",
        ) from error
    stored: Any = document.get("model", document) if isinstance(document, dict) else None
    if not isinstance(stored, dict) or not all(isinstance(value, torch.Tensor) for value in stored.values()):
        raise MissingWeights(f"checkpoint {path} holds no state dict", expected='{"model": {name: tensor}}')
    state = {name.removeprefix("module."): value for name, value in stored.items()}
    facts = {
        key: document[key] for key in ("fwdbwd_pass_step", "param_update_step") if isinstance(document.get(key), int)
    }
    return state, facts | {"holds": sorted(document) if stored is not document else ["model"]}


def sizes_of(state: dict[str, torch.Tensor], head_dim: int, where: object) -> ModelConfig:
    """Sizes of a GS-LRM read from the shapes of its weights.

    Raises:
        MissingWeights: the keys are not those of a GS-LRM.
    """
    try:
        dim, patch_numbers = state["patch_embedder.1.weight"].shape
        free = state["gaussian_position_embeddings"].shape[0]
        channels = state["gaussian_upsampler.linear.weight"].shape[0]
    except KeyError as error:
        raise MissingWeights(
            f"checkpoint {where} is not a GS-LRM",
            got=f"no weight {error}",
            likely="the multi-view diffusion checkpoint, or another network",
        ) from error
    layers = {int(match[1]) for name in state if (match := re.match(r"transformer_layers\.(\d+)\.", name))}
    patch, degree = round((patch_numbers / 9) ** 0.5), round(((channels - 11) / 3) ** 0.5) - 1
    return ModelConfig(
        image_size=512,
        patch_size=patch,
        dim=dim,
        head_dim=head_dim,
        layers=len(layers),
        free_gaussians=free,
        sh_degree=degree,
    )


def describe(report: dict) -> str:
    """What `import_checkpoint` found, in a few lines."""
    sizes, millions = report["sizes"], f"{report['parameters'] / 1e6:.1f} M parameters"
    if report["kind"] == "lgm":
        first = (
            f"LGM: {millions}, widths {sizes['down']} down and {sizes['up']} up, pictures of {sizes['image_size']} px, "
            f"rotations {'used' if sizes['rotates'] else 'not used'}"
        )
    else:
        first = (
            f"GS-LRM: {millions}, {sizes['layers']} layers of width {sizes['dim']}, patch {sizes['patch_size']}, "
            f"SH degree {sizes['sh_degree']}, {sizes['free_gaussians']} free Gaussians"
        )
    lines = [
        first,
        f"file holds: {', '.join(report['holds'])}",
        "perceptual network (VGG19): " + ("yes" if report["perceptual_network"] else "no"),
        f"sha256: {report['sha256']}",
    ]
    return "\n".join(
        lines + [f"{key}: {report[key]}" for key in ("fwdbwd_pass_step", "param_update_step") if key in report]
    )


def _licence_text(path: Path, licence: Path | None, facts: dict, notice: str) -> str:
    beside = sorted(path.parent.glob("LICEN[SC]E*")) if licence is None else [Path(licence)]
    if not beside:
        return notice.format(name=path.name, sha256=facts["sha256"])
    try:
        return beside[0].read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"licence {beside[0]} cannot be read", got=str(error)) from error


def _save(state: dict[str, torch.Tensor], path: Path) -> None:
    with via(path, "weights") as work:
        try:
            save_file({name: value.contiguous() for name, value in state.items()}, work)
        except SafetensorError as error:
            raise unwritable("weights", path, error) from error
