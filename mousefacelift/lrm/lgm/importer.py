"""Sizes and licence of a published LGM file: nothing in it says them, so they are read off its names and shapes."""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from mousefacelift.errors import ConfigError, MissingWeights
from mousefacelift.lrm.lgm.model import PRESETS, LGMConfig

PUBLISHED_FOVY = 49.1
NOTICE = """These weights were imported from {name} (SHA-256 {sha256}).
They are not covered by the licence of this project. LGM (Tang et al., 2024) publishes its code under the MIT licence;
what its weights are under, the page says where they are published. No licence file lay beside the
file: get its text there, and pass on both when you pass on the weights.
"""


def is_lgm(state: dict[str, Tensor]) -> bool:
    """Whether these are the weights of an LGM."""
    return "unet.conv_in.weight" in state and "conv.weight" in state


def sizes_of(state: dict[str, Tensor], path: Path, rotations: bool | None = None) -> LGMConfig:
    """Sizes of an LGM read from its weights.

    Args:
        rotations: whether its rotations are usable: files of before the published fix never learnt them, and nothing
            in the file shows it. None believes the file's name ("fixrot").
    Raises:
        MissingWeights: a level is missing.
        ConfigError: the name does not say whether the rotations are usable.
    """
    if rotations is None:
        if "fixrot" not in path.name:
            raise ConfigError(
                "this file does not say whether its rotations can be used",
                where=path,
                expected="a name with 'fixrot', as the repaired weights are published",
                likely="weights of before the fix, whose rotations are noise",
                hint="give --rotations yes or --rotations no",
            )
        rotations = True
    down, down_attention = _levels(state, "down", path)
    up, up_attention = _levels(state, "up", path)
    sizes = LGMConfig(
        image_size=256,
        down=down,
        down_attention=down_attention,
        middle_attention="unet.mid_block.attns.0.norm.weight" in state,
        up=up,
        up_attention=up_attention,
        fovy=PUBLISHED_FOVY,
        rotates=rotations,
    )
    known = {(p.down, p.up): p.image_size for p in PRESETS.values()}
    return sizes if (down, up) not in known else LGMConfig(**{**vars(sizes), "image_size": known[down, up]})


def _levels(state: dict[str, Tensor], way: str, path: Path) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    pattern = re.compile(rf"unet\.{way}_blocks\.(\d+)\.nets\.0\.conv1\.weight")
    widths = {int(match[1]): value.shape[0] for name, value in state.items() if (match := pattern.fullmatch(name))}
    if sorted(widths) != list(range(len(widths))) or not widths:
        raise MissingWeights(
            f"the LGM file {path} lacks levels", got=f"{way}: {sorted(widths)}", expected="all from 0 on, without gaps"
        )
    order = range(len(widths))
    attends = tuple(f"unet.{way}_blocks.{i}.attns.0.norm.weight" in state for i in order)
    return tuple(widths[i] for i in order), attends
