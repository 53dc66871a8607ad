"""Predictions of protocol S on disk, read one at a time.

`single predict` writes one chunk folder per test bed:

    results/predict_single/{bed}/index.json
      header: {bed, size, weights, others}       bed "frames" (the filmed animal at new times), "animals" or "mammal"
      items:  one per picture, folder `name` beside the index:
        subject, frame       recording or animal, and its time order
        camera               rig camera of the picture (-1: none), knows_camera: whether the methods were told it
        sample, picture      sample folder (from the index's folder), and the view in it that was shown
        targets, cameras, held_out     views that judge, their rig cameras, and whether training never sees them
        truth                truth.npz of a virtual animal, or null
        methods              {name: {camera, gaussians, seconds, ...}}; the Gaussians are {name}.npz in the item's
                             folder, in the sample's world, or that of `camera` where it was not told
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mousefacelift.check.solid import Truth, read_truth
from mousefacelift.chunks import read_index
from mousefacelift.core.cameras import Camera
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.images import resize_rgba
from mousefacelift.core.samples import View, read_sample
from mousefacelift.errors import DataError


@dataclass(frozen=True)
class SingleItem:
    """One picture and what was made of it.

    Args:
        row: its row of the index. picture, targets: views at the size of the predictions.
        splats: Gaussians of each method, read when asked for. truth: of a virtual animal.
    """

    row: dict
    folder: Path
    picture: View
    targets: tuple[View, ...]
    truth: Truth | None

    def gaussians(self, method: str) -> Gaussians:
        """The Gaussians of a method."""
        return Gaussians.read(self.folder / f"{method}.npz")

    def camera(self, method: str) -> Camera:
        """The camera of the picture as the method has it."""
        return Camera.from_frame(self.row["methods"][method]["camera"])


def read_items(index: Path, wanted: Callable[[dict], bool] = lambda row: True) -> Iterator[SingleItem]:
    """The pictures of a bed, one after the other; of those whose row of the index is `wanted`.

    Raises:
        DataError: unreadable or empty.
    """
    document, root = read_index(index), Path(index).parent
    if not document["items"]:
        raise DataError(f"predictions {index} are empty", hint="rerun the rule predict_single")
    size = document["header"]["size"]
    for row in filter(wanted, document["items"]):
        sample = read_sample(root / row["sample"], [row["picture"], *row["targets"]])
        views = [resized(view, size) for view in sample.views]
        truth = read_truth(root / row["truth"]) if row["truth"] else None
        yield SingleItem(row, root / row["name"], views[0], tuple(views[1:]), truth)


def resized(view: View, size: int) -> View:
    """The view and its camera at `size` pixels."""
    if view.rgba.shape[0] == size:
        return view
    return replace(view, rgba=resize_rgba(view.rgba, size, size), camera=view.camera.scaled_to(size, size))


def mean_keys(row: dict) -> list[tuple[str, int]]:
    """Key of the mean image of every judging view: recording and rig camera, or the view's place around an animal."""
    if row["truth"] is None:
        return [(row["subject"], camera) for camera in row["cameras"]]
    return [("", view) for view in row["targets"]]
