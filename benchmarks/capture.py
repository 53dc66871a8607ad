"""Speed of locating and normalisation, against the plain OpenCV loop and an earlier build, on one six-camera recording.

    python benchmarks/capture.py [--frames 1600] [--short 40] [--plain-frames 400] [--size 512] [--before CHECKOUT]
        [--rounds 1]

The plain loop reads six videos and six mask videos, undistorts, masks, crops a square about the mask and writes RGBA
PNGs; it gives pictures, but no true cameras. Ours runs `mousefacelift capture locate` and `normalise` on the same
files, whose samples are complete (image, camera, hashes, quality). `--before` runs the commands of another checkout
too, in turn with ours, `--rounds` times, and compares what both wrote: pictures by their largest difference, cameras
for equality. Wall and CPU time of a command count from its start, imports included. The recording is the virtual mouse
seen by the six real distorted cameras at 1152x1024, masks lossy. Filming it is not what is measured, so only `--short`
frames are made and their coded pictures are repeated in every video until there are `--frames`: each repetition is
decoded, warped, measured and written like any other frame.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.timed import Used, run_timed
from mousefacelift.capture.audit import audit
from mousefacelift.capture.config import AuditConfig, CaptureConfig, RecordingSource
from mousefacelift.capture.mask_crop import CropReader
from mousefacelift.capture.normalise import Normaliser
from mousefacelift.capture.recording import open_recording
from mousefacelift.capture.rig import Rig
from mousefacelift.capture.sources import open_film
from mousefacelift.capture.track import Track
from mousefacelift.core.images import encode_png
from mousefacelift.core.samples import read_sample
from mousefacelift.virtual.config import NO_DEFECTS, VirtualConfig
from mousefacelift.virtual.record import write_recording

ROOT = Path(__file__).resolve().parents[1]


def prepare(folder: Path, short: int, frames: int) -> None:
    """Write the short recording, audit it, and repeat it to `frames` frames."""
    config = VirtualConfig(
        width=1152,
        height=1024,
        frames=short,
        fps=10.0,
        variants="distorted",
        truth_vertices=False,
        degradations=replace(NO_DEFECTS, mask_crf=20),
    )
    write_recording(folder / "short", "bench", config, 0)
    source = RecordingSource(path=str(folder / "short"), frames=(0, short))
    start = time.perf_counter()
    rig = audit(open_recording("bench", folder / "short", source), source, AuditConfig())
    print(f"audit of {short} frames {time.perf_counter() - start:.1f} s")
    videos, masks = (
        [repeat_video(Path(path), folder / kind / Path(path).name, frames) for path in paths]
        for kind, paths in (("videos", rig.videos), ("masks", rig.masks))
    )
    replace(rig, videos=tuple(videos), masks=tuple(masks), frames=frames).write(folder / "rig.json", folder)


def repeat_video(path: Path, out: Path, frames: int) -> str:
    """Copy the coded pictures of a video again and again, time stamps moved on, until there are `frames`; the new
    path."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path)) as source, av.open(str(out), "w") as target:
        stream = source.streams.video[0]
        packets = [packet for packet in source.demux(stream) if packet.size]
        step = min(packet.duration for packet in packets)
        copy = target.add_stream_from_template(stream)
        # a repetition starts with a key picture, so it decodes without the one before it
        for number in range(frames):
            packet = av.Packet(bytes(packets[number % len(packets)]))
            old = packets[number % len(packets)]
            moved = number // len(packets) * len(packets) * step
            packet.pts, packet.dts, packet.duration = old.pts + moved, old.dts + moved, step
            packet.time_base, packet.is_keyframe, packet.stream = stream.time_base, old.is_keyframe, copy
            target.mux(packet)
    return str(out)


def plain_loop(folder: Path, frames: int, size: int) -> None:
    """What one writes on the first day: read, undistort, mask, crop, write."""
    rig = Rig.read(folder / "rig.json", folder)
    out = folder / "plain"
    out.mkdir(exist_ok=True)
    videos = [cv2.VideoCapture(path) for path in rig.videos]
    masks = [cv2.VideoCapture(path) for path in rig.masks]
    for frame in range(frames):
        for v, camera in enumerate(rig.cameras):
            picture, mask = videos[v].read()[1], masks[v].read()[1]
            picture = cv2.undistort(picture, camera.lens.K, camera.lens.distortion[:5])
            mask = cv2.undistort(mask, camera.lens.K, camera.lens.distortion[:5])[..., 0]
            mask = np.where(mask > 127, 255, 0).astype(np.uint8)
            x, y, w, h = cv2.boundingRect(mask)
            half = int(0.6 * max(w, h))
            rgba = np.dstack([picture, mask])
            rgba = cv2.copyMakeBorder(rgba, half, half, half, half, cv2.BORDER_CONSTANT)
            crop = rgba[y + h // 2 : y + h // 2 + 2 * half, x + w // 2 : x + w // 2 + 2 * half]
            cv2.imwrite(str(out / f"{frame:06d}_{v}.png"), cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA))


def run_ours(code: Path, folder: Path, out: Path, args: argparse.Namespace) -> dict[str, Used]:
    """What locating and normalising with the code of a checkout take, as the pipeline runs them."""
    source = {"path": str(folder), "frames": [0, args.frames]}
    config = {"recordings": {"bench": source}, "capture": {"size": args.size, "locate": {"max_border_share": 1.0}}}
    common = [str(folder), "--recording", "bench", "--rig", str(folder / "rig.json"), "--config-json"]
    common += [json.dumps(config), "--threads", str(args.threads)]
    command, index = ["-m", "mousefacelift", "capture"], out / "samples" / "index.json"
    chosen = ["--track", str(out / "track.json"), "--frames", f"0:{args.frames}"]
    return {
        "locate": run_timed([*command, "locate", *common, "--out", str(out / "track.json")], code),
        "normalise": run_timed([*command, "normalise", *common, *chosen, "--out", str(index)], code),
    }


def compare(before: Path, after: Path) -> None:
    """Print the largest difference of the pictures that two builds made, and whether their cameras are equal."""
    names = sorted(path.name for path in (before / "samples").iterdir() if path.is_dir())
    largest, beyond, total, equal, size = 0, 0, 0, True, np.zeros(2)
    for name in names[:: max(1, len(names) // 40)]:
        pair = [root / "samples" / name for root in (before, after)]
        old, new = (read_sample(folder) for folder in pair)
        for a, b in zip(old.views, new.views, strict=True):
            difference = np.abs(a.rgba - b.rgba) * 255
            largest = max(largest, round(float(difference.max())))
            beyond, total = beyond + int((difference > 0.5).sum()), total + difference.size
            equal &= a.camera.to_frame("") == b.camera.to_frame("")
        size += [sum(png.stat().st_size for png in folder.glob("images/*.png")) for folder in pair]
    print(
        f"pictures: largest difference {largest} of 255, {beyond / total:.1e} of the values differ; "
        f"cameras {'equal' if equal else 'DIFFER'}; PNG bytes {size[1] / size[0]:.3f} of before"
    )


def parts(folder: Path, frames: int, size: int) -> None:
    """CPU ms per view of decoding, of warp and measures, and of PNG: each alone, because decoding runs ahead in its own
    threads."""
    rig, track = Rig.read(folder / "rig.json", folder), Track.read(folder / "ours" / "track.json")
    cv2.setNumThreads(1)
    normaliser = Normaliser(rig, track, CaptureConfig(size=size), 1)
    videos = [open_film(path) for path in rig.videos]
    masks = [CropReader(path, camera.mask_growth) for path, camera in zip(rig.masks, rig.cameras)]
    spent: dict[str, float] = {}
    for frame in [0, 1, *range(frames)]:  # two frames to warm up
        marks = [time.process_time()]
        pictures = [reader.read(frame) for reader in videos]
        marks.append(time.process_time())
        crops = [reader.read(frame) for reader in masks]
        marks.append(time.process_time())
        sample, _ = normaliser.sample(frame, [*pictures, *crops])
        marks.append(time.process_time())
        for view in sample.views:
            encode_png(view.rgba, 1)
        marks.append(time.process_time())
        names = ("decoding pictures", "decoding masks", "warp and measures", "PNG")
        spent = dict(zip(names, np.diff(marks) + ([spent.get(name, 0.0) for name in names] if frame else 0.0)))
    normaliser.close()
    print(", ".join(f"{name} {1000 * value / frames / 6:.2f}" for name, value in spent.items()), "CPU ms per view")


def main() -> None:
    """Run every part in its own process and print frames per second and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1600)
    parser.add_argument("--short", type=int, default=40, help="frames that are filmed; --frames is a multiple of it")
    parser.add_argument(
        "--plain-frames", type=int, help="frames that the plain loop does, whose rate is constant; default all"
    )
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="keep the recording here")
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="an earlier build, measured in turn with ours")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--part", choices=("prepare", "plain", "parts"))
    args = parser.parse_args()
    if args.part:
        work = {
            "prepare": lambda: prepare(args.folder, args.short, args.frames),
            "plain": lambda: plain_loop(args.folder, args.frames, args.size),
            "parts": lambda: parts(args.folder, min(args.frames, args.short), args.size),
        }
        start = time.perf_counter()
        work[args.part]()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"part": args.part, "seconds": time.perf_counter() - start, "peak_mb": peak}))
        return
    folder = args.folder or Path(tempfile.mkdtemp(prefix="capture-bench-"))
    if not (folder / "rig.json").exists():
        run_part("prepare", args.frames, folder, args)
    best = run_rounds(folder, args)
    plain = args.plain_frames or args.frames
    rate = plain / run_part("plain", plain, folder, args)["seconds"]
    print(f"plain loop: {plain} frames, {rate:.2f} frames/s; ours / plain loop: {best / rate:.2f}")
    run_part("parts", args.frames, folder, args)


def run_part(part: str, frames: int, folder: Path, args: argparse.Namespace) -> dict:
    """Run a part in a process of its own, print what it prints, return its numbers."""
    command = [sys.executable, __file__, "--part", part, "--folder", str(folder), "--frames", str(frames)]
    command += ["--short", str(args.short), "--size", str(args.size)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().splitlines()
    if lines[:-1]:
        print(*lines[:-1], sep="\n")
    return json.loads(lines[-1])


def run_rounds(folder: Path, args: argparse.Namespace) -> float:
    """Locate and normalise with every build in turn, print the figures; ours' best frames/s of normalisation."""
    builds = ({"before": args.before} if args.before else {}) | {"ours": ROOT}
    found: dict[str, list] = {name: [] for name in builds}
    for number in range(args.rounds):
        for name, code in builds.items():
            out = folder / name
            shutil.rmtree(out, ignore_errors=True)
            found[name].append(run_ours(code, folder, out, args))
            for command, (wall, cpu, peak) in found[name][-1].items():
                print(
                    f"round {number} {name} {command}: {args.frames / wall:.2f} frames/s, "
                    f"{1000 * cpu / args.frames / 6:.2f} CPU ms a view, peak {peak:.0f} MB",
                    flush=True,
                )
    if args.before:
        for command in ("locate", "normalise"):
            old, new = ([np.array(row[command][:2]) for row in found[name]] for name in ("before", "ours"))
            ratios = np.mean(old, 0) / np.mean(new, 0)
            print(f"{command}: {ratios[0]:.2f} times the frames/s before, {1 / ratios[1]:.2f} of the CPU time")
        compare(folder / "before", folder / "ours")
    return args.frames / min(row["normalise"][0] for row in found["ours"])


if __name__ == "__main__":
    main()
