"""Commands of the capture stage: readers, audit, locate, normalise, quality."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from mousefacelift.arguments import add_config_argument, config_mapping, parse_frames, read_config, subcommand
from mousefacelift.capture.config import CaptureConfig, RecordingSource
from mousefacelift.chunk_lists import expand_lists
from mousefacelift.config import load
from mousefacelift.errors import CalibrationError, ConfigError, DataError

WHOLE = (0, 10**9)  # frames: all that there are
SHOWN = 6  # frames on the page of the masks


def add_commands(subparsers) -> None:
    """Add the stage's sub-commands."""
    readers = subcommand(subparsers, "readers", "list the calibration formats")
    readers.set_defaults(run=run_readers)
    _add_masks(subparsers)
    _add_audit(subparsers)
    _add_locate(subparsers)
    _add_normalise(subparsers)
    _add_quality(subparsers)


def _add_masks(subparsers) -> None:
    parser = subcommand(subparsers, "masks", "make masks where there are none, and show them over the videos")
    _add_recording(parser)
    _add_complete(parser)
    parser.add_argument("--made", type=Path, metavar="FOLDER", help="of masks that are made; default: NAME_audit/masks")
    parser.add_argument("--done", type=Path, metavar="LIST.json", help="written last: the masks of every camera")
    parser.add_argument("--show", type=Path, metavar="PAGE.html", help="write every camera's masks over its video")
    parser.add_argument("--frames", metavar="A:B[:STEP]", help="to show; default: six of those that the recording uses")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads that read videos")
    add_config_argument(parser)
    parser.set_defaults(run=run_masks)


def _add_audit(subparsers) -> None:
    parser = subcommand(
        subparsers, "audit", "are these cameras true? proven from the silhouettes; writes rig.json, .png, .html"
    )
    _add_recording(parser)
    parser.add_argument("--out", type=Path, metavar="RIG.json", help="default: NAME_audit/rig.json")
    parser.add_argument("--threads", type=int, default=2, help="that make masks, where there are none")
    _add_complete(parser)
    add_config_argument(parser)
    parser.set_defaults(run=run_audit)


def _add_locate(subparsers) -> None:
    parser = subcommand(subparsers, "locate", "the animal's centre per frame; writes track.json")
    _add_recording(parser)
    parser.add_argument("--rig", required=True, type=Path, metavar="RIG.json", help="what `capture audit` wrote")
    parser.add_argument("--frames", metavar="A:B[:STEP]", help="default: those that the recording's entry uses, or all")
    parser.add_argument("--out", required=True, type=Path, metavar="TRACK.json", help="file to write")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads that read masks")
    add_config_argument(parser)
    parser.set_defaults(run=run_locate)


def _add_normalise(subparsers) -> None:
    parser = subcommand(subparsers, "normalise", "canonical samples of a range of frames")
    _add_recording(parser)
    parser.add_argument("--rig", required=True, type=Path, metavar="RIG.json", help="what `capture audit` wrote")
    parser.add_argument("--track", required=True, type=Path, metavar="TRACK.json", help="what `capture locate` wrote")
    parser.add_argument("--frames", required=True, metavar="A:B[:STEP]", help="frames of this chunk, B excluded")
    parser.add_argument(
        "--out", required=True, type=Path, metavar="INDEX.json", help="index.json of the chunk's folder"
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    add_config_argument(parser)
    parser.set_defaults(run=run_normalise)


def _add_quality(subparsers) -> None:
    parser = subcommand(subparsers, "quality", "quality of every stored view as a table and a plot")
    parser.add_argument(
        "indexes", nargs="+", type=Path, metavar="INDEX.json", help="of every chunk, or their chunks.json"
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="QUALITY.csv",
        help="table to write; a plot of the same name lies beside it",
    )
    add_config_argument(parser)
    parser.set_defaults(run=run_quality)


def _add_recording(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="recording folder")
    parser.add_argument(
        "--recording", metavar="NAME", help="entry of the section recordings; default: the folder's name"
    )


def _add_complete(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--complete",
        action="store_true",
        help="add to the masks what they lack of the animal (the same as capture.mask_backend: complete)",
    )


def _read_capture(args: argparse.Namespace) -> CaptureConfig:
    config = read_config(args, CaptureConfig, "capture")
    return replace(config, mask_backend="complete") if args.complete else config


def run_readers(args: argparse.Namespace) -> None:
    """Print the calibration formats."""
    from mousefacelift.capture.readers import FORMATS

    for name, module in FORMATS.items():
        about = module.ABOUT
        print(f"{name}\n  holds      {about.holds}\n  tool       {about.tool}\n  checked    {about.checked}")
        print(f"  unit       {about.unit}\n  direction  {about.direction}\n  pixels     first centre at {about.pixels}")


def run_masks(args: argparse.Namespace) -> None:
    """Masks of a recording: its own, or made by the configured backend; the page that shows them."""
    from mousefacelift.capture.make_masks import ensure_masks
    from mousefacelift.capture.mask_page import mask_page
    from mousefacelift.capture.recording import open_recording
    from mousefacelift.capture.sources import open_source
    from mousefacelift.core.files import json_text, write_text
    from mousefacelift.core.spread import spread

    config = _read_capture(args)
    name, source = read_source(args)
    recording = open_recording(name, args.folder, source)
    given = recording.masks
    recording = ensure_masks(recording, config, args.made or Path(f"{name}_audit") / "masks", source, args.threads)
    if args.done:
        masks = dict(zip((camera.name for camera in recording.cameras), recording.masks))
        write_text(args.done, json_text(masks, indent=1))
    if args.show is None:
        return
    reader = open_source(next(mask for mask in recording.masks if mask))
    frames = range(source.span[0], min(source.span[1], reader.frames))
    reader.close()
    asked = range(*parse_frames(args.frames)) if args.frames else [frames[int(k)] for k in spread(len(frames), SHOWN)]
    if not any(frame in frames for frame in asked):
        raise ConfigError(
            "there is no frame to show", got=args.frames, expected=f"frames of {frames.start}:{frames.stop}"
        )
    before = given if config.mask_backend == "complete" else ()
    write_text(args.show, mask_page(recording, [frame for frame in asked if frame in frames], before))
    print(f"{args.show}: masks of {sum(map(bool, recording.masks))} cameras over their videos; look at them")


def run_audit(args: argparse.Namespace) -> None:
    """Audit a recording; a refusal is drawn beside where its rig would be."""
    from mousefacelift.capture.audit import audit
    from mousefacelift.capture.drawing import describe_rig, draw_rig, encode_png, page, say_rig
    from mousefacelift.capture.evidence import Evidence, draw_evidence
    from mousefacelift.capture.make_masks import ensure_masks
    from mousefacelift.capture.recording import open_recording
    from mousefacelift.core.files import write_bytes, write_text

    config = _read_capture(args)
    name, source = read_source(args)
    args.out = args.out or Path(f"{name}_audit") / "rig.json"
    args.out.parent.mkdir(parents=True, exist_ok=True)
    refused, evidence = args.out.with_suffix(".refused.png"), Evidence()
    try:
        recording = open_recording(name, args.folder, source)
        recording = ensure_masks(recording, config, args.out.parent / "masks", source, args.threads)
        rig = audit(recording, source, config.audit, evidence)
    except (CalibrationError, DataError) as error:
        drawn = draw_evidence(evidence)
        picture = None if drawn is None else encode_png(drawn)
        if picture:
            write_bytes(refused, picture)
            print(f"what disagrees is drawn in {refused}", file=sys.stderr)
        text = f"These cameras are not proven: {error.what}."
        write_text(args.out.with_suffix(".html"), page(name, text, str(error), picture))
        raise
    refused.unlink(missing_ok=True)
    picture, table = draw_rig(rig, evidence), describe_rig(rig)
    rig.write(args.out, args.folder)
    write_bytes(args.out.with_suffix(".png"), picture)
    write_text(args.out.with_suffix(".html"), page(name, say_rig(rig), table, picture))
    print(f"{table}\n{say_rig(rig)}")


def run_locate(args: argparse.Namespace) -> None:
    """Locate the animal in every frame of an audited recording."""
    from mousefacelift.capture.locate import locate_recording
    from mousefacelift.capture.rig import Rig
    from mousefacelift.capture.track import DISTANT_ZOOM, distant_factor, say_tilt
    from mousefacelift.core.cameras import CANONICAL_DISTANCE

    config = read_config(args, CaptureConfig, "capture")
    _, source = read_source(args)
    rig = Rig.read(args.rig, args.folder)
    if args.frames:
        source = replace(source, frames=parse_frames(args.frames))
    elif source.frames == WHOLE:
        source = replace(source, frames=(0, rig.frames))
    track = locate_recording(rig, source, config.locate, args.threads)
    track.write(args.out)
    print(
        f"{rig.recording}: {len(track.frames)} frames, {len(track.excluded)} excluded, cuts {track.cuts}, "
        f"zoom {track.zoom:.2f}, correlation time {track.correlation_time_s:.2f} s"
    )
    if track.zoom > DISTANT_ZOOM and config.locate.scale == "auto":
        print(
            f"  distant cameras: they stand {CANONICAL_DISTANCE * distant_factor(track.zoom):.1f} units from the "
            f"animal, not {CANONICAL_DISTANCE}, so that it is as long as models expect (capture.locate.scale)"
        )
    if tilt := say_tilt(track):
        print(f"  {tilt}")
    for reason in sorted(set(track.excluded.values())):
        print(f"  {sum(value == reason for value in track.excluded.values())} x {reason}")


def run_normalise(args: argparse.Namespace) -> None:
    """Write one chunk of canonical samples."""
    from mousefacelift.capture.normalise import normalise_chunk
    from mousefacelift.capture.rig import Rig
    from mousefacelift.capture.track import Track

    config = read_config(args, CaptureConfig, "capture")
    frames = range(*parse_frames(args.frames))
    rig, track = Rig.read(args.rig, args.folder), Track.read(args.track)
    document = normalise_chunk(args.out, rig, track, frames, config, args.threads)
    print(f"{len(document['items'])} samples in {args.out.parent}")


def run_quality(args: argparse.Namespace) -> None:
    """Gather the quality of all chunks of a recording."""
    from mousefacelift.capture.quality_table import quality_table, write_quality

    for name, value in write_quality(quality_table(expand_lists(args.indexes)), args.out).items():
        print(f"{name:<18} {value:.4g}")


def read_source(args: argparse.Namespace) -> tuple[str, RecordingSource]:
    """Name and source of the recording that the command works on; without a section `recordings` all its frames.

    Raises:
        ConfigError: the recording is not in the section `recordings`.
    """
    name = args.recording or args.folder.resolve().name
    mapping = config_mapping(args)
    if "recordings" not in mapping:
        return name, replace(RecordingSource(), frames=WHOLE)
    recordings = mapping["recordings"] or {}
    if name not in recordings:
        raise ConfigError(
            f"recording '{name}' is not in the section recordings",
            expected=", ".join(recordings),
            hint=None if args.recording else "name its entry by --recording; the folder's name is taken without",
        )
    return name, load(RecordingSource, recordings[name], f"recordings.{name}", mapping.get("exact", False))
