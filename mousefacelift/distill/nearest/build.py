"""The library of a recording: the rings of its train frames, and where their splats are.

mousefacelift distill library --rings results/splats/mouse1/ring/*/index.json --splits results/dataset/splits.json
    --out results/distill/library
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mousefacelift.chunks import read_index
from mousefacelift.core.cameras import azimuth_elevation
from mousefacelift.core.records import ItemRow
from mousefacelift.core.samples import read_document, read_sample, sample_facts
from mousefacelift.core.splits import Splits
from mousefacelift.distill.nearest.library import Library, Pose, build_library
from mousefacelift.errors import DataError

SPLAT = "splat.npz"


def library_of_rings(rings: Sequence[Path], splits_path: Path, out: Path) -> Library:
    """Build the library of the train frames among ring chunks and write it to `out`.

    A chunk's header names the folder of its fits, from its own; a chunk without one keeps each splat beside its views.
    Frames of other splits are left out: what is judged must not be found.

    Raises:
        DataError: fewer than two train frames with a splat.
    """
    splits, poses, folders = Splits.read(splits_path), [], []
    for index in rings:
        document = read_index(index)
        fits = Path(index).parent / document["header"].get("fits", "")
        for row in document["items"]:
            folder = Path(index).parent / row["name"]
            if not ItemRow.from_row(row, str(index)).has_sample:
                continue
            facts = sample_facts(read_document(folder), folder)
            if splits.of(facts.recording, facts.frame) == "train":
                poses.append(Pose(str((fits / row["name"] / SPLAT).resolve()), facts.recording, facts.frame))
                folders.append(folder)
    if not folders:
        raise DataError("no ring shows a train frame", got=f"{len(rings)} chunks", hint="mousefacelift splats ring")
    size = read_sample(folders[0], [0]).views[0].rgba.shape[0]
    library = build_library(_views(folders), poses, Path("/"), size)
    library.write(out)
    return library


def _views(folders: Sequence[Path]) -> Iterator[tuple[int, np.ndarray, float, float]]:
    for number, folder in enumerate(folders):
        for view in read_sample(folder).views:
            azimuth, elevation, _ = azimuth_elevation(view.camera)
            yield number, view.rgba, azimuth, elevation
