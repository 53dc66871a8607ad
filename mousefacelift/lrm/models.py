"""The reconstructors by name: their sizes, presets and networks. A third one is one more row here and its own module.

Every network takes posed images and returns something whose `activated()` gives Gaussians in our world:
`model(image [B, V, 3 or 4, H, W], c2w [B, V, 4, 4], fxfycxcy [B, V, 4])`. It has `config` (its sizes), `layers` (what
may be compiled, frozen or recomputed, in order), `stem()` (what comes before them), `checkpoints_activations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import nn

from mousefacelift.errors import ConfigError
from mousefacelift.lrm.lgm import model as lgm
from mousefacelift.lrm.model import GSLRM
from mousefacelift.lrm.model_config import PRESETS, ModelConfig

Sizes = ModelConfig | lgm.LGMConfig


@dataclass(frozen=True)
class Reconstructor:
    """One kind of network.

    Args:
        network: built from an instance of `sizes`.
        presets: sizes with a name.
        lora_targets: regular expression of the modules that get low-rank additions.
    """

    network: type[nn.Module]
    sizes: type
    presets: Mapping[str, Sizes]
    lora_targets: str


GSLRM_LORA = r"transformer_layers\.\d+\.(attn\.(to_qkv|fc)|mlp\.mlp\.(0|2))"
RECONSTRUCTORS = {
    "gslrm": Reconstructor(GSLRM, ModelConfig, PRESETS, GSLRM_LORA),
    "lgm": Reconstructor(lgm.LGM, lgm.LGMConfig, lgm.PRESETS, r".*\.attn\.(qkv|proj)"),
}


def reconstructor(name: str, where: str = "train.model") -> Reconstructor:
    """The kind of network called `name`.

    Raises:
        ConfigError: there is none.
    """
    if name not in RECONSTRUCTORS:
        raise ConfigError("unknown reconstructor", where=where, got=name, expected=", ".join(RECONSTRUCTORS))
    return RECONSTRUCTORS[name]


def kind_of(sizes: Sizes) -> str:
    """Name of the kind that these are sizes of."""
    return next(name for name, kind in RECONSTRUCTORS.items() if isinstance(sizes, kind.sizes))


def preset(name: str, kind: str = "gslrm") -> Sizes:
    """The sizes called `name`.

    Raises:
        ConfigError: this kind of network has no preset of that name.
    """
    presets = reconstructor(kind).presets
    if name not in presets:
        raise ConfigError(f"unknown preset of {kind}", where="train.preset", got=name, expected=", ".join(presets))
    return presets[name]


def preset_of(sizes: Sizes) -> str:
    """Name of the preset of this architecture (the image size is none of it), '' if there is none."""
    presets = RECONSTRUCTORS[kind_of(sizes)].presets
    return next((name for name, known in presets.items() if replace(known, image_size=sizes.image_size) == sizes), "")


def build(sizes: Sizes) -> nn.Module:
    """The network of these sizes, with random weights."""
    return RECONSTRUCTORS[kind_of(sizes)].network(sizes)
