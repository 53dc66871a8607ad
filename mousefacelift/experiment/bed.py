"""One virtual animal as all cells share it: photos, scan, splat and distilled views, judged frames, the true surface.

    mousefacelift experiment animal --experiment FILE --animal 0 --out results/experiment/bed-KEY/animal0.npz

Photos are what the real six-camera rig would give after normalisation: every camera re-aimed at the animal (an exact
turn about its own centre), the animal at the origin, mean distance 2.7; with the flaws of real ones (noise, exposure,
colours, mask outlines, the wall's reflection). Cameras are exact here; `camera_errors` says how a cell is told them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from io import BytesIO
from pathlib import Path

import numpy as np

from mousefacelift.core.files import write_bytes
from mousefacelift.errors import DataError


@dataclass(frozen=True)
class Views:
    """V views of each of F samples: rgba [F, V, H, W, 4] uint8 straight, w2c [F, V, 4, 4], fxfycxcy [F, V, 4]."""

    rgba: np.ndarray
    w2c: np.ndarray
    fxfycxcy: np.ndarray

    def __len__(self) -> int:
        return len(self.rgba)

    def select(self, frames=slice(None), views=slice(None)) -> Views:
        """Chosen samples, and of them chosen views."""
        return Views(*(getattr(self, f.name)[frames][:, views] for f in fields(self)))


@dataclass(frozen=True)
class Bed:
    """What `film_animal` made. Cameras 0 to 4 may be seen, camera 5 is held out.

    Args:
        photos: [frames, 6]. tests: [test_frames, 6], later. around: [truth_frames, 20] exact views of some of those.
        scan, splat, distilled: of some training frames.
        truth_index: [truth_frames] positions in `tests`. elevations: [20] degrees of the views around.
        points, normals: [truth_frames, P, 3] of the surface that can be seen.
    """

    photos: Views
    tests: Views
    around: Views
    scan: Views
    splat: Views
    distilled: Views
    truth_index: np.ndarray
    elevations: np.ndarray
    points: np.ndarray
    normals: np.ndarray


ARRAYS = ("truth_index", "elevations", "points", "normals")


def write_bed(path: Path, bed: Bed) -> None:
    """One compressed file."""
    content = {name: getattr(bed, name) for name in ARRAYS}
    for name in (f.name for f in fields(Bed) if f.name not in ARRAYS):
        content |= {f"{name}.{key}": value for key, value in vars(getattr(bed, name)).items()}
    stream = BytesIO()
    np.savez_compressed(stream, **content)
    write_bytes(path, stream.getvalue())


def read_bed(path: Path) -> Bed:
    """The animal of a file.

    Raises:
        DataError: the file is missing or not whole.
    """
    try:
        with np.load(path) as content:
            parts = {name: content[name] for name in ARRAYS}
            for name in (f.name for f in fields(Bed) if f.name not in ARRAYS):
                parts[name] = Views(*(content[f"{name}.{f.name}"] for f in fields(Views)))
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{path} holds no animal of an experiment", got=repr(error), hint="rerun it") from error
    return Bed(**parts)


def write_views(path: Path, views: Views) -> None:
    """One compressed file of views alone (the objects)."""
    stream = BytesIO()
    np.savez_compressed(stream, **vars(views))
    write_bytes(path, stream.getvalue())


def read_views(path: Path) -> Views:
    """The views of a file of `write_views`.

    Raises:
        DataError: the file is missing or not whole.
    """
    try:
        with np.load(path) as content:
            return Views(*(content[f.name] for f in fields(Views)))
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{path} holds no objects of an experiment", got=repr(error), hint="rerun it") from error
