"""Long-LRM scenes: RGB pictures and one JSON per scene with `scene_name` and frames, and a list of the JSONs per split.

Its loader stacks pictures as they are: RGBA would become four channels, so pictures are written as RGB over white.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mousefacelift.core.files import json_text, write_text
from mousefacelift.core.images import composite, write_png
from mousefacelift.core.samples import Sample
from mousefacelift.dataset.formats.pinhole import raw_of
from mousefacelift.formats.facelift_json import frame_of

SCENE = "scene.json"


def write(folder: Path, sample: Sample) -> None:
    """Write `scene.json` and `images/00000.png ...` (RGB over white) into `folder`."""
    frames = []
    for index, view in enumerate(sample.views):
        name = f"images/{index:05d}.png"
        rgba = view.rgba / 255.0 if view.rgba.dtype == "uint8" else view.rgba
        write_png(folder / name, composite(rgba))
        frames.append(frame_of(raw_of(view.camera, name), name))
    write_text(folder / SCENE, json_text({"scene_name": folder.name, "frames": frames}, indent=1))


def write_lists(out: Path, splits: Sequence[str]) -> None:
    """Write `out/<split>.txt`, one scene a line, relative to `out`."""
    for split in splits:
        scenes = sorted((out / split).glob(f"*/{SCENE}"))
        write_text(out / f"{split}.txt", "".join(f"{scene.relative_to(out)}\n" for scene in scenes))
