"""Training samples in memory, drawn by the pipeline's mixture sampler and turned into the loader's tensors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from mousefacelift.dataset.config import ArmConfig, LoaderConfig
from mousefacelift.dataset.loader import distort_inputs, to_tensors
from mousefacelift.dataset.mixture import Draw
from mousefacelift.dataset.selection import background_colour
from mousefacelift.errors import DataError
from mousefacelift.experiment.bed import Bed, Views
from mousefacelift.experiment.camera_errors import tell_cameras
from mousefacelift.experiment.config import MIXTURES, Cell
from mousefacelift.experiment.film import SEEN, evenly

REPLAY_OBJECTS = 0.2  # share of objects that a sequence with replay keeps
TENTH = 0.1  # learning rate of a sequence over that of the others


class Pools:
    """What the mixture sampler needs of a dataset: the samples of every source, numbered through."""

    def __init__(self, sources: Mapping[str, Views]) -> None:
        self.sources = dict(sources)
        ends = np.cumsum([len(views) for views in self.sources.values()]).tolist()
        self.first = dict(zip(self.sources, [0, *ends]))

    def pool(self, source: str, split: str, min_views: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Rows and weights (all 1) of a source; there is only the training split here."""
        views = self.sources.get(source)
        count = 0 if views is None or views.rgba.shape[1] < min_views else len(views)
        return np.arange(count) + self.first.get(source, 0), np.ones(count)

    def view_counts(self, rows: list[int]) -> np.ndarray:
        """Views of samples."""
        return np.array([self._find(row)[0].rgba.shape[1] for row in rows])

    def _find(self, row: int) -> tuple[Views, int]:
        for name, views in self.sources.items():
            if self.first[name] <= row < self.first[name] + len(views):
                return views, row - self.first[name]
        raise DataError("no source has a sample of this row", got=row)

    def sample(self, draw: Draw, config: LoaderConfig, distortion: bool) -> dict:
        """The tensors of one draw, as `dataset.loader.load_sample` gives them, without augmentation."""
        rng = np.random.default_rng(draw.seed)
        views, index = self._find(draw.row)
        count = views.rgba.shape[1]
        order = rng.permutation(count)
        inputs, unseen = order[: draw.inputs], order[draw.inputs : draw.inputs + config.unseen_targets]
        rest = np.setdiff1d(np.arange(count), unseen)
        targets = np.concatenate([unseen, rng.choice(rest, config.targets - len(unseen), replace=False)])
        chosen = np.concatenate([inputs, targets])
        rgba, w2c, lens = (part[index][chosen] for part in (views.rgba, views.w2c, views.fxfycxcy))
        background = background_colour(config.background, rng)
        tensors = to_tensors(rgba, w2c, lens, background, True)
        shown = {"input_image": tensors["image"][: draw.inputs], "input_c2w": tensors["c2w"][: draw.inputs]}
        if distortion:
            shown = distort_inputs(rgba[: draw.inputs], w2c[: draw.inputs], background, config, rng)
        unseen_mask = torch.as_tensor(~np.isin(targets, inputs))
        colour = torch.as_tensor(background, dtype=torch.float32)
        return tensors | shown | {"bg_color": colour, "unseen": unseen_mask, "row": draw.row, "source": draw.source}


def cell_pools(cell: Cell, bed: Bed, objects: Views, size: int) -> Pools:
    """Everything that a cell may draw from.

    The photos are told the cell's cameras. Splat, distilled and scan views keep their exact ones: a cell changes what
    the recording says, and these stand for what another, right source would add.
    """
    photos = bed.photos.select(evenly(len(bed.photos), cell.frames), list(SEEN))
    w2c, lens = told(cell, bed.photos, size)
    chosen = evenly(len(bed.photos), cell.frames)
    photos = Views(photos.rgba, w2c[chosen][:, list(SEEN)], lens[chosen][:, list(SEEN)])
    sources = {"object": objects, "scan": bed.scan, "real": photos, "distilled": bed.distilled, "splat": bed.splat}
    return Pools(sources)


def told(cell: Cell, photos: Views, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The cameras of photos [F, 6] as the cell's recording states them."""
    return tell_cameras(cell.cameras, photos.w2c, photos.fxfycxcy, size, cell.animal)


def cell_arm(data: str) -> tuple[ArmConfig | str, float]:
    """The mixture of a level of `data`, and its learning rate over the usual one.

    Ratios are constant unless they say curriculum: the start has had its objects.
    """
    if data in MIXTURES:
        objects = int(data.split("-")[0]) / 100
        mouse = {"real": 0.5, "distilled": 0.25, "splat": 0.25}
        shares = {"object": objects} | {source: (1 - objects) * part for source, part in mouse.items()}
        return ArmConfig(data, shares, curriculum=False), 1.0
    if data == "sequence-replay":
        shares = {"object": REPLAY_OBJECTS, "real": 1 - REPLAY_OBJECTS}
        return ArmConfig(data, shares, curriculum=False), TENTH
    single = {"objects-only": "object", "scan-only": "scan", "sequence": "real", "real-only-exposure": "real"}
    if data in single:
        return ArmConfig(data, {single[data]: 1.0}, curriculum=False), TENTH if data == "sequence" else 1.0
    return data.removesuffix("-curriculum"), 1.0


def cell_steps(data: str, steps: int) -> int:
    """Steps of a cell: `steps`, or as many as show a real-only run the mice of 80-20 (equal mouse exposure)."""
    return max(1, round(0.2 * steps)) if data == "real-only-exposure" else steps
