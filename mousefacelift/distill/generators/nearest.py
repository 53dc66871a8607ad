"""The `nearest` generator: the filmed pose that explains the photo best, shown from wherever it is asked for.

Nothing is trained and nothing is invented: what it paints is a splat of a train frame, turned, scaled, shifted and
coloured to the photo (`distill/nearest`). Its views therefore share one solid. Asked for a photo of a frame that is in
the library, it finds that frame's own splat.
"""

from __future__ import annotations

from collections.abc import Sequence

from mousefacelift.core.cameras import Camera
from mousefacelift.core.files import relative_path
from mousefacelift.core.records import ViewFacts
from mousefacelift.core.render import render_pictures
from mousefacelift.core.samples import View
from mousefacelift.distill.config import NearestConfig
from mousefacelift.distill.generators.protocol import Asked, Solid, check_foreground, hash_files, require_files
from mousefacelift.distill.making import Making
from mousefacelift.distill.nearest.find import find_nearest
from mousefacelift.distill.nearest.library import FILES, Library
from mousefacelift.distill.view_sets import VIEW_SETS, ViewSet

HINT = "mousefacelift distill library --rings INDEX.json ... --splits SPLITS.json --out FOLDER"


class NearestGenerator:
    """Shows the nearest filmed pose."""

    name = "nearest"
    licence = "as the recordings of its library"

    def __init__(self, library: Library, view_set: ViewSet, config: NearestConfig, weights: dict[str, str]) -> None:
        self.library, self.view_set, self.config, self.weights = library, view_set, config, weights
        self.resolution = library.size

    def own_camera(self, camera: Camera) -> Camera:
        """`camera` at this generator's size."""
        return camera.scaled_to(self.resolution, self.resolution)

    def generate(self, inputs: Sequence[View], seeds: Sequence[int]) -> list[list[View]]:
        """Views of the declared set for each input; see `Generator.generate`. Seeds change nothing."""
        wanted = [self.view_set.cameras(view.camera, self.resolution) for view in inputs]
        return self.generate_at(inputs, wanted, seeds)

    def solid(self, view: View, knows_camera: bool, elevation: float | None = None) -> Solid:
        """The pose itself; see `SolidGenerator.solid`."""
        check_foreground([view])
        knows = knows_camera or elevation is not None
        found = find_nearest(self.library, view.rgba, view.camera, self.config, knows)
        return Solid(found.gaussians, found.camera, found.facts)

    def solids(
        self, views: Sequence[View], knows_camera: Sequence[bool], elevation: float | None = None
    ) -> list[Solid]:
        """The poses of several pictures."""
        return [self.solid(view, known, elevation) for view, known in zip(views, knows_camera, strict=True)]

    def generate_at(
        self, inputs: Sequence[View], wanted: Sequence[Sequence[Camera]], seeds: Sequence[int]
    ) -> list[list[View]]:
        """Views at the `wanted` absolute cameras, at this generator's size."""
        check_foreground(inputs)
        views = []
        for photo, cameras, seed in zip(inputs, wanted, seeds, strict=True):
            answer = find_nearest(self.library, photo.rgba, photo.camera, self.config)
            targets = [self.own_camera(camera) for camera in cameras]
            facts = ViewFacts(generator=self.name, seed=seed, details=answer.facts)
            images = render_pictures(answer.gaussians, targets)
            views.append([View(rgba, camera, facts) for rgba, camera in zip(images, targets, strict=True)])
        return views


def make(making: Making) -> tuple[dict, dict]:
    """Nothing is trained; the library is named, and judged on held frames. See `protocol.Recipe`."""
    root = require_files(making.library or "", FILES, "the nearest generator", HINT)
    weights = hash_files(root, FILES[:1])
    generator = NearestGenerator(Library.read(root), VIEW_SETS["sixty"], NearestConfig(), weights)
    return {"library": relative_path(root, making.out), "weights": weights}, making.judge(generator)


def load(asked: Asked) -> NearestGenerator:
    """The generator whose folder names its library; see `protocol.Recipe`.

    Raises:
        MissingWeights: the library is not there.
    """
    root = require_files(asked.root / asked.document["library"], FILES, "the nearest generator", HINT)
    return NearestGenerator(Library.read(root), asked.views, asked.nearest, hash_files(root, FILES[:1]))
