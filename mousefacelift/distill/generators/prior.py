"""The `prior` generator: one photo -> one mouse by the adapted single-picture network -> renders from any camera.

Reads results/distill/generator/{generator.json, adapted.safetensors} that `mousefacelift distill train` wrote. All
views of one photo share one solid.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import Camera
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.render import render
from mousefacelift.core.samples import View
from mousefacelift.distill.generators.protocol import check_foreground, hash_files, require_files
from mousefacelift.distill.view_sets import ViewSet
from mousefacelift.prior.fit import FitConfig
from mousefacelift.prior.model import load_prior
from mousefacelift.prior.network import PriorNetwork
from mousefacelift.prior.reconstruct import reconstruct

FILES = ("generator.json", "adapted.safetensors")
HINT = "mousefacelift distill train --frames INDEX.json ... --splits SPLITS.json --out FOLDER"


class PriorGenerator:
    """The adapted network with render-and-compare; draws nothing at random, so seeds do not matter."""

    name = "prior"
    licence = "as the project; trained on procedural mice and adapted to the user's recording"

    def __init__(
        self, network: PriorNetwork, view_set: ViewSet, fit: FitConfig, size: int, weights: dict[str, str]
    ) -> None:
        self.network, self.view_set, self.fit, self.resolution, self.weights = network, view_set, fit, size, weights

    @classmethod
    def load(cls, folder: str | Path, view_set: ViewSet, steps: int, size: int) -> PriorGenerator:
        """The generator that `distill train` wrote into `folder`, painting views of `size` pixels.

        Raises:
            MissingWeights: the folder is not complete.
        """
        root = require_files(folder, FILES, "the prior generator", HINT)
        network = load_prior(root / FILES[1])
        return cls(network, view_set, FitConfig(steps, min(10, steps)), size, hash_files(root, FILES[1:]))

    def generate(self, inputs: Sequence[View], seeds: Sequence[int]) -> list[list[View]]:
        """Views of the declared set for each input; see `Generator.generate`."""
        wanted = [self.view_set.cameras(view.camera, self.resolution) for view in inputs]
        return self.generate_at(inputs, wanted, seeds)

    def generate_at(
        self, inputs: Sequence[View], wanted: Sequence[Sequence[Camera]], seeds: Sequence[int]
    ) -> list[list[View]]:
        """Views at the `wanted` absolute cameras of each input."""
        check_foreground(inputs)
        painted = []
        for view, cameras, seed in zip(inputs, wanted, seeds, strict=True):
            found = reconstruct(view.rgba, view.camera, self.network, self.fit)
            meta = {
                "generator": self.name,
                "seed": seed,
                "residual": round(found.residual, 5),
                "heading": round(found.heading, 1),
            }
            painted.append(
                [View(image, camera, meta) for image, camera in zip(render_views(found.gaussians, cameras), cameras)]
            )
        return painted


@torch.no_grad()
def render_views(gaussians: Gaussians, cameras: Sequence[Camera]) -> list[np.ndarray]:
    """Straight-alpha rgba [H, W, 4] of Gaussians from cameras of one size."""
    shown = render(gaussians, CameraTensors.from_cameras(cameras))
    alpha = shown.alpha.clamp(0, 1).unsqueeze(-1)
    colour = torch.where(alpha > 1e-3, shown.rgb / alpha.clamp_min(1e-3), torch.zeros(())).clamp(0, 1)
    return list(torch.cat([colour, alpha], -1).numpy().astype(np.float32))
