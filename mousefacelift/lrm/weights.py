"""Model folders: model.safetensors with the published key names, and config.json with the sizes.

<folder>/model.safetensors     the network, fp32
<folder>/config.json           {"kind": "gslrm" or "lgm", "model": {sizes}, ...facts about where it came from}
<folder>/vgg19.safetensors     only after `lrm import`: weights of the perceptual loss
<folder>/LICENSE.txt           when the weights came with a licence of their own
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from mousefacelift.config import load
from mousefacelift.core.files import json_text, write_bytes, write_text
from mousefacelift.errors import ConfigError, MissingWeights
from mousefacelift.lrm.models import Sizes, build, kind_of, reconstructor


def write_model(folder: Path, state: dict[str, torch.Tensor], sizes: Sizes, facts: dict) -> None:
    """Write a model folder; each file appears whole, config.json last."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().cpu().float().contiguous() for name, value in state.items()}
    write_bytes(folder / "model.safetensors", save(tensors))
    write_text(
        folder / "config.json",
        json_text({"kind": kind_of(sizes), "model": dataclasses.asdict(sizes), **facts}, indent=1),
    )


def read_facts(folder: Path) -> dict:
    """The parsed config.json of a model folder.

    Raises:
        MissingWeights: the folder holds no finished model.
    """
    try:
        return json.loads((folder / "config.json").read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise MissingWeights(
            f"{folder} holds no reconstructor",
            got=str(error),
            expected="model.safetensors and config.json",
            hint="mousefacelift lrm train, or mousefacelift lrm import CKPT --out FOLDER",
        ) from error


def read_model(folder: Path, device: str | torch.device = "cpu") -> tuple[torch.nn.Module, Sizes]:
    """The network of a model folder, strictly: every weight, of the right shape.

    Raises:
        MissingWeights: a file or key is missing, left over or of another shape, or the sizes are of another version; it
        is named.
    """
    folder = Path(folder)
    try:
        facts = read_facts(folder)
        sizes: Any = load(reconstructor(facts.get("kind", "gslrm"), "kind").sizes, facts.get("model"), "model")
    except ConfigError as error:
        raise MissingWeights(
            f"{folder} holds a reconstructor of another architecture",
            where=folder / "config.json",
            got=error.what,
            likely="made by another version of this package",
            hint="train or import again",
        ) from error
    path = folder / "model.safetensors"
    try:
        state = load_file(path, device=str(device))
    except (OSError, SafetensorError) as error:
        raise MissingWeights(
            f"weights {path} cannot be read",
            got=str(error),
            likely="a missing or truncated file",
            hint="train or import again",
        ) from error
    with torch.device("meta"):
        model = build(sizes)
    check_state(model, state, path)
    model.load_state_dict(state, assign=True)
    return model.to(device), sizes


def check_state(model: torch.nn.Module, state: dict[str, torch.Tensor], where: object) -> None:
    """Raise MissingWeights, naming a key, unless `state` has exactly the weights of `model`."""
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    got = {name: tuple(value.shape) for name, value in state.items()}
    missing, extra = sorted(wanted.keys() - got.keys()), sorted(got.keys() - wanted.keys())
    if missing or extra:
        raise MissingWeights(
            f"weights {where} are of another network",
            got=f"{len(missing)} keys missing ({', '.join(missing[:3])}), "
            f"{len(extra)} not known ({', '.join(extra[:3])})",
            expected=f"the {len(wanted)} keys of this architecture",
        )
    wrong = [name for name in wanted if wanted[name] != got[name]]
    if wrong:
        raise MissingWeights(
            f"weight '{wrong[0]}' of {where} has another shape ({len(wrong)} in all)",
            got=got[wrong[0]],
            expected=wanted[wrong[0]],
            likely="a model of other sizes",
        )
