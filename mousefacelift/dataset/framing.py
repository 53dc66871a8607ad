"""Whether objects and animal are framed alike: from how far, how wide and how large they are seen, by source.

Part of the dataset stage; the manifest's header and the report say it. What a reconstructor learns from objects is
worth less for an animal that it sees ten times as small.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mousefacelift.core.images import read_rgba
from mousefacelift.dataset.view_table import ViewTable

UNLIKE = 2.0  # times that what is measured may differ between objects and photos unsaid
LOOKED_AT = 24  # pictures of a source that are opened, spread evenly over its views


def measure_framing(views: ViewTable, own: np.ndarray, samples: pd.DataFrame, out: Path) -> dict[str, float]:
    """How a source's views show their subject.

    Args:
        own: rows of its own views. samples: their samples, `folder` relative to `out`.
    Returns:
        Medians: distance (units), field of view (degrees), and span: the longer side of the subject's bounds as a
        share of the picture's width.
    """
    lens = views.columns(["width", "fx"], own)
    angle = np.degrees(2 * np.arctan(lens["width"] / (2 * lens["fx"])))
    chosen = own[np.unique(np.linspace(0, len(own) - 1, LOOKED_AT).round().astype(int))]
    folders = samples["folder"].reindex(views.sample[chosen])
    files = views.words("file")[views.columns(["file"], chosen)["file"]]
    spans = [span_of(read_rgba(out / folder / file)[..., 3] > 0.5) for folder, file in zip(folders, files)]
    return {
        "distance": float(np.median(views.columns(["distance"], own)["distance"])),
        "field_of_view_deg": float(np.median(angle)),
        "span": round(float(np.median(spans)), 4),
    }


def span_of(mask: np.ndarray) -> float:
    """Longer side of the bounds of a mask [H, W], in widths of the picture; 0 for an empty one."""
    sides = [np.flatnonzero(mask.any(axis=axis)) for axis in (0, 1)]
    return max((int(side[-1] - side[0]) + 1 for side in sides if len(side)), default=0) / mask.shape[1]


def say_framing(sources: dict[str, dict]) -> str:
    """That objects are seen from elsewhere, wider or larger than the animal; "" where they are not or one of them is
    missing."""
    real, objects = sources.get("real"), sources.get("object")
    if not real or not objects:
        return ""
    pairs = [(real[key], objects[key]) for key in ("distance", "field_of_view_deg", "span")]
    if all(min(pair) > 0 and 1 / UNLIKE < pair[0] / pair[1] < UNLIKE for pair in pairs):
        return ""
    told = [
        f"{row['distance']:.1f} units, {row['field_of_view_deg']:.0f} degrees of view, {row['span']:.0%} of the width"
        for row in (real, objects)
    ]
    return (
        f"objects and animal are not framed alike: photos show the animal from {told[0]}; objects are seen from "
        f"{told[1]}; what is learnt from objects carries over less (objects.views.distance)"
    )
