"""Trust of a recording: reads some of its samples, writes trust.json."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mousefacelift.chunks import read_index
from mousefacelift.core.files import json_text, read_json, readable, write_text
from mousefacelift.core.samples import read_sample, seen_views
from mousefacelift.errors import DataError
from mousefacelift.splats.config import SplatsConfig
from mousefacelift.splats.frames import frame_views
from mousefacelift.splats.trust import Trust, calibrate, held_out_rows


def calibrate_recording(
    captures: Sequence[Path],
    out: Path,
    config: SplatsConfig,
    seed: int,
    held_out: int | str | None = None,
    device: str = "cpu",
) -> dict:
    """Refit `config.trust.frames` frames spread over the recording and write the calibration with its evidence.

    Raises:
        DataError: the chunks hold no frame, or every fit failed.
    """
    items = [(index, item["name"]) for index in captures for item in read_index(index)["items"]]
    if not items:
        raise DataError("no frame to calibrate trust on", where=", ".join(map(str, captures)))
    rows = []
    for position in spread(len(items), config.trust.frames):
        rows += _first_rows(items[position:] + items[:position], config, seed, held_out, device)
    trust = calibrate(rows, config.trust.outlier)
    single = [row for row in rows if row["left_out"] == 1]
    names = ("psnr", "psnr_black", "iou", "error", "outside", "hull_psnr", "hull_iou")
    means = {name: float(np.mean([row[name] for row in single])) for name in names} if single else {}
    document = {"trust": trust.to_dict(), "left_out_one": means, "rows": rows}
    write_text(out, json_text(document, indent=1))
    return document


def _first_rows(
    items: Sequence[tuple[Path, str]], config: SplatsConfig, seed: int, held_out: int | str | None, device: str
) -> list[dict]:
    """The rows of the first of `items` that can be fitted; one broken frame must not cost the recording its
    calibration."""
    refused = []
    for index, name in items:
        try:
            sample = read_sample(Path(index).parent / name)
            views = seen_views([view.facts for view in sample.views], held_out, name)
            frame = frame_views(name, sample, config.fit.size, views)
            return held_out_rows(frame, config.fit, config.trust.pairs, seed, device, config.method)
        except DataError as error:
            refused.append(error)
    raise refused[0]


def spread(total: int, wanted: int) -> list[int]:
    """Up to `wanted` positions spread evenly over range(total), ends avoided when there are enough."""
    return sorted({int((k + 0.5) * total / min(wanted, total)) for k in range(min(wanted, total))})


def read_trust(path: Path) -> Trust:
    """The calibration of trust.json."""
    document = read_json(path, {"trust": dict}, "trust")
    with readable(path, "trust"):
        return Trust.from_dict(document["trust"])
