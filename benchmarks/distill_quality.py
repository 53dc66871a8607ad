"""Judge generated views of a virtual recording by its truth: kept, refused and all of them, beside two baselines.

    python benchmarks/distill_quality.py --recording results/recordings/mouse1 --generator results/distill/generator \\
        --splits results/dataset/splits.json --frames results/capture/mouse1/samples/*/index.json

At every camera that the generator painted: the view itself, the nearest photo (not moved), and the render of Gaussians
fitted to the same photos; foreground PSNR and IoU against the truth painted at that camera, inside share of the hull of
the photos.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from mousefacelift.core.cameras import Camera, angle_between
from mousefacelift.core.samples import Sample, View, read_sample
from mousefacelift.core.similarity import Similarity
from mousefacelift.distill.config import DistillConfig
from mousefacelift.distill.gate import FrameJudge, Thresholds
from mousefacelift.distill.generators.protocol import change_camera
from mousefacelift.distill.load_generator import load_generator
from mousefacelift.distill.photos import Splits, choose_frames, list_frames, usable_views
from mousefacelift.distill.selfdistill import Candidate, Distiller
from mousefacelift.distill.validate import score
from mousefacelift.distill.view_sets import VIEW_SETS
from mousefacelift.splats.config import FitConfig, OptimiseConfig
from mousefacelift.splats.fit import fit_frame
from mousefacelift.splats.frames import frame_views
from mousefacelift.splats.score import render_views
from mousefacelift.virtual.truth import render_truth

METHODS = ("generated", "copy of the nearest photo", "splat render")


def true_view(recording: Path, sample: Sample, frame: int, camera: Camera) -> np.ndarray:
    """The truth at a canonical camera: the camera goes back to the rig's millimetres."""
    stored = sample.facts.details["similarity"]
    similarity = Similarity(stored["scale"], np.array(stored["rotation"]), np.array(stored["translation"]))
    return render_truth(recording, frame, similarity.inverse().apply_camera(camera))


def splat_of(sample: Sample, photos: list[View], steps: int):
    """Gaussians fitted to the photos that the generator may see."""
    frame = frame_views("frame", replace(sample, views=tuple(photos)))
    return fit_frame(frame, FitConfig(optimise=OptimiseConfig(steps=steps)), 0).gaussians


def judge_frame(distiller: Distiller, item, recording: Path, steps: int) -> list[dict]:
    """One row per generated view: its split-independent verdict and the scores of the three methods at its camera."""
    sample = read_sample(item.folder)
    photos = usable_views(sample, distiller.held_out_camera)
    with tempfile.TemporaryDirectory() as cache:
        candidates: list[Candidate] = distiller.candidates(item, photos, Path(cache))
    distiller.judge(candidates, photos)
    hull = FrameJudge(photos, distiller.config.gate)
    gaussians = splat_of(sample, photos, steps)
    rows = []
    for candidate in candidates:
        camera = candidate.view.camera
        truth = true_view(recording, sample, item.frame, camera)
        nearest = min(photos, key=lambda photo: angle_between(photo.camera, camera))
        same = replace(nearest.camera, fxfycxcy=camera.fxfycxcy, width=camera.width, height=camera.height)
        pictures = (
            candidate.view.rgba,
            change_camera(nearest.rgba, nearest.camera, same),
            render_views(gaussians, [camera])[0][0],
        )
        rows.append(
            {"status": candidate.row["status"]}
            | {
                method: (*score(rgba, truth), hull.scores(View(rgba, camera))["inside_share"])
                for method, rgba in zip(METHODS, pictures, strict=True)
            }
        )
    return rows


def summarise(rows: list[dict]) -> dict:
    """Means of (foreground PSNR in dB, IoU, inside share) per method over kept, refused and all generated views."""
    groups = {"kept": ("accepted", "duplicate"), "accepted (one per angle)": ("accepted",), "refused": ("refused",)}
    chosen = {name: [r for r in rows if r["status"] in states] for name, states in groups.items()} | {
        "random (all)": rows
    }
    return {
        name: {"n": len(part)} | {m: np.round(np.mean([r[m] for r in part], 0), 3).tolist() for m in METHODS}
        for name, part in chosen.items()
        if part
    }


def main() -> None:
    """Print the table as JSON, for train frames and for the others."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recording", type=Path, required=True, help="folder of the virtual recording, with truth/")
    parser.add_argument("--frames", nargs="+", type=Path, required=True)
    parser.add_argument("--splits", type=Path, required=True)
    parser.add_argument("--generator", type=Path, required=True)
    parser.add_argument("--gate", type=Path, help="gate.json; default: beside the generator's folder")
    parser.add_argument("--at-most", type=int, default=6, help="frames of each split")
    parser.add_argument("--steps", type=int, default=150, help="of the splat fits")
    args = parser.parse_args()
    config, splits = DistillConfig(), Splits.read(args.splits)
    learnt = json.loads((args.gate or args.generator.parent / "gate.json").read_text())
    distiller = Distiller(
        load_generator(args.generator, config.generator, VIEW_SETS[config.views.view_set]),
        Thresholds(learnt["values"], learnt["facts"]),
        config,
        0,
        learnt["held_out_camera"],
    )
    items = list_frames(args.frames)
    table = {}
    for split in ("train", "val"):
        rows = [
            row
            for item in choose_frames(items, splits, split, args.at_most)
            for row in judge_frame(distiller, item, args.recording, args.steps)
        ]
        table[split] = summarise(rows)
    print(
        json.dumps(
            {
                "methods": "foreground PSNR dB, IoU, inside share",
                "gate": asdict(distiller.thresholds)["values"],
                **table,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
