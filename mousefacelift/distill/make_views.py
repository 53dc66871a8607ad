"""Accepted views of one chunk of frames: capture chunk, generator and gate.json -> chunk of distilled samples."""

from __future__ import annotations

import json
from pathlib import Path

from mousefacelift.core.cameras import azimuth_elevation
from mousefacelift.distill.config import DistillConfig
from mousefacelift.distill.dedupe import check_tolerance
from mousefacelift.distill.gate import Thresholds
from mousefacelift.distill.generators.protocol import require_files
from mousefacelift.distill.load_generator import load_generator
from mousefacelift.distill.view_sets import ViewSet, wanted_views
from mousefacelift.errors import GateFailure

GATE_HINT = "mousefacelift distill gate --frames INDEX.json ... --splits SPLITS.json --out GATE.json"


def check_views(views: ViewSet, tolerance: float) -> None:
    """Refuse a tolerance that would merge views of one call."""
    from mousefacelift.core.cameras import canonical_fxfycxcy, orbit

    cameras = views.cameras(orbit(0, 15, 2.7, canonical_fxfycxcy(8), 8, 8), 8)
    angles = [azimuth_elevation(camera) for camera in cameras]
    check_tolerance(tolerance, [a[0] for a in angles], [a[1] for a in angles], f"view set '{views.name}'")


def distill_views(frames: Path, folder: Path, gate: Path, out: Path, config: DistillConfig, seed: int) -> dict:
    """Distil one capture chunk; returns the summary of candidates.json.

    Args:
        folder: of the generator, what `distill train` wrote.
        gate: thresholds that `distill gate` learnt.
    Raises:
        GateFailure: more views refused than `gate.max_quarantine` allows; everything is written all the same.
    """
    from mousefacelift.distill.selfdistill import Distiller, distill_chunk

    root = require_files(gate.parent, (gate.name,), "the gate", GATE_HINT)
    learnt = json.loads((root / gate.name).read_text())
    wanted = wanted_views(config.views.view_set, config.views.azimuths, config.views.elevation)
    generator = load_generator(folder, config.generator, wanted, config.nearest)
    check_views(generator.view_set, config.views.dedupe.tolerance)
    distiller = Distiller(
        generator, Thresholds(learnt["values"], learnt["facts"]), config, seed, learnt["held_out_camera"]
    )
    distill_chunk(frames, out, distiller)
    summary = json.loads((out.parent / "candidates.json").read_text())["summary"]
    refused = summary["status"].get("refused", 0) / max(1, summary["candidates"])
    if refused > config.gate.max_quarantine:
        raise GateFailure(
            f"the gate refused {refused:.0%} of the generated views of {out.parent.name}",
            expected=f"at most {config.gate.max_quarantine:.0%}",
            where=str(out.parent / "candidates.json"),
            likely="a generator trained too little, or on another animal",
            hint="train longer",
        )
    return summary
