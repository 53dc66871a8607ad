"""What a fit leaves behind, Gaussians, a field or both, to the rest of the stage: one kind of file and of picture.

The folder of a fit holds `splat.npz` whatever was fitted, for viewers, exports and libraries; beside it `field.npz`
where that is what views are rendered from.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.field import Field, render_field
from mousefacelift.core.files import file_hash
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.render import Render, render
from mousefacelift.splats.bake import bake_field

SPLAT, FIELD = "splat.npz", "field.npz"
OVERSAMPLE = 2  # rays per pixel and axis of a field's pictures


@dataclass(frozen=True)
class Blend:
    """Two fits of one frame; a picture is the mean of theirs, multiplied by alpha: errors are partly their own."""

    gaussians: Gaussians
    field: Field

    def to(self, device: str | torch.device) -> Blend:
        return Blend(self.gaussians.to(device), self.field.to(device))


Scene = Gaussians | Field | Blend


def as_gaussians(scene: Scene) -> Gaussians:
    """The scene as Gaussians; a field's are disks on its surface."""
    if isinstance(scene, Blend):
        return scene.gaussians
    return bake_field(scene) if isinstance(scene, Field) else scene


@torch.no_grad()
def render_scene(scene: Scene, cameras: CameraTensors) -> Render:
    """Images over black from cameras [V] on the scene's device."""
    if isinstance(scene, Blend):
        one, two = render_scene(scene.gaussians, cameras), render_scene(scene.field, cameras)
        return Render((one.rgb + two.rgb) / 2, (one.alpha + two.alpha) / 2, (one.depth + two.depth) / 2)
    return render_field(scene, cameras, OVERSAMPLE) if isinstance(scene, Field) else render(scene, cameras)


def save_scene(scene: Scene, folder: Path) -> str:
    """Write the scene's files; returns the hash of what views are rendered from, 32 hex digits."""
    as_gaussians(scene).save(folder / SPLAT)
    if isinstance(scene, Gaussians):
        return file_hash(folder / SPLAT)[:32]
    (scene.field if isinstance(scene, Blend) else scene).save(folder / FIELD)
    hashes = [file_hash(folder / FIELD), *([file_hash(folder / SPLAT)] if isinstance(scene, Blend) else [])]
    return hashes[0][:32] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()[:32]


def read_scene(folder: Path, method: str) -> Scene:
    """What `save_scene` wrote into the folder of a fit made by `method`."""
    if method == "blend":
        return Blend(Gaussians.read(folder / SPLAT), Field.read(folder / FIELD))
    return Field.read(folder / FIELD) if method == "field" else Gaussians.read(folder / SPLAT)
