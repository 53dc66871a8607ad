"""The `prior` generator: one photo -> one mouse by the single-picture network -> renders from any camera.

Reads results/distill/generator/{generator.json, adapted.safetensors} that `mousefacelift distill train` wrote, or the
shipped network. All views of one photo share one solid.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mousefacelift.config import config_hash
from mousefacelift.core.cameras import Camera
from mousefacelift.core.records import ViewFacts
from mousefacelift.core.render import render_pictures
from mousefacelift.core.samples import View
from mousefacelift.distill.generators.protocol import Asked, Solid, check_foreground, hash_files, require_files
from mousefacelift.distill.making import Making
from mousefacelift.distill.view_sets import VIEW_SETS, ViewSet
from mousefacelift.prior.familiar import describe_familiarity
from mousefacelift.prior.fit import FitConfig
from mousefacelift.prior.model import SHIPPED, load_prior
from mousefacelift.prior.network import PriorNetwork
from mousefacelift.prior.reconstruct import Reconstruction, reconstruct_many

FILES = ("generator.json", "adapted.safetensors")
HINT = "mousefacelift distill train --frames INDEX.json ... --splits SPLITS.json --out FOLDER"
TOGETHER, MOST_BYTES = (8, 40), 512e6  # photos of a call, and the views painted of them that are in memory at a time
SHIPPED_AREA = 0.06  # share of the image at which a picture of unknown scale is shown; the six-camera rig's


class PriorGenerator:
    """The network with render-and-compare; draws nothing at random, so seeds do not matter."""

    name = "prior"
    licence = "as the project; trained on procedural mice, adapted to the user's recording"

    def __init__(self, network: PriorNetwork, view_set: ViewSet, steps: int, size: int, weights: dict[str, str]):
        self.network, self.view_set, self.resolution, self.weights = network, view_set, size, weights
        self.fit = FitConfig(steps, min(10, steps))

    @property
    def photos_at_once(self) -> int:
        """A step of a fit costs little more for many photos than for one."""
        fitting = MOST_BYTES / (16 * self.resolution**2 * len(self.view_set.relative_azimuths))
        return int(min(max(fitting, TOGETHER[0]), TOGETHER[1]))

    @classmethod
    def load(cls, folder: str | Path, view_set: ViewSet, steps: int, size: int) -> PriorGenerator:
        """The generator that `distill train` wrote into `folder`, painting views of `size` pixels.

        Raises:
            MissingWeights: the folder is not complete.
        """
        root = require_files(folder, FILES, "the prior generator", HINT)
        return cls(load_prior(root / FILES[1]), view_set, steps, size, hash_files(root, FILES[1:]))

    @classmethod
    def shipped(cls, view_set: ViewSet, steps: int, size: int = 128) -> PriorGenerator:
        """The network that comes with the project, which knows no recording."""
        return cls(load_prior(SHIPPED), view_set, steps, size, hash_files(SHIPPED.parent, [SHIPPED.name]))

    def generate(self, inputs: Sequence[View], seeds: Sequence[int]) -> list[list[View]]:
        """Views of the declared set for each input; see `Generator.generate`."""
        wanted = [self.view_set.cameras(view.camera, self.resolution) for view in inputs]
        return self.generate_at(inputs, wanted, seeds)

    def solid(self, view: View, knows_camera: bool, elevation: float | None = None) -> Solid:
        """The mouse itself, fitted with twice the steps; see `SolidGenerator.solid`."""
        return self.solids([view], [knows_camera], elevation)[0]

    def solids(
        self, views: Sequence[View], knows_camera: Sequence[bool], elevation: float | None = None
    ) -> list[Solid]:
        """The mice of several pictures, as `solid` finds each but for rounding; fitted side by side."""
        check_foreground(views)
        pictures = [
            (view.rgba, view.camera if known else None) for view, known in zip(views, knows_camera, strict=True)
        ]
        found = reconstruct_many(pictures, self.network, FitConfig(2 * self.fit.steps, 12), elevation)
        return [Solid(one.gaussians, one.camera, _facts(one) | {"hypotheses": one.hypotheses}) for one in found]

    def generate_at(
        self, inputs: Sequence[View], wanted: Sequence[Sequence[Camera]], seeds: Sequence[int]
    ) -> list[list[View]]:
        """Views at the `wanted` absolute cameras of each input."""
        check_foreground(inputs)
        painted = []
        every = reconstruct_many([(view.rgba, view.camera) for view in inputs], self.network, self.fit)
        for found, cameras, seed in zip(every, wanted, seeds, strict=True):
            facts = ViewFacts(generator=self.name, seed=seed, details=_facts(found))
            images = render_pictures(found.gaussians, cameras)
            painted.append([View(image, camera, facts) for image, camera in zip(images, cameras, strict=True)])
        return painted


def _facts(found: Reconstruction) -> dict:
    facts = {"residual": round(found.residual, 5), "heading": round(found.heading, 1)}
    return facts | describe_familiarity(found)


def make(making: Making) -> tuple[dict, dict]:
    """Adapt the shipped network (or `prior.weights`) to the photos; see `protocol.Recipe`."""
    from mousefacelift.prior.adapt import adapt_network, save_adapted  # with the virtual animal, which who loads leaves

    started, config = time.perf_counter(), making.config.prior
    weights = Path(config.weights) if config.weights else SHIPPED
    network, facts = load_prior(weights), {}
    if config.steps:
        frames = [making.photos.views(i) for i in range(len(making.photos))]
        found = adapt_network(network, frames, config, making.seed)
        facts = {
            "fit_residuals": [round(r, 5) for r in found.residuals],
            "points_loss": [round(v, 4) for v in found.losses],
        }
    save_adapted(network, making.out / FILES[1])
    size, hashes = making.photos.views(0)[0].rgba.shape[0], hash_files(making.out, FILES[1:])
    network = load_prior(making.out / FILES[1])
    generator = PriorGenerator(network, VIEW_SETS["sixty"], config.view_steps, size, hashes)
    report = making.judge(generator, own_camera=lambda camera: camera)
    report |= facts | {"elapsed_s": time.perf_counter() - started, "train_frames": len(making.photos)}
    key = config_hash([asdict(config), hash_files(weights.parent, [weights.name]), making.seed])
    return {"size": size, "weights": hashes, "key": key}, report


def load(asked: Asked) -> PriorGenerator:
    """The adapted generator; see `protocol.Recipe`."""
    return PriorGenerator.load(asked.root, asked.views, asked.config.prior.view_steps, asked.document["size"])
