"""Thresholds of the gate, learnt from train frames of the rig: capture chunks and splits.json -> gate.json."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mousefacelift.core.files import json_text, write_text
from mousefacelift.core.splits import Splits
from mousefacelift.distill.config import GateConfig
from mousefacelift.distill.gate import Thresholds, learn_thresholds
from mousefacelift.distill.photos import FrameStore, choose_frames, list_frames


def learn_gate(indexes: Sequence[Path], splits_path: Path, out: Path, config: GateConfig) -> Thresholds:
    """Learn the gate's thresholds from train frames and write them to `out`."""
    splits = Splits.read(splits_path)
    items = choose_frames(list_frames(indexes), splits, "train", config.frames)
    store = FrameStore(items, splits.held_out_camera)
    thresholds = learn_thresholds([store.views(i) for i in range(len(store))], config)
    write_text(out, json_text(thresholds.to_dict() | {"held_out_camera": splits.held_out_camera}, indent=1))
    return thresholds
