"""Speed of normalisation against the plain OpenCV loop, in one run on the same six-camera recording.

    python benchmarks/capture.py [--frames 48] [--size 512] [--threads 2]

The plain loop reads six videos and six mask videos, undistorts, masks, crops a square about the mask and writes RGBA
PNGs; it gives pictures, but no true cameras. Ours writes complete samples (image, camera, hashes, quality) from the
same files. Every part runs in its own process, whose peak memory is printed. The recording is a toy animal seen by six
distorted cameras at 1152x1024.
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

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mousefacelift.capture.audit import audit
from mousefacelift.capture.config import AuditConfig, CaptureConfig, LocateConfig, RecordingSource
from mousefacelift.capture.locate import locate_recording
from mousefacelift.capture.normalise import Normaliser, normalise_chunk
from mousefacelift.capture.readers import opencv_json
from mousefacelift.capture.recording import open_recording
from mousefacelift.capture.rig import Rig
from mousefacelift.capture.track import Track
from tests.capture.scenes import random_rig, raw, write_recording


def prepare(folder: Path, frames: int) -> None:
    """Write the recording, audit and locate it."""
    cameras = [replace(c, width=1152, height=1024) for c in random_rig(3, 6, 1152)]
    write_recording(folder, cameras, frames, fps=100.0, seed=3)
    opencv_json.write(folder / "cameras.json", raw(cameras))
    source = RecordingSource(path=str(folder), frames=(0, frames))
    start = time.perf_counter()
    rig = audit(open_recording("bench", folder, source), source, AuditConfig(blocks=1, block_frames=12))
    rig.write(folder / "rig.json", folder)
    middle = time.perf_counter()
    locate_recording(rig, source, LocateConfig()).write(folder / "track.json")
    done = time.perf_counter()
    print(f"audit of 12 frames {middle - start:.1f} s; locate {frames / (done - middle):.1f} frames/s")


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
            crop = rgba[y + h // 2:y + h // 2 + 2 * half, x + w // 2:x + w // 2 + 2 * half]
            cv2.imwrite(str(out / f"{frame:06d}_{v}.png"), cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA))


def ours(folder: Path, frames: int, size: int, threads: int) -> None:
    """The normaliser, as `mousefacelift capture normalise` runs it."""
    rig, track = Rig.read(folder / "rig.json", folder), Track.read(folder / "track.json")
    cv2.setNumThreads(1)
    normalise_chunk(folder / "ours" / "index.json", rig, track, range(frames), CaptureConfig(size=size), threads)


def parts(folder: Path, frames: int, size: int) -> None:
    """CPU ms per view of decoding alone, of warp and measures, and of PNG, one thread."""
    from mousefacelift.capture.frames import read_in_step
    from mousefacelift.core.images import encode_png

    rig, track = Rig.read(folder / "rig.json", folder), Track.read(folder / "track.json")
    cv2.setNumThreads(1)
    normaliser = Normaliser(rig, track, CaptureConfig(size=size), 1)
    numbers = ((f, [f] * 12) for f in range(frames))
    spent = {"decode": 0.0, "warp and measure": 0.0, "PNG": 0.0}
    mark = time.process_time()
    for frame, pictures in read_in_step([*rig.videos, *rig.masks], numbers, ahead=1, threads=1):
        spent["decode"] += time.process_time() - mark
        mark = time.process_time()
        sample, _ = normaliser.sample(frame, pictures)
        spent["warp and measure"] += time.process_time() - mark
        mark = time.process_time()
        for view in sample.views:
            encode_png(view.rgba, 1)
        spent["PNG"] += time.process_time() - mark
        mark = time.process_time()
    normaliser.close()
    print(", ".join(f"{name} {1000 * value / frames / 6:.1f}" for name, value in spent.items()), "CPU ms per view")


def main() -> None:
    """Run every part in its own process and print frames per second and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="keep the recording here")
    parser.add_argument("--part", choices=("prepare", "plain", "ours", "parts"))
    args = parser.parse_args()
    if args.part:
        work = {"prepare": lambda: prepare(args.folder, args.frames),
                "plain": lambda: plain_loop(args.folder, args.frames, args.size),
                "ours": lambda: ours(args.folder, args.frames, args.size, args.threads),
                "parts": lambda: parts(args.folder, args.frames, args.size)}
        start = time.perf_counter()
        work[args.part]()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"part": args.part, "seconds": time.perf_counter() - start, "peak_mb": peak}))
        return
    folder = args.folder or Path(tempfile.mkdtemp(prefix="capture-bench-"))
    rates = {}
    for part in ("prepare", "plain", "ours", "parts"):
        if part == "prepare" and (folder / "track.json").exists():
            continue
        command = [sys.executable, __file__, "--part", part, "--folder", str(folder), "--frames", str(args.frames),
                   "--size", str(args.size), "--threads", str(args.threads)]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().splitlines()
        print(*lines[:-1], sep="\n")
        numbers = json.loads(lines[-1])
        rates[part] = args.frames / numbers["seconds"]
        print(f"{part}: {rates[part]:.2f} frames/s ({6 * rates[part]:.1f} views/s), peak {numbers['peak_mb']:.0f} MB")
    print(f"ours / plain loop: {rates['ours'] / rates['plain']:.2f}")


if __name__ == "__main__":
    main()
