"""What a reconstruction leaves on disk: the splat, its turntable, a sheet of pictures, and what it was made from."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mousefacelift.core.files import json_text, write_text
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.images import composite, contact_sheet, resize_rgba, write_png
from mousefacelift.core.render import render_pictures
from mousefacelift.core.samples import Sample, write_sample
from mousefacelift.core.splat_files import FORMATS, write_spz
from mousefacelift.core.turntable import turntable, turntable_cameras
from mousefacelift.core.video import write_mp4
from mousefacelift.errors import DataError
from mousefacelift.lrm.filters import FILTERS, rows_to_keep
from mousefacelift.lrm.infer import predict_gaussians, stack_views


@dataclass(frozen=True)
class WriteOptions:
    """What to write: post filter by name, file formats, turntable frames, size in pixels, and elevation in degrees."""

    filter: str = "body"
    layout: str = "inria"
    spz: bool = False
    turntable_frames: int = 90
    turntable_size: int = 256
    turntable_elevation: float = 15.0
    fps: float = 30.0


def reconstruct_views(model: nn.Module, size: int, sample: Sample, out: Path, options: WriteOptions) -> Path:
    """Reconstruct the posed views of one sample by GS-LRM and write everything into `out`.

    Args:
        size: pixels at which the model reads its inputs.
    Raises:
        DataError: images that the model cannot take, or nothing left after the filter.
    """
    started = time.perf_counter()
    image, c2w, fxfycxcy = stack_views(sample.views, size)
    gaussians = predict_gaussians(model, image[None], c2w[None], fxfycxcy[None]).map(
        lambda tensor: tensor[0].float().cpu()
    )
    facts = {"seconds": round(time.perf_counter() - started, 3)}
    return write_reconstruction(out, gaussians, sample, size, options, facts)


def write_reconstruction(
    out: Path, gaussians: Gaussians, sample: Sample, size: int, options: WriteOptions, facts: dict
) -> Path:
    """Filter Gaussians [N] and write splat, turntable, sheet, views and reconstruction.json into `out`.

    Args:
        sample: the views that the Gaussians were made from, in their world.
        size: pixels of a picture in the sheet. facts: more for reconstruction.json.
    Raises:
        DataError: nothing is left after the filter.
    """
    eyes = torch.from_numpy(np.stack([camera.center for camera in sample.cameras])).float()
    keep = rows_to_keep(gaussians, FILTERS[options.filter], eyes)
    if not keep.any():
        raise DataError(
            f"reconstruction {out.name} is empty",
            got=f"0 of {len(keep)} Gaussians pass filter '{options.filter}'",
            likely="an untrained or collapsed model, or cameras in another unit",
            hint="--filter none shows all",
        )
    kept = gaussians.select(keep)
    out.mkdir(parents=True, exist_ok=True)
    write_sample(out / "views", replace(sample, facts=replace(sample.facts, source="input")))
    FORMATS[options.layout].write(out / "gaussians.ply", kept)
    if options.spz:
        write_spz(out / "gaussians.spz", kept)
    if options.turntable_frames:
        pictures = turntable(kept, options.turntable_frames, options.turntable_size, options.turntable_elevation)
        write_mp4(out / "turntable.mp4", pictures, options.fps)
    write_sheet(out / "sheet.png", sample, kept, size)
    document = {
        "gaussians": int(keep.sum()),
        "before_filter": len(keep),
        "filter": options.filter,
        "views": len(sample.views),
        **facts,
        "input": sample.facts.to_json(),
    }
    write_text(out / "reconstruction.json", json_text(document, indent=1, default=str))
    return out


def write_sheet(path: Path, sample: Sample, gaussians: Gaussians, size: int) -> None:
    """Picture: the input views, the splat from the same cameras, and from as many new ones."""
    shown = list(sample.views)[:8]
    cameras = [view.camera.scaled_to(size, size) for view in shown]
    columns = max(len(shown), 3)
    between = turntable_cameras(columns if len(shown) >= columns else 2 * columns - 2 * len(shown), size, 30.0)
    rows = [resize_rgba(view.rgba, size, size) for view in shown]
    rows += [*render_pictures(gaussians, cameras), *render_pictures(gaussians, between)]
    write_png(path, contact_sheet([composite(rgba) for rgba in rows], columns))
