"""Commands of the capture stage: virtual, readers, audit, locate, normalise, quality."""

from __future__ import annotations

import argparse
from pathlib import Path

from mousefacelift.capture.config import CaptureConfig, RecordingSource
from mousefacelift.commandline import add_config_argument, parse_frames, read_config, read_seed
from mousefacelift.errors import ConfigError


def add_commands(subparsers) -> None:
    """Add the stage's sub-commands."""
    _add_virtual(subparsers)
    readers = subparsers.add_parser("readers", help="list the calibration formats")
    readers.set_defaults(run=run_readers)
    _add_audit(subparsers)
    _add_locate(subparsers)
    _add_normalise(subparsers)
    _add_quality(subparsers)


def _add_virtual(subparsers) -> None:
    parser = subparsers.add_parser("virtual", help="make a recording with known truth, in the public layout")
    parser.add_argument("--recording", required=True, metavar="NAME", help="name; different names are different animals")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="recording folder; recording.json is written last")
    add_config_argument(parser)
    parser.set_defaults(run=run_virtual)


def _add_audit(subparsers) -> None:
    parser = subparsers.add_parser("audit", help="prove the cameras from the silhouettes; writes rig.json and rig.png")
    parser.add_argument("folder", type=Path, metavar="DIR", help="recording folder")
    parser.add_argument("--recording", metavar="NAME", help="entry of capture.recordings; default: the folder's name")
    parser.add_argument("--out", required=True, type=Path, metavar="RIG.json")
    add_config_argument(parser)
    parser.set_defaults(run=run_audit)


def _add_locate(subparsers) -> None:
    parser = subparsers.add_parser("locate", help="the animal's centre per frame; writes track.json")
    parser.add_argument("--rig", required=True, type=Path, metavar="RIG.json")
    parser.add_argument("--out", required=True, type=Path, metavar="TRACK.json")
    parser.add_argument("--threads", type=int, default=2)
    add_config_argument(parser)
    parser.set_defaults(run=run_locate)


def _add_normalise(subparsers) -> None:
    parser = subparsers.add_parser("normalise", help="canonical samples of a range of frames")
    parser.add_argument("--rig", required=True, type=Path, metavar="RIG.json")
    parser.add_argument("--track", required=True, type=Path, metavar="TRACK.json")
    parser.add_argument("--frames", required=True, metavar="A:B[:STEP]")
    parser.add_argument("--out", required=True, type=Path, metavar="INDEX.json", help="index.json of the chunk's folder")
    parser.add_argument("--threads", type=int, default=2)
    add_config_argument(parser)
    parser.set_defaults(run=run_normalise)


def _add_quality(subparsers) -> None:
    parser = subparsers.add_parser("quality", help="quality of every stored view as a table and a plot")
    parser.add_argument("indexes", nargs="+", type=Path, metavar="INDEX.json", help="index.json of every chunk")
    parser.add_argument("--track", required=True, type=Path, metavar="TRACK.json")
    parser.add_argument("--out", required=True, type=Path, metavar="QUALITY.csv")
    parser.set_defaults(run=run_quality)


def run_virtual(args: argparse.Namespace) -> None:
    """Write a virtual recording."""
    from mousefacelift.capture.virtual.config import VirtualConfig
    from mousefacelift.capture.virtual.record import write_recording

    write_recording(args.out, args.recording, read_config(args, VirtualConfig, "virtual"), read_seed(args))


def run_readers(args: argparse.Namespace) -> None:
    """Print the calibration formats."""
    from mousefacelift.capture.readers import FORMATS

    for name, module in FORMATS.items():
        print(f"{name:<16} {module.DESCRIPTION}")


def run_audit(args: argparse.Namespace) -> None:
    """Audit a recording."""
    from mousefacelift.capture.audit import audit
    from mousefacelift.capture.drawing import describe_rig, draw_rig
    from mousefacelift.capture.recording import open_recording
    from mousefacelift.core.images import write_bytes

    config = read_config(args, CaptureConfig, "capture")
    name = args.recording or args.folder.resolve().name
    source = _source(config, name, required=args.recording is not None)
    rig = audit(open_recording(name, args.folder, source), source, config.audit)
    rig.write(args.out)
    write_bytes(args.out.with_suffix(".png"), draw_rig(rig))
    print(describe_rig(rig))


def run_locate(args: argparse.Namespace) -> None:
    """Locate the animal in every frame of an audited recording."""
    from mousefacelift.capture.locate import locate_recording
    from mousefacelift.capture.rig import Rig

    config = read_config(args, CaptureConfig, "capture")
    rig = Rig.read(args.rig)
    track = locate_recording(rig, _source(config, rig.recording), config.locate, args.threads)
    track.write(args.out)
    print(f"{rig.recording}: {len(track.frames)} frames, {len(track.excluded)} excluded, cuts {track.cuts}, zoom {track.zoom:.2f}, "
          f"correlation time {track.correlation_time_s:.2f} s")
    for reason in sorted(set(track.excluded.values())):
        print(f"  {sum(value == reason for value in track.excluded.values())} x {reason}")


def run_normalise(args: argparse.Namespace) -> None:
    """Write one chunk of canonical samples."""
    from mousefacelift.capture.normalise import normalise_chunk
    from mousefacelift.capture.rig import Rig
    from mousefacelift.capture.track import Track

    config = read_config(args, CaptureConfig, "capture")
    start, stop, step = parse_frames(args.frames)
    document = normalise_chunk(args.out, Rig.read(args.rig), Track.read(args.track), range(start, stop, step), config, args.threads)
    print(f"{len(document['items'])} samples in {args.out.parent}")


def run_quality(args: argparse.Namespace) -> None:
    """Gather the quality of all chunks of a recording."""
    from mousefacelift.capture.quality import quality_table, write_quality
    from mousefacelift.capture.track import Track

    track = Track.read(args.track)
    for name, value in write_quality(quality_table(args.indexes, track), track, args.out).items():
        print(f"{name:<18} {value:.4g}")


def _source(config: CaptureConfig, name: str, required: bool = False) -> RecordingSource:
    if required and name not in config.recordings:
        raise ConfigError(f"recording '{name}' is not in capture.recordings", expected=", ".join(config.recordings))
    return config.recordings.get(name, RecordingSource())
