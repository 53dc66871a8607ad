"""Speed of normalisation against the plain OpenCV loop, in one run on the same six-camera recording.

    python benchmarks/capture.py [--frames 1600] [--short 40] [--plain-frames 400] [--size 512] [--threads 2]

The plain loop reads six videos and six mask videos, undistorts, masks, crops a square about the mask and writes RGBA
PNGs; it gives pictures, but no true cameras. Ours writes complete samples (image, camera, hashes, quality) from the
same files. Every part runs in its own process, whose peak memory is printed. The recording is the virtual mouse seen
by the six real distorted cameras at 1152x1024, masks lossy. Filming it is not what is measured, so only `--short`
frames are made and their coded pictures are repeated in every video until there are `--frames`: each repetition is
decoded, warped, measured and written like any other frame.
"""

from __future__ import annotations

import argparse
import json
import resource
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

from mousefacelift.capture.audit import audit
from mousefacelift.capture.config import AuditConfig, CaptureConfig, LocateConfig, RecordingSource
from mousefacelift.capture.locate import locate_recording
from mousefacelift.capture.normalise import Normaliser, normalise_chunk
from mousefacelift.capture.recording import open_recording
from mousefacelift.capture.rig import Rig
from mousefacelift.capture.track import Track
from mousefacelift.virtual.config import NO_DEFECTS, VirtualConfig
from mousefacelift.virtual.record import write_recording


def prepare(folder: Path, short: int, frames: int) -> None:
    """Write the short recording, audit and locate it, and repeat it to `frames` frames."""
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
    middle = time.perf_counter()
    track = locate_recording(rig, source, LocateConfig(max_border_share=1.0))
    done = time.perf_counter()
    print(f"audit of {short} frames {middle - start:.1f} s; locate {short / (done - middle):.1f} frames/s")
    videos, masks = (
        [repeat_video(Path(path), folder / kind / Path(path).name, frames) for path in paths]
        for kind, paths in (("videos", rig.videos), ("masks", rig.masks))
    )
    replace(rig, videos=tuple(videos), masks=tuple(masks), frames=frames).write(folder / "rig.json", folder)
    numbers = np.arange(frames)
    if track.excluded:
        raise SystemExit(f"the animal is missing in a frame of the short recording: {track.excluded}")
    source_of = numbers % short
    replace(
        track, frames=numbers, centers=track.centers[source_of], centers_raw=track.centers_raw[source_of], cuts=[]
    ).write(folder / "track.json")


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


def ours(folder: Path, frames: int, size: int, threads: int) -> None:
    """The normaliser, as `mousefacelift capture normalise` runs it."""
    rig, track = Rig.read(folder / "rig.json", folder), Track.read(folder / "track.json")
    cv2.setNumThreads(1)
    normalise_chunk(folder / "ours" / "index.json", rig, track, range(frames), CaptureConfig(size=size), threads)


def parts(folder: Path, frames: int, size: int) -> None:
    """CPU ms per view of decoding, of warp and measures, and of PNG: each alone, because decoding runs ahead in its own
    threads."""
    from mousefacelift.capture.sources import open_source
    from mousefacelift.core.images import encode_png

    rig, track = Rig.read(folder / "rig.json", folder), Track.read(folder / "track.json")
    cv2.setNumThreads(1)
    normaliser = Normaliser(rig, track, CaptureConfig(size=size), 1)
    readers = [open_source(path) for path in (*rig.videos, *rig.masks)]
    spent = {"decode": 0.0, "warp and measure": 0.0, "PNG": 0.0}
    for frame in [0, 1, *range(frames)]:  # two frames to warm up
        if frame == 0:  # the second time counts
            spent = dict.fromkeys(spent, 0.0)
        mark = time.process_time()
        pictures = [reader.read(frame) for reader in readers]
        decoded = time.process_time()
        sample, _ = normaliser.sample(frame, pictures)
        measured = time.process_time()
        for view in sample.views:
            encode_png(view.rgba, 1)
        for name, value in zip(spent, np.diff([mark, decoded, measured, time.process_time()])):
            spent[name] += value
    normaliser.close()
    print(", ".join(f"{name} {1000 * value / frames / 6:.1f}" for name, value in spent.items()), "CPU ms per view")


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
    parser.add_argument("--part", choices=("prepare", "plain", "ours", "parts"))
    args = parser.parse_args()
    if args.part:
        work = {
            "prepare": lambda: prepare(args.folder, args.short, args.frames),
            "plain": lambda: plain_loop(args.folder, args.frames, args.size),
            "ours": lambda: ours(args.folder, args.frames, args.size, args.threads),
            "parts": lambda: parts(args.folder, min(args.frames, args.short), args.size),
        }
        start = time.perf_counter()
        work[args.part]()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"part": args.part, "seconds": time.perf_counter() - start, "peak_mb": peak}))
        return
    folder = args.folder or Path(tempfile.mkdtemp(prefix="capture-bench-"))
    rates = {}
    for part in ("prepare", "plain", "ours", "parts"):
        frames = args.plain_frames or args.frames if part == "plain" else args.frames
        if part == "prepare" and (folder / "track.json").exists():
            continue
        command = [
            sys.executable,
            __file__,
            "--part",
            part,
            "--folder",
            str(folder),
            "--frames",
            str(frames),
            "--short",
            str(args.short),
            "--size",
            str(args.size),
            "--threads",
            str(args.threads),
        ]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().splitlines()
        if lines[:-1]:
            print(*lines[:-1], sep="\n")
        numbers = json.loads(lines[-1])
        if part not in ("plain", "ours"):
            continue
        rates[part] = frames / numbers["seconds"]
        print(
            f"{part}: {frames} frames, {rates[part]:.2f} frames/s ({6 * rates[part]:.1f} views/s), peak "
            f"{numbers['peak_mb']:.0f} MB"
        )
    print(f"ours / plain loop: {rates['ours'] / rates['plain']:.2f}")


if __name__ == "__main__":
    main()
