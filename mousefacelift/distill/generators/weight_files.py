"""Weights of a published folder as people download them: whole or in shards, in half precision only, or as .bin.

A .bin is a pickle; it is read with torch's weights-only reader, which makes tensors and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mousefacelift.distill.generators.protocol import require_files
from mousefacelift.errors import DataError, MissingWeights

VARIANTS = (None, "fp16")  # full precision is preferred


@dataclass(frozen=True)
class WeightFiles:
    """The files of one component.

    Args:
        files: relative to the folder; several for shards, with their index first.
        variant: None or "fp16", as diffusers and transformers name it.
        safe: safetensors, not pickles.
    """

    files: tuple[str, ...]
    variant: str | None
    safe: bool

    @property
    def choice(self) -> dict:
        """Arguments for `from_pretrained`."""
        return {"variant": self.variant, "use_safetensors": self.safe}


def require_weights(
    folder: str | Path, configs: Sequence[str], weights: Sequence[str], what: str, hint: str
) -> tuple[Path, dict[str, WeightFiles]]:
    """The folder and the files of every component of `weights` (named by their plain safetensors file).

    Raises:
        MissingWeights: configurations or weights are missing, or a shard that an index names.
    """
    root = require_files(folder, configs, what, hint)
    found = {name: find_weights(root, name) for name in weights}
    missing = [name for name, files in found.items() if files is None]
    if missing:
        seen = sorted({p.name for name in missing for p in (root / name).parent.glob("*") if p.suffix != ".json"})
        raise MissingWeights(
            f"weights of {what} are not complete",
            where=str(root),
            got=f"no {', '.join(missing)}" + (f"; beside it {', '.join(seen[:6])}" if seen else ""),
            expected="each whole or sharded, full or fp16, .safetensors or .bin",
            hint=hint,
        )
    return root, found


def find_weights(root: Path, name: str) -> WeightFiles | None:
    """What there is of a component's weights; safetensors before .bin, full precision before half."""
    for safe in (True, False):
        plain = Path(name) if safe else _as_bin(Path(name))
        for variant in VARIANTS:
            stem, suffix = plain.name.split(".", 1)
            middle = f".{variant}" if variant else ""
            whole = plain.with_name(f"{stem}{middle}.{suffix}")
            if (root / whole).is_file():
                return WeightFiles((str(whole),), variant, safe)
            index = plain.with_name(f"{plain.name}.index{middle}.json")
            if (root / index).is_file():
                return WeightFiles((str(index), *_shards(root, index)), variant, safe)
    return None


def _as_bin(name: Path) -> Path:
    """transformers calls its pickle pytorch_model.bin, diffusers diffusion_pytorch_model.bin."""
    return name.with_name("pytorch_model.bin" if name.name == "model.safetensors" else f"{name.name.split('.')[0]}.bin")


def _shards(root: Path, index: Path) -> list[str]:
    try:
        names = sorted(set(json.loads((root / index).read_text())["weight_map"].values()))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise DataError(f"index {root / index} cannot be read", got=f"{type(error).__name__}: {error}") from error
    shards = [index.with_name(Path(name).name) for name in names]
    missing = [shard.name for shard in shards if not (root / shard).is_file()]
    if missing:
        raise MissingWeights(
            f"shards of {root / index.parent} are missing", got=", ".join(missing), hint="download the folder again"
        )
    return [str(shard) for shard in shards]


def load_weights(root: Path, weights: WeightFiles) -> dict[str, Tensor]:
    """All tensors of a component.

    Raises:
        DataError: a truncated file, or a pickle with more than tensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    tensors: dict[str, Tensor] = {}
    for name in weights.files:
        if name.endswith(".json"):
            continue
        try:
            path = root / name
            tensors |= load_file(path) if weights.safe else torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, ValueError, RuntimeError, SafetensorError, EOFError) as error:
            raise DataError(f"weights {root / name} cannot be read", got=str(error), likely="a cut download") from error
    return tensors
