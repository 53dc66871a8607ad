"""What a fit leaves behind, Gaussians or a field, to the rest of the stage: one kind of file, of picture, of splat.

The folder of a fit holds `splat.npz` whatever was fitted, for viewers, exports and libraries; beside it `field.npz`
where that is what views are rendered from.
"""

from __future__ import annotations

from pathlib import Path

import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.field import Field, render_field
from mousefacelift.core.files import file_hash
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.render import Render, render
from mousefacelift.splats.bake import bake_field

Scene = Gaussians | Field
SPLAT, FIELD = "splat.npz", "field.npz"
OVERSAMPLE = 2  # rays per pixel and axis of a field's pictures


def as_gaussians(scene: Scene) -> Gaussians:
    """The scene as Gaussians; a field's are disks on its surface."""
    return bake_field(scene) if isinstance(scene, Field) else scene


@torch.no_grad()
def render_scene(scene: Scene, cameras: CameraTensors) -> Render:
    """Images over black from cameras [V] on the scene's device."""
    return render_field(scene, cameras, OVERSAMPLE) if isinstance(scene, Field) else render(scene, cameras)


def save_scene(scene: Scene, folder: Path) -> str:
    """Write the scene's files; returns the hash of the one that views are rendered from, 32 hex digits."""
    as_gaussians(scene).save(folder / SPLAT)
    if isinstance(scene, Field):
        scene.save(folder / FIELD)
    return file_hash(folder / (FIELD if isinstance(scene, Field) else SPLAT))[:32]


def read_scene(folder: Path, method: str) -> Scene:
    """What `save_scene` wrote into the folder of a fit made by `method`."""
    return Field.read(folder / FIELD) if method == "field" else Gaussians.read(folder / SPLAT)
