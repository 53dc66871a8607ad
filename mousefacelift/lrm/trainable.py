"""Which weights train: all of them, the last layers, or low-rank additions (LoRA) to attention and MLP."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from mousefacelift.errors import ConfigError, DataError, MissingWeights
from mousefacelift.lrm.config import TrainConfig
from mousefacelift.lrm.models import Sizes, build, kind_of, preset, preset_of, reconstructor
from mousefacelift.lrm.weights import read_model


def start_model(config: TrainConfig, seed: int) -> tuple[nn.Module, Sizes]:
    """The model before its first step: the weights of `init`, or the preset's sizes with weights drawn from `seed`.

    Raises:
        MissingWeights: `init` names a folder without a model. There is no random substitute.
        ConfigError: its model is not of the preset's architecture.
    """
    if config.init:
        if not Path(config.init).exists():
            raise MissingWeights(
                "the weights to start from are missing",
                where="train.init",
                got=config.init,
                expected="a folder with model.safetensors and config.json",
                hint="mousefacelift lrm import CKPT --out " + config.init,
            )
        model, sizes = read_model(Path(config.init))
        if kind_of(sizes) != config.model:
            raise ConfigError(
                "the weights to start from are of another kind of reconstructor",
                where=f"train.init: {config.init}",
                got=kind_of(sizes),
                expected=config.model,
                hint=f"set train.model to {kind_of(sizes)!r}",
            )
        if config.preset not in ("", preset_of(sizes)):
            raise ConfigError(
                "the weights to start from are not of the preset's architecture",
                where=f"train.init: {config.init}",
                got=preset_of(sizes) or str(sizes),
                expected=config.preset,
                hint=f"set train.preset to {preset_of(sizes)!r}",
            )
        return model, sizes
    torch.manual_seed(seed)
    sizes = preset(config.preset, config.model)
    return build(sizes), sizes


def choose_trainable(model: nn.Module, config: TrainConfig) -> nn.Module:
    """Freeze what `config.layers` says, or wrap the model for LoRA; returns the module to train."""
    if config.layers == "lora":
        from peft import LoraConfig, get_peft_model

        if config.lora_rank < 1:
            raise ConfigError("LoRA needs a rank", where="train.lora_rank", got=config.lora_rank, expected="1 or more")
        targets = reconstructor(config.model).lora_targets
        settings = LoraConfig(r=config.lora_rank, lora_alpha=config.lora_rank, target_modules=targets, bias="none")
        return get_peft_model(model, settings)
    if config.layers == "frozen":
        if not 0 < config.frozen_share < 1:
            raise ConfigError(
                "the frozen share must leave something to train",
                where="train.frozen_share",
                got=config.frozen_share,
                expected="between 0 and 1",
            )
        layers = cast(nn.ModuleList, model.layers)
        fixed = round(config.frozen_share * len(layers))
        for part in (*cast(Any, model).stem(), *layers[:fixed]):
            part.requires_grad_(False)
    return model


def merged_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """Weights of the plain network, LoRA additions merged in, under the published names."""
    merged: dict[str, torch.Tensor] = {}
    state = {re.sub(r"^base_model\.model\.", "", k): v.detach() for k, v in model.state_dict().items()}
    for name, value in state.items():
        if ".lora_" in name:
            continue
        name = name.replace(".base_layer.", ".")
        stem = name.removesuffix(".weight")
        down, up = state.get(f"{stem}.lora_A.default.weight"), state.get(f"{stem}.lora_B.default.weight")
        merged[name] = value.clone() if down is None else value + up @ down  # alpha = rank: factor 1
    return merged


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Trainable parameters for AdamW: matrices decayed, vectors not.

    Raises:
        DataError: nothing is left to train.
    """
    trainable = [p for p in model.parameters() if p.requires_grad]
    if not trainable:
        raise DataError("no weight is left to train", likely="train.frozen_share freezes every layer")
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
