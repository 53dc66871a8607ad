"""Fitted splats for other programs: PLY or SPZ per frame (a time sequence), and a turntable film."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mousefacelift.chunks import read_index
from mousefacelift.core.cameras import RING_ELEVATION
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.splat_files import FORMATS
from mousefacelift.core.turntable import fitting_zoom, picture, turntable_cameras
from mousefacelift.core.video import write_mp4
from mousefacelift.errors import DataError
from mousefacelift.splats.scene import SPLAT


def fitted_folders(indexes: Sequence[Path]) -> list[Path]:
    """Item folders of all frames with a splat, in frame order."""
    folders = [
        Path(index).parent / item["name"]
        for index in indexes
        for item in read_index(index)["items"]
        if not item.get("failed")
    ]
    if not folders:
        raise DataError("no fitted splat to export", where=", ".join(map(str, indexes)))
    return sorted(folders, key=lambda folder: folder.name)


def export_sequence(indexes: Sequence[Path], out: Path, name: str) -> list[Path]:
    """One file per frame, named by frame, in `out`; `name` is one of `core.splat_files.FORMATS`."""
    form = FORMATS[name]
    return [form.write(out / f"{f.name}.{form.suffix}", Gaussians.read(f / SPLAT)) for f in fitted_folders(indexes)]


def export_film(indexes: Sequence[Path], out: Path, size: int, fps: float, turn_s: float = 6.0) -> Path:
    """The recording's splats played in time while the camera goes once around every `turn_s` seconds."""
    folders = fitted_folders(indexes)  # read twice and one at a time: thousands of splats do not fit in memory
    zoom = min(fitting_zoom(Gaussians.read(folder / SPLAT), RING_ELEVATION) for folder in folders)
    around = turntable_cameras(max(1, round(turn_s * fps)), size, RING_ELEVATION, zoom)
    pictures = (
        picture(Gaussians.read(folder / SPLAT), around[index % len(around)]) for index, folder in enumerate(folders)
    )
    write_mp4(out, pictures, fps)
    return out
