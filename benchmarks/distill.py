"""Measure the distil stage: what the gate keeps and refuses, and generated views per second.

python benchmarks/distill.py gate --frames INDEX.json ... --splits SPLITS.json
python benchmarks/distill.py speed --size 64 --photos 12
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from mousefacelift.core.cameras import Camera, azimuth_elevation, orbit
from mousefacelift.core.samples import View
from mousefacelift.distill.config import GateConfig, SamplerConfig
from mousefacelift.distill.gate import SCORES, FrameJudge, learn_thresholds, refusal
from mousefacelift.distill.photos import FrameStore, Splits, choose_frames, list_frames


def turned(camera: Camera, degrees: float) -> Camera:
    """The camera moved round the animal by an azimuth; its picture stays what it was."""
    azimuth, elevation, distance = azimuth_elevation(camera)
    return orbit(azimuth + degrees, elevation, distance, camera.fxfycxcy, camera.width, camera.height)


def measure_gate(args: argparse.Namespace) -> dict:
    """Keep rate of held-out photos as if generated, refusal rate of wrong frames and turned views."""
    config, splits = GateConfig(slack=tuple(args.slack)), Splits.read(args.splits)
    items = list_frames(args.frames)
    train = FrameStore(choose_frames(items, splits, "train", config.frames), splits.held_out_camera)
    held = FrameStore(choose_frames(items, splits, "val", args.at_most), splits.held_out_camera)
    every = FrameStore(items, splits.held_out_camera)
    thresholds = learn_thresholds([train.views(i) for i in range(len(train))], config)
    kept: dict[str, list[bool]] = {}
    for i in range(len(held)):
        photos = held.views(i)
        for v, photo in enumerate(photos):
            judge = FrameJudge([p for k, p in enumerate(photos) if k != v], config)
            cases = {"true view": photo}
            far = [k for k, item in enumerate(every.items) if abs(item.frame - held.items[i].frame) >= args.apart]
            for k in far[:: max(1, len(far) // 6)]:
                cases[f"frame {k}"] = replace(photo, rgba=every.views(k)[v].rgba)
            for degrees in (20, -20, 30, -30, 45, -45, 90, 180):
                cases[f"turned {abs(degrees)} ({'+' if degrees > 0 else '-'})"] = View(
                    photo.rgba, turned(photo.camera, degrees)
                )
            for name, view in cases.items():
                group = "another frame" if name.startswith("frame") else name.split(" (")[0]
                kept.setdefault(group, []).append(not refusal(judge.scores(view), thresholds, config))
    return {
        "thresholds": {k: round(thresholds.values[k], 4) for k in SCORES},
        "frames": len(held),
        "apart": args.apart,
        **{group: {"kept": float(np.mean(values)), "n": len(values)} for group, values in sorted(kept.items())},
    }


def measure_speed(args: argparse.Namespace) -> dict:
    """Views per second of the small generator: batched with the photo encoded once, against one view at a time."""
    import torch

    from mousefacelift.core.cameras import canonical_fxfycxcy
    from mousefacelift.distill.config import NetworkConfig
    from mousefacelift.distill.generators.pose import PoseGenerator
    from mousefacelift.distill.generators.pose_network import PoseNetwork
    from mousefacelift.distill.view_sets import wanted_views

    torch.set_num_threads(args.threads)
    size = args.size
    generator = PoseGenerator(
        PoseNetwork(NetworkConfig(size=size)),
        1.2,
        wanted_views("sixty_between", (), None),
        SamplerConfig(steps=args.steps),
        {},
    )
    rng = np.random.default_rng(0)
    photos = [
        View(rng.random((size, size, 4), np.float32), orbit(i * 60, 15, 2.7, canonical_fxfycxcy(size), size, size))
        for i in range(args.photos)
    ]
    wanted = [generator.view_set.cameras(p.camera, size) for p in photos]
    generator.generate(photos[:1], [0])
    started = time.perf_counter()
    for photo in photos:
        generator.generate([photo], [0])
    per_photo = time.perf_counter() - started
    started = time.perf_counter()
    generator.generate(photos, list(range(len(photos))))
    batched = time.perf_counter() - started
    started = time.perf_counter()
    for photo, cameras in zip(photos, wanted, strict=True):
        for camera in cameras:
            generator.generate_at([photo], [[camera]], [0])
    single = time.perf_counter() - started
    views = 6 * len(photos)
    return {
        "views": views,
        "views_per_s_one_view_at_a_time": views / single,
        "views_per_s_one_photo_at_a_time": views / per_photo,
        "views_per_s_all_photos_in_one_batch": views / batched,
        "speedup_per_photo": single / per_photo,
        "speedup_batched": single / batched,
    }


def main() -> None:
    """Print the chosen measurement as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    gate = commands.add_parser("gate")
    gate.add_argument("--frames", nargs="+", type=Path, required=True)
    gate.add_argument("--splits", type=Path, required=True)
    gate.add_argument(
        "--apart", type=int, default=10, help="frames: nearer ones may show the same pose and are not 'wrong'"
    )
    gate.add_argument("--slack", type=float, nargs=4, default=GateConfig().slack)
    gate.add_argument("--at-most", type=int, default=8)
    gate.set_defaults(measure=measure_gate)
    speed = commands.add_parser("speed")
    speed.add_argument("--size", type=int, default=64)
    speed.add_argument("--photos", type=int, default=12)
    speed.add_argument("--steps", type=int, default=2)
    speed.add_argument("--threads", type=int, default=2)
    speed.set_defaults(measure=measure_speed)
    args = parser.parse_args()
    print(json.dumps(args.measure(args), indent=1))


if __name__ == "__main__":
    main()
