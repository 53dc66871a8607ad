"""Photos for training the generator: the real views of train frames, read from capture chunks and splits.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mousefacelift.chunks import read_index
from mousefacelift.core.cameras import canonical_fxfycxcy
from mousefacelift.core.files import readable
from mousefacelift.core.records import ItemRow
from mousefacelift.core.samples import Sample, View, read_sample, seen_views
from mousefacelift.core.splits import Splits
from mousefacelift.core.spread import spread
from mousefacelift.errors import DataError

CACHE_BYTES = 2 << 30


@dataclass(frozen=True)
class FrameItem:
    """One frame of a recording and where its sample lies."""

    recording: str
    frame: int
    folder: Path


def list_frames(indexes: Sequence[str | Path]) -> list[FrameItem]:
    """Every frame of capture chunks, in order of recording and frame."""
    items = []
    for path in indexes:
        document = read_index(path)
        with readable(path, "chunk index"):
            recording = document["header"]["recording"]
        for row in document["items"]:
            facts = ItemRow.from_row(row, str(path))
            if facts.has_sample:
                items.append(FrameItem(recording, facts.frame or 0, Path(path).parent / row["name"]))
    return sorted(items, key=lambda item: (item.recording, item.frame))


def choose_frames(items: Sequence[FrameItem], splits: Splits, split: str, at_most: int) -> list[FrameItem]:
    """The frames of a split, evenly thinned to `at_most`.

    Raises:
        DataError: the split has none.
    """
    chosen = [item for item in items if splits.of(item.recording, item.frame) == split]
    if not chosen:
        raise DataError(
            f"no frame of split '{split}' among the capture chunks",
            got=f"{len(items)} frames",
            likely="splits.json of other recordings",
            hint="mousefacelift dataset split",
        )
    keep = spread(len(chosen), at_most)
    return [chosen[i] for i in keep]


def usable_views(sample: Sample, held_out_camera: int | str | None) -> list[View]:
    """The views of a real sample without the held-out camera.

    Raises:
        DataError: fewer than two cameras remain; nothing can be learnt about angles, and no hull carved.
    """
    where = f"{sample.facts.recording} frame {sample.facts.frame}"
    views = [sample.views[i] for i in seen_views([view.facts for view in sample.views], held_out_camera, where)]
    if len(views) < 2:
        raise DataError(
            "the distil stage needs a rig with two cameras or more",
            got=f"{len(views)} usable view(s)",
            expected="2 or more",
            likely="a single-camera recording, or all others dropped",
        )
    return views


class FrameStore:
    """Views of frames on demand, kept in memory while they fit into CACHE_BYTES."""

    def __init__(self, items: Sequence[FrameItem], held_out_camera: int | str | None) -> None:
        self.items, self.held_out_camera = list(items), held_out_camera
        self._kept: dict[int, list[View]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.items)

    def views(self, index: int) -> list[View]:
        """The usable views of frame number `index` of the store."""
        if index in self._kept:
            return self._kept[index]
        views = usable_views(read_sample(self.items[index].folder), self.held_out_camera)
        size = sum(view.rgba.nbytes for view in views)
        if self._bytes + size <= CACHE_BYTES:
            self._kept[index], self._bytes = views, self._bytes + size
        return views


def photo_area(store: FrameStore, frames: int = 30) -> float:
    """Median share of the image that the animal covers in the photos, seen through canonical intrinsics.

    A picture of unknown scale is shown to the generator at this size, the one that it knows.
    """
    shares = []
    for index in spread(len(store), frames):
        for view in store.views(int(index)):
            size = view.rgba.shape[1]
            shares.append(
                float(view.rgba[..., 3].mean()) * (canonical_fxfycxcy(size)[0] / view.camera.fxfycxcy[0]) ** 2
            )
    return float(np.median(shares))


def fit_focal(store: FrameStore, frames: int = 30, quantile: float = 0.98, margin: float = 1.05) -> float:
    """Focal length in image widths at which the animal fills the image in all but the widest photos.

    The half width that holds the foreground about the principal point is measured as a tangent, so photos of different
    intrinsics count alike.
    """
    reach = []
    for index in spread(len(store), frames):
        for view in store.views(int(index)):
            rows, columns = np.nonzero(view.rgba[..., 3] > 0.5)
            if len(rows):
                fx, fy, cx, cy = view.camera.fxfycxcy
                reach.append(max(np.abs(columns + 0.5 - cx).max() / fx, np.abs(rows + 0.5 - cy).max() / fy))
    if not reach:
        raise DataError("no photo of the train split has foreground", likely="masks lost in capture")
    return float(0.5 / (np.quantile(reach, quantile) * margin))
