"""Everything that can answer a picture with Gaussians: the single-picture model, and the rungs it must stand above.

model      what `mousefacelift reconstruct` does with a picture
nearest    the filmed pose that explains the picture best, by render-and-compare
others     GS-LRM from true other views of the same moment: what is possible with more cameras
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mousefacelift.core.cameras import Camera, angle_between
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.samples import View
from mousefacelift.distill.config import NearestConfig
from mousefacelift.distill.generators.protocol import Generator, SolidGenerator, change_camera
from mousefacelift.distill.nearest.find import find_nearest
from mousefacelift.distill.nearest.library import Library
from mousefacelift.lrm.filters import FILTERS, rows_to_keep
from mousefacelift.lrm.infer import predict_gaussians, stack_views
from mousefacelift.lrm.model import GSLRM
from mousefacelift.reconstruct.pictures import frame_picture

ASSUMED_ELEVATION = 15.0  # degrees, of a picture whose camera nobody knows
OTHERS = 4  # true views that the upper bound is given


@dataclass(frozen=True)
class Answer:
    """Gaussians for a picture.

    Args:
        gaussians: [N], in the world of `camera`. camera: the picture's own, or the method's estimate of it.
        facts: JSON-able, of the method.
    """

    gaussians: Gaussians
    camera: Camera
    facts: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Reconstructor:
    """GS-LRM, and the image size that it reads."""

    network: GSLRM
    size: int

    def answer(self, views: Sequence[View]) -> Gaussians:
        """Gaussians of posed views, filtered as `reconstruct` filters them."""
        image, c2w, fxfycxcy = stack_views(views, self.size)
        gaussians = predict_gaussians(self.network, image[None], c2w[None], fxfycxcy[None])
        gaussians = gaussians.map(lambda tensor: tensor[0].float().cpu())
        return gaussians.select(rows_to_keep(gaussians, FILTERS["body"]))


@dataclass(frozen=True)
class GeneratedViews:
    """Picture -> multi-view generator -> GS-LRM. Without a camera the picture is framed at azimuth 0."""

    generator: Generator
    reconstructor: Reconstructor
    area: float  # share of the image at which the generator knows the animal

    def answers(self, pictures: Sequence[View], knows_camera: Sequence[bool], seed: int) -> list[Answer]:
        """Gaussians of every picture."""
        return [self._answer(picture, known, seed) for picture, known in zip(pictures, knows_camera, strict=True)]

    def _answer(self, picture: View, knows_camera: bool, seed: int) -> Answer:
        shown = picture if knows_camera else frame_picture(picture.rgba, 512, ASSUMED_ELEVATION, "", self.area)
        painted = self.generator.generate([shown], [seed])[0]
        others = [view for view in painted if angle_between(view.camera, shown.camera) > 5.0]
        lens = shown.camera.scaled_to(self.reconstructor.size, self.reconstructor.size)
        views = [_through(view, lens) for view in (shown, *others)]
        return Answer(self.reconstructor.answer(views), shown.camera, {"views": len(views)})


@dataclass(frozen=True)
class SolidModel:
    """Picture -> the generator's own body of it; no reconstructor is needed."""

    generator: SolidGenerator
    area: float

    def answers(self, pictures: Sequence[View], knows_camera: Sequence[bool], seed: int) -> list[Answer]:
        """Gaussians of every picture; the seed changes nothing."""
        shown = [
            picture if known else frame_picture(picture.rgba, 512, ASSUMED_ELEVATION, "", self.area)
            for picture, known in zip(pictures, knows_camera, strict=True)
        ]
        solids = self.generator.solids(shown, knows_camera)
        return [Answer(solid.gaussians, solid.camera, solid.facts) for solid in solids]


def _through(view: View, lens: Camera) -> View:
    """The view through the intrinsics and size of `lens`."""
    camera = replace(lens, w2c=view.camera.w2c)
    return View(change_camera(view.rgba, view.camera, camera), camera)


@dataclass(frozen=True)
class NearestPoses:
    """The nearest filmed pose."""

    library: Library
    config: NearestConfig
    area: float

    def answer(self, picture: View, knows_camera: bool, seed: int) -> Answer:
        """Gaussians of one picture; the seed changes nothing."""
        shown = picture if knows_camera else frame_picture(picture.rgba, 128, ASSUMED_ELEVATION, "", self.area)
        found = find_nearest(self.library, shown.rgba, shown.camera, self.config, knows_camera)
        return Answer(found.gaussians, found.camera, found.facts)


def spread_views(views: Sequence[View], count: int) -> list[View]:
    """`count` of the views, each as far in angle from those before it as can be."""
    chosen = [views[0]]
    while len(chosen) < min(count, len(views)):
        rest = [view for view in views if all(view is not other for other in chosen)]
        gaps = [min(angle_between(view.camera, other.camera) for other in chosen) for view in rest]
        chosen.append(rest[int(np.argmax(gaps))])
    return chosen
