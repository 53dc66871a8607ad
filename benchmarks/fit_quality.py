"""How well fits hold where no camera was: views left out in turn, and in-between views against the truth render.

    python benchmarks/fit_quality.py                     virtual recording of real size (1152x1024), no degradations
    python benchmarks/fit_quality.py --realistic              calibration, masks and pictures as bad as real ones
    python benchmarks/fit_quality.py --method gaussians,field both ways to fit, side by side
    python benchmarks/fit_quality.py --before CHECKOUT         beside it the Gaussians of another build, at its settings
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
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from capture_truth import REALISTIC  # noqa: E402
from fit_before import fit_before  # noqa: E402

from mousefacelift.capture.audit import audit  # noqa: E402
from mousefacelift.capture.config import AuditConfig, CaptureConfig, LocateConfig, RecordingSource  # noqa: E402
from mousefacelift.capture.locate import locate_recording  # noqa: E402
from mousefacelift.capture.normalise import normalise_chunk  # noqa: E402
from mousefacelift.capture.recording import open_recording  # noqa: E402
from mousefacelift.check.fidelity import fg_ssim  # noqa: E402
from mousefacelift.config import load  # noqa: E402
from mousefacelift.core.images import composite, premultiply  # noqa: E402
from mousefacelift.core.samples import Sample, read_sample  # noqa: E402
from mousefacelift.core.similarity import Similarity  # noqa: E402
from mousefacelift.splats.config import SplatsConfig  # noqa: E402
from mousefacelift.splats.frames import FrameViews, frame_views  # noqa: E402
from mousefacelift.splats.methods import METHODS  # noqa: E402
from mousefacelift.splats.novel import plan_views  # noqa: E402
from mousefacelift.splats.scene import Scene  # noqa: E402
from mousefacelift.splats.score import compare_views, render_views  # noqa: E402
from mousefacelift.splats.start import carve_frame, hull_surface  # noqa: E402
from mousefacelift.virtual.config import NO_DEFECTS, VirtualConfig  # noqa: E402
from mousefacelift.virtual.record import write_recording  # noqa: E402
from mousefacelift.virtual.truth import render_truth  # noqa: E402

FILM_S = 12.0  # walking, turning, sniffing


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
        source = RecordingSource(path=str(folder), frames=(0, args.film_frames), variant="undistorted")
        if not (folder / "recording.json").exists():
            made = VirtualConfig(
                width=1152,
                height=1024,
                frames=args.film_frames,
                fps=args.film_frames / FILM_S,
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


@dataclass
class Arms:
    """The ways to fit that are compared, and the CPU seconds that their fits took (of all threads)."""

    methods: tuple[str, ...]
    config: SplatsConfig
    before: Path | None = None
    cpu_s: dict[str, float] = field(default_factory=dict)
    fits: int = 0

    def fit(self, frames: Sequence[FrameViews]) -> list[dict[str, Scene]]:
        """{arm: what it fitted} for every frame, in batches; the hull in projected colours is an arm, too."""
        done: list[dict[str, Scene]] = [{} for _ in frames]
        for name in self.methods:
            begin, batch = time.process_time(), self.config.fit.batch
            for first in range(0, len(frames), batch):
                fits = METHODS[name](frames[first : first + batch], self.config.fit, 0)
                for at, fit in enumerate(fits, first):
                    done[at][name] = fit.scene
            self.cpu_s[name] = self.cpu_s.get(name, 0.0) + time.process_time() - begin
        if self.before is not None:
            seconds, scenes = fit_before(self.before, frames)
            self.cpu_s["before"] = self.cpu_s.get("before", 0.0) + seconds
            for at, scene in enumerate(scenes):
                done[at]["before"] = scene
        self.fits += len(frames)
        for frame, scenes in zip(frames, done, strict=True):
            scenes["hull"] = hull_surface(frame, carve_frame(frame, self.config.fit.hull))
        return done


def draw(scenes: dict[str, Scene], cameras) -> dict[str, np.ndarray]:
    """{arm: rgba [V, H, W, 4]}; two methods also blend: the mean of their pictures, multiplied by alpha."""
    drawn = {name: render_views(scene, cameras)[0] for name, scene in scenes.items()}
    methods = [name for name in scenes if name not in ("hull", "before")]
    if len(methods) > 1:
        mean = np.mean([premultiply(drawn[name]) for name in methods], 0)
        drawn["blend"] = np.concatenate([mean[..., :3] / np.maximum(mean[..., 3:], 1e-6), mean[..., 3:]], -1)
    return drawn


def score(drawn: dict[str, np.ndarray], truth: np.ndarray, facts: Sequence[dict]) -> list[dict]:
    """One row per view: its facts and {arm: scores}."""
    arms = {name: compare_views(rgba, truth) | _more(rgba, truth) for name, rgba in drawn.items()}
    return [
        fact | {"arms": {name: {k: float(v[index]) for k, v in scores.items()} for name, scores in arms.items()}}
        for index, fact in enumerate(facts)
    ]


def _more(drawn: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """SSIM over white in the box of the truth, and the share of half-covered pixels among those drawn."""
    white = [torch.from_numpy(composite(a, (1.0, 1.0, 1.0))).permute(0, 3, 1, 2).float() for a in (drawn, truth)]
    mask, alpha = torch.from_numpy(truth[..., 3] > 0.5), drawn[..., 3].astype(np.float64)
    half = (alpha * (1 - alpha)).sum((1, 2)) / np.maximum(alpha.sum((1, 2)), 1e-9)
    return {"ssim": fg_ssim(*white, mask).numpy(), "half": half}


def left_out_rows(frame: FrameViews, arms: Arms, pictures: dict, truth: np.ndarray | None = None):
    """Scores of all arms on every view left out in turn, against its photo.

    Args:
        truth: [V, H, W, 4] rendered truth in the same cameras, or None.
    Returns:
        Rows against the photos, and the rows of the same renders against the truth.
    """
    rows, true_rows = [], []
    scenes = arms.fit([frame.without([v]) for v in range(len(frame.cameras))])
    for view, fitted in enumerate(scenes):
        drawn, photo = draw(fitted, [frame.cameras[view]]), frame.rgba[[view]]
        pictures[f"{frame.name}-out{view}"] = np.concatenate([photo[0], *(rgba[0] for rgba in drawn.values())], 1)
        facts = [{"frame": frame.name, "view": view}]
        rows += score(drawn, photo, facts)
        true_rows += [] if truth is None else score(drawn, truth[[view]], facts)
    return rows, true_rows


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


def novel_rows(folder: Path, frame: FrameViews, sample: Sample, arms: Arms, pictures: dict) -> list[dict]:
    """Scores of the fits of all views on the planned in-between views against the truth render."""
    planned = plan_views(frame.cameras, replace(arms.config.novel, size=frame.rgba.shape[2]))
    cameras = [view.camera for view in planned]
    truth, drawn = truth_in(folder, sample, cameras), draw(arms.fit([frame])[0], cameras)
    for i, view in enumerate(planned):
        name = f"{frame.name}-{view.kind}{view.relative_azimuth:.0f}"
        pictures[name] = np.concatenate([truth[i], *(rgba[i] for rgba in drawn.values())], 1)
    facts = [{"frame": frame.name, "kind": view.kind, "angle": view.nearest_angle} for view in planned]
    return score(drawn, truth, facts)


def print_table(title: str, rows: list[dict]) -> None:
    """Means over all rows, an arm a line."""
    if not rows:
        return
    names = ("psnr", "psnr_black", "iou", "ssim", "outside", "half")
    print(f"\n{title}, {len(rows)} views\n| " + " | ".join(["arm", *names, "over the hull white / black dB"]) + " |")
    print("|---" * (len(names) + 2) + "|")
    means = {arm: {n: float(np.mean([r["arms"][arm][n] for r in rows])) for n in names} for arm in rows[0]["arms"]}
    for arm, mean in means.items():
        cells = [f"{mean[n]:.2f}" if n.startswith("psnr") else f"{mean[n]:.4f}" for n in names]
        gain = " / ".join(f"{mean[n] - means['hull'][n]:+.2f}" for n in ("psnr", "psnr_black"))
        print("| " + " | ".join([arm, *cells, gain]) + " |")


def write_pictures(folder: Path, pictures: dict) -> None:
    """Truth and all arms beside each other over white, one PNG per view."""
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
    parser.add_argument("--method", default="gaussians", help="names of `splats.method`, with commas; two also blend")
    parser.add_argument("--before", type=Path, help="checkout of the build that is measured beside this one")
    parser.add_argument("--film-frames", type=int, default=48, help="length of the virtual recording, 12 s long")
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
    arms = Arms(tuple(args.method.split(",")), config, args.before)
    names = [item["name"] for item in json.loads(index.read_text())["items"] if not item.get("excluded")]
    if args.only:
        names = [names[int(k)] for k in args.only.split(",")]
    rows, pictures = {"left_out": [], "true_left_out": [], "between": []}, {}
    for name in names:
        sample = read_sample(index.parent / name)
        frame = frame_views(name, sample, config.fit.size)
        if args.skip != "left-out":
            truth = None if args.sample else truth_in(folder, sample, frame.cameras)
            for key, some in zip(("left_out", "true_left_out"), left_out_rows(frame, arms, pictures, truth)):
                rows[key] += some
        if args.skip != "novel" and not args.sample:
            rows["between"] += novel_rows(folder, frame, sample, arms, pictures)
    spent = ", ".join(f"{name} {seconds / arms.fits:.1f}" for name, seconds in arms.cpu_s.items())
    print(f"size {config.fit.size}, {arms.fits} fits, CPU seconds a fit: {spent}")
    print_table("fitted from all views but one, seen from that one", rows["left_out"])
    print_table("the same renders against the true animal in the left-out camera as audited", rows["true_left_out"])
    print_table("in-between views against the truth render", rows["between"])
    if args.rows:
        facts = {"recording": args.recording, "realistic": args.realistic, "seed": args.seed}
        args.rows.write_text(json.dumps(facts | {"cpu_s": arms.cpu_s, "fits": arms.fits} | rows))
    if args.pictures:
        write_pictures(args.pictures, pictures)


# at real size; more Gaussians fit their own views better and unseen ones worse (docs/splats.md)
REAL_SIZE = {"size": 256, "count": 2500, "batch": 6, "optimise": {"steps": 180, "opacity_weight": 0.01, "dropout": 0.5}}

if __name__ == "__main__":
    main()
