"""How well fits hold where no camera was: views left out in turn, and in-between views against the truth render.

    python benchmarks/fit_quality.py                     virtual recording of real size (1152x1024), no degradations
    python benchmarks/fit_quality.py --realistic              calibration, masks and pictures as bad as real ones
    python benchmarks/fit_quality.py --sample FOLDER          a recording on disk (cam0.mp4, mask0.mp4, cameras.json)

Makes (or takes) the recording, runs audit, locate and normalise on it, then per frame: fits every set of all views but
one and scores the left-out picture, through its audited camera and with its audited mask, and against `render_truth` in
that camera; fits all views and scores the planned in-between views against `render_truth`. The world is the audited
one: by what it is off from the true one counts as error. Beside each the visual hull of the same masks and cameras with
projected colours. PSNR is over the truth's mask (alpha above one half), on white and on black; `outside` is the share
of rendered alpha outside the dilated silhouette. `--keep FOLDER` keeps recording and samples for the next run.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from capture_truth import REALISTIC  # noqa: E402

from mousefacelift.capture.audit import audit  # noqa: E402
from mousefacelift.capture.config import AuditConfig, CaptureConfig, LocateConfig, RecordingSource  # noqa: E402
from mousefacelift.capture.locate import locate_recording  # noqa: E402
from mousefacelift.capture.normalise import normalise_chunk  # noqa: E402
from mousefacelift.capture.recording import open_recording  # noqa: E402
from mousefacelift.config import load  # noqa: E402
from mousefacelift.core.samples import Sample, read_sample  # noqa: E402
from mousefacelift.core.similarity import Similarity  # noqa: E402
from mousefacelift.splats.config import FitConfig, SplatsConfig  # noqa: E402
from mousefacelift.splats.fit import fit_frames  # noqa: E402
from mousefacelift.splats.frames import FrameViews, frame_views  # noqa: E402
from mousefacelift.splats.novel import plan_views  # noqa: E402
from mousefacelift.splats.score import compare_views, render_views  # noqa: E402
from mousefacelift.splats.start import carve_frame, hull_surface  # noqa: E402
from mousefacelift.virtual.config import NO_DEFECTS, VirtualConfig  # noqa: E402
from mousefacelift.virtual.record import write_recording  # noqa: E402
from mousefacelift.virtual.truth import render_truth  # noqa: E402

FRAMES, FPS = 48, 4.0  # 12 s: walking, turning, sniffing


def make_samples(folder: Path, args) -> Path:
    """Index of the canonical samples, made unless they are there already."""
    index = folder / f"samples{args.size}" / "index.json"
    if index.exists():
        return index
    if args.sample:
        source = RecordingSource(
            path=str(args.sample),
            videos="cam{camera}.mp4",
            masks="mask{camera}.mp4",
            calibration="cameras.json",
            frames=(0, 10**6),
        )
        recording = open_recording("sample", args.sample, source)
    else:
        source = RecordingSource(path=str(folder), frames=(0, FRAMES), variant="undistorted")
        if not (folder / "recording.json").exists():
            made = VirtualConfig(
                width=1152,
                height=1024,
                frames=FRAMES,
                fps=FPS,
                variants="undistorted",
                degradations=REALISTIC if args.realistic else NO_DEFECTS,
            )
            write_recording(folder, args.recording, made, args.seed)
        recording = open_recording(args.recording, folder, source)
    rig = audit(recording, source, AuditConfig())
    rig.write(folder / "rig.json", recording.folder)
    track = locate_recording(rig, source, LocateConfig())
    usable = [int(f) for f in track.frames]
    chosen = [usable[int((k + 0.5) * len(usable) / args.frames)] for k in range(args.frames)]
    normalise_chunk(index, rig, track, chosen, CaptureConfig(size=args.size))
    return index


def left_out_rows(
    frame: FrameViews, config: FitConfig, keep_pictures: dict, truth: np.ndarray | None = None
) -> list[dict]:
    """Scores of the fit and of the hull on every view left out in turn.

    Args:
        truth: [V, H, W, 4] rendered truth in the same cameras; then the rows hold scores against it too (true_...).
    """
    rows = []
    sets = [frame.without([v]) for v in range(len(frame.cameras))]
    fits = [
        fit
        for first in range(0, len(sets), config.batch)
        for fit in fit_frames(sets[first : first + config.batch], config, 0)
    ]
    for view, (rest, fit) in enumerate(zip(sets, fits, strict=True)):
        drawn, _ = render_views(fit.gaussians, [frame.cameras[view]])
        hull, _ = render_views(hull_surface(rest, carve_frame(rest, config.hull)), [frame.cameras[view]])
        photo = frame.rgba[[view]]
        keep_pictures[f"{frame.name}-out{view}"] = np.concatenate([photo[0], drawn[0], hull[0]], 1)
        row = {"frame": frame.name, "view": view, "own_psnr": fit.scores["psnr"], "own_error": fit.scores["error"]}
        row |= _row("fit", compare_views(drawn, photo)) | _row("hull", compare_views(hull, photo))
        if truth is not None:
            row |= _row("true_fit", compare_views(drawn, truth[[view]])) | _row(
                "true_hull", compare_views(hull, truth[[view]])
            )
        rows.append(row)
    return rows


def truth_in(folder: Path, sample: Sample, cameras) -> np.ndarray:
    """The animal of a sample's frame as it truly was, rendered into canonical cameras, [V, H, W, 4].

    Strands of fur are far thinner than these pixels: with 2x2 samples a pixel the truth agrees with an exact photo to
    an IoU of 0.979 only, with 8x8 to 0.997.
    """
    back = Similarity(
        *(sample.facts.details["similarity"][key] for key in ("scale", "rotation", "translation"))
    ).inverse()
    return np.stack(
        [render_truth(folder, sample.facts.frame, back.apply_camera(c), max(4, 2048 // c.width)) for c in cameras]
    )


def novel_rows(
    folder: Path, frame: FrameViews, sample: Sample, config: SplatsConfig, keep_pictures: dict
) -> list[dict]:
    """Scores of the fit of all views, and of the hull, on the planned in-between views against the truth render."""
    novel = replace(config.novel, size=frame.rgba.shape[2])
    planned = plan_views(frame.cameras, novel)
    cameras = [view.camera for view in planned]
    truth = truth_in(folder, sample, cameras)
    fit = fit_frames([frame], config.fit, 0)[0]
    drawn, _ = render_views(fit.gaussians, cameras)
    hull, _ = render_views(hull_surface(frame, carve_frame(frame, config.fit.hull)), cameras)
    a, b = compare_views(drawn, truth), compare_views(hull, truth)
    rows = []
    for i, view in enumerate(planned):
        keep_pictures[f"{frame.name}-{view.kind}{view.relative_azimuth:.0f}"] = np.concatenate(
            [truth[i], drawn[i], hull[i]], 1
        )
        row = {"frame": frame.name, "kind": view.kind, "angle": view.nearest_angle, "own_psnr": fit.scores["psnr"]}
        rows.append(row | _row("fit", a, i) | _row("hull", b, i))
    return rows


def _row(prefix: str, scores: dict, index: int = 0) -> dict:
    return {f"{prefix}_{name}": float(value[index]) for name, value in scores.items()}


def print_table(title: str, rows: list[dict], prefix: str = "") -> None:
    """Means over all rows, and of each frame."""
    if not rows or f"{prefix}fit_psnr" not in rows[0]:
        return
    names = ("psnr", "psnr_black", "iou", "outside")
    columns = [f"{w} {n}" for w in ("fit", "hull") for n in names]
    print(f"\n{title}\n| " + " | ".join(["frame", "views", *columns, "gain white / black dB", "own psnr"]) + " |")
    print("|---" * (len(columns) + 4) + "|")
    for frame in [*sorted({r["frame"] for r in rows}), "all"]:
        some = [r for r in rows if frame in ("all", r["frame"])]
        means = [[float(np.mean([r[f"{prefix}{w}_{n}"] for r in some])) for n in names] for w in ("fit", "hull")]
        cells = [
            f"{v:.2f}" if n.startswith("psnr") else f"{v:.4f}" for m in means for n, v in zip(names, m, strict=True)
        ]
        gain = f"{means[0][0] - means[1][0]:+.2f} / {means[0][1] - means[1][1]:+.2f}"
        print(
            f"| {frame} | {len(some)} | "
            + " | ".join(cells)
            + f" | {gain} | {np.mean([r['own_psnr'] for r in some]):.2f} |"
        )


def write_pictures(folder: Path, pictures: dict) -> None:
    """Truth, fit and hull beside each other over white, one PNG per view."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rgba in pictures.items():
        over = rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]
        cv2.imwrite(str(folder / f"{name}.png"), np.rint(np.clip(over[..., ::-1], 0, 1) * 255).astype(np.uint8))


def main() -> None:
    """Make or take samples, fit, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--realistic", action="store_true")
    parser.add_argument(
        "--recording", default="mouse1", help="name of the virtual recording; with --seed it decides the animal"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the virtual recording")
    parser.add_argument("--sample", type=Path, help="folder of a recording without its own truth render")
    parser.add_argument("--size", type=int, default=256, help="px of the canonical samples and of the in-between views")
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--only", default="", help="positions of the frames to use, with commas")
    parser.add_argument("--skip", default="", choices=("", "left-out", "novel"))
    parser.add_argument("--config-json", default="{}", help="changes to the section `splats.fit`")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--rows", type=Path, help="write all rows as JSON")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    folder = args.keep or Path(tempfile.mkdtemp(prefix="fit-quality-"))
    config = load(SplatsConfig, {"fit": REAL_SIZE | json.loads(args.config_json)}, where="--config-json")
    index = make_samples(folder, args)
    names = [item["name"] for item in json.loads(index.read_text())["items"] if not item.get("excluded")]
    if args.only:
        names = [names[int(k)] for k in args.only.split(",")]
    started, left_out, between, pictures = time.perf_counter(), [], [], {}
    for name in names:
        sample = read_sample(index.parent / name)
        frame = frame_views(name, sample, config.fit.size)
        if args.skip != "left-out":
            truth = None if args.sample else truth_in(folder, sample, frame.cameras)
            left_out += left_out_rows(frame, config.fit, pictures, truth)
        if args.skip != "novel" and not args.sample:
            between += novel_rows(folder, frame, sample, config, pictures)
    print(
        f"size {config.fit.size}, {config.fit.count} Gaussians, {config.fit.optimise.steps} steps, "
        f"{time.perf_counter() - started:.0f} s of fits"
    )
    print_table("fitted from all views but one, seen from that one", left_out)
    print_table("the same renders against the true animal in the left-out camera as audited", left_out, "true_")
    print_table("in-between views against the truth render", between)
    if args.rows:
        args.rows.write_text(json.dumps({"left_out": left_out, "between": between}))
    if args.pictures:
        write_pictures(args.pictures, pictures)


# at real size; more Gaussians fit their own views better and unseen ones worse (docs/splats.md)
REAL_SIZE = {"size": 256, "count": 2500, "batch": 6, "optimise": {"steps": 300, "dropout": 0.4}}

if __name__ == "__main__":
    main()
