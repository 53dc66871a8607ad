"""Fitted splats for other programs: PLY or SPZ per frame (a time sequence), and a turntable film."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mousefacelift.chunks import read_index
from mousefacelift.core.cameras import CANONICAL_DISTANCE, RING_ELEVATION, canonical_fxfycxcy, orbit
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.images import composite
from mousefacelift.core.ply import write_ply, write_spz
from mousefacelift.core.video import write_mp4
from mousefacelift.errors import DataError
from mousefacelift.splats.chunk import read_fit
from mousefacelift.splats.score import render_views

FORMATS = ("facelift", "inria", "spz", "mp4")


def fitted_folders(indexes: Sequence[Path]) -> list[Path]:
    """Item folders of all frames with a splat, in frame order."""
    folders = [Path(index).parent / item["name"] for index in indexes for item in read_index(index)["items"] if not item.get("failed")]
    if not folders:
        raise DataError("no fitted splat to export", where=", ".join(map(str, indexes)))
    return sorted(folders, key=lambda folder: folder.name)


def export_sequence(indexes: Sequence[Path], out: Path, layout: str) -> list[Path]:
    """One file per frame, named by frame, in `out`."""
    suffix = "spz" if layout == "spz" else "ply"
    written = []
    for folder in fitted_folders(indexes):
        gaussians = read_fit(folder)[0]
        path = out / f"{folder.name}.{suffix}"
        written.append(write_spz(path, gaussians) if layout == "spz" else write_ply(path, gaussians, layout))
    return written


def turntable(gaussians: Gaussians, size: int, frames: int, elevation: float = RING_ELEVATION) -> Iterator[np.ndarray]:
    """rgb uint8 [size, size, 3] pictures around the vertical axis, over white."""
    for index in range(frames):
        camera = orbit(360.0 * index / frames, elevation, CANONICAL_DISTANCE, canonical_fxfycxcy(size), size, size)
        yield _over_white(render_views(gaussians, [camera])[0][0])


def export_film(indexes: Sequence[Path], out: Path, size: int, fps: float, turn_s: float = 6.0) -> Path:
    """The recording's splats played in time while the camera goes once around every `turn_s` seconds."""
    folders = fitted_folders(indexes)

    def pictures() -> Iterator[np.ndarray]:
        for index, folder in enumerate(folders):
            azimuth = 360.0 * index / (turn_s * fps)
            camera = orbit(azimuth, RING_ELEVATION, CANONICAL_DISTANCE, canonical_fxfycxcy(size), size, size)
            yield _over_white(render_views(read_fit(folder)[0], [camera])[0][0])

    write_mp4(out, pictures(), fps)
    return out


def _over_white(rgba: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(composite(rgba), 0, 1) * 255).astype(np.uint8)
