"""COLMAP model beside images: cameras.txt (PINHOLE), images.txt, and points3D.txt with points of the visual hull.

COLMAP puts the centre of the first pixel at (0.5, 0.5), as this project does. 3D Gaussian splatting and nerfstudio
begin from the points and stop without any. Provenance has no place there: the reader asks for it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mousefacelift.core.images import read_rgba, write_png
from mousefacelift.core.records import SampleFacts
from mousefacelift.core.samples import Sample, View
from mousefacelift.dataset.formats.hull_points import hull_points
from mousefacelift.dataset.formats.naming import name_view
from mousefacelift.dataset.formats.pinhole import pinhole_of, raw_of
from mousefacelift.errors import DataError
from mousefacelift.formats.colmap import is_model, read_images, write_model
from mousefacelift.formats.entries import natural_key


def write(folder: Path, sample: Sample) -> None:
    """Write `sparse/0/*.txt` and `images/00000.png ...` into `folder`."""
    images = []
    for index, view in enumerate(sample.views):
        name = f"{index:05d}.png"
        write_png(folder / "images" / name, view.rgba)
        images.append((name, raw_of(view.camera, name)))
    points, colors = hull_points(sample)
    write_model(folder / "sparse" / "0", images, points=points, colors=np.rint(255 * colors).astype(np.uint8))


def read(folder: Path, facts: SampleFacts) -> Sample:
    """The sample of a COLMAP model, text or binary, in sparse/0, sparse or the folder itself; `facts` name source,
    asset or recording, and licence.

    Raises:
        DataError: no model, or a camera model with distortion.
    """
    places = [folder / "sparse" / "0", folder / "sparse", folder]
    model = next((place for place in places if is_model(place)), None)
    if model is None:
        raise DataError(f"folder {folder} holds no COLMAP model", expected="sparse/0 with cameras and images")
    views = []
    for image in sorted(read_images(model), key=lambda image: natural_key(image.name)):
        rgba = read_rgba(folder / "images" / image.name)
        camera = pinhole_of(image.camera, f"image {image.name} of {model}", "colmap image_undistorter")
        views.append(name_view(View(rgba, camera), image.name))
    if not views:
        raise DataError(f"model {model} has no images")
    return Sample(tuple(views), facts)
