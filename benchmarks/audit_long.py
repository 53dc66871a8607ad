"""How long the audit of a long recording of many cameras takes: the time of `capture audit`, with no configuration.

    python benchmarks/audit_long.py           12 cameras, 18,000 frames of 1152 px (bar: 2 minutes on 2 cores)

The toy animal of the tests is filmed for 40 frames, which are then repeated without being encoded again: sizes, lengths
and key frames are those of a long film, and the audit reads runs of frames from all over it.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import av

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mousefacelift.capture.audit import audit  # noqa: E402
from mousefacelift.capture.config import AuditConfig, RecordingSource  # noqa: E402
from mousefacelift.capture.readers import opencv_json  # noqa: E402
from mousefacelift.capture.recording import open_recording  # noqa: E402
from tests.capture.conftest import even  # noqa: E402
from tests.capture.scenes import random_rig, raw, write_recording  # noqa: E402

FILMED = 40  # frames


def repeat(short: Path, long: Path, times: int) -> None:
    """The film `short` so many times in a row, its packets copied."""
    with av.open(str(short)) as source, av.open(str(long), "w") as target:
        stream = source.streams.video[0]
        packets = [(bytes(p), p.pts, p.dts, p.is_keyframe, p.duration) for p in source.demux(stream) if p.size]
        span = max(pts + duration for _, pts, _, _, duration in packets)
        copied = target.add_stream_from_template(stream)
        for turn in range(times):
            for data, pts, dts, key, duration in packets:
                packet = av.Packet(data)
                packet.pts, packet.dts, packet.duration = pts + turn * span, dts + turn * span, duration
                packet.time_base, packet.is_keyframe, packet.stream = stream.time_base, key, copied
                target.mux(packet)


def main() -> None:
    """Make the recording, audit it, print the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=12)
    parser.add_argument("--frames", type=int, default=18000)
    parser.add_argument("--width", type=int, default=1152, help="px")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="audit-long-") as folder:
        short, long = Path(folder, "short"), Path(folder, "long")
        cameras = even(random_rig(5, args.cameras, args.width))
        write_recording(short, cameras, FILMED, seed=5)
        for part in ("videos", "masks"):
            (long / part).mkdir(parents=True)
            for place in range(args.cameras):
                repeat(short / part / f"{place}.mp4", long / part / f"{place}.mp4", -(-args.frames // FILMED))
        opencv_json.write(long / "cameras.json", raw(cameras))
        source = RecordingSource(path=str(long), frames=(0, args.frames))
        wall, used = time.perf_counter(), time.process_time()
        rig = audit(open_recording("long", long, source), source, AuditConfig())
        wall, used = time.perf_counter() - wall, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{len(rig.cameras)} cameras x {rig.frames} frames of {args.width} px: {wall:.0f} s wall, {used:.0f} s CPU, "
        f"{peak:.0f} MB, tangency {rig.report['tangency']:.3%}"
    )


if __name__ == "__main__":
    main()
