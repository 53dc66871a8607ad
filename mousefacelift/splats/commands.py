"""Commands of the splats stage: fit, trust, novel, ring, export."""

from __future__ import annotations

import argparse
from pathlib import Path

from mousefacelift.arguments import (
    add_config_argument,
    lease_devices,
    read_config,
    read_held_out,
    read_seed,
    subcommand,
)
from mousefacelift.chunk_lists import expand_lists
from mousefacelift.core.splat_files import FORMATS
from mousefacelift.splats.config import SplatsConfig


def add_commands(subparsers) -> None:
    """Add the stage's sub-commands."""
    fit = _command(subparsers, "fit", "capture chunk -> one splat or field per frame", run_fit)
    fit.add_argument("index", type=Path, metavar="INDEX.json", help="index of a chunk of real samples")
    fit.add_argument(
        "--trust", required=True, type=Path, metavar="TRUST.json", help="says which fits are outliers of the recording"
    )
    fit.add_argument("--out", required=True, type=Path, metavar="INDEX.json", help="index.json of the chunk's folder")
    trust = _command(subparsers, "trust", "refit a few frames leaving cameras out -> calibration of trust", run_trust)
    trust.add_argument(
        "indexes", nargs="+", type=Path, metavar="INDEX.json", help="all chunks of real samples of one recording"
    )
    trust.add_argument("--out", required=True, type=Path, metavar="TRUST.json", help="calibration to write")
    for name, text in (("novel", "fits -> views in between the cameras"), ("ring", "fits -> the 32-view ring")):
        parser = _command(subparsers, name, text, run_views)
        parser.add_argument("fits", type=Path, metavar="INDEX.json", help="one chunk of fits")
        parser.add_argument(
            "--samples", type=Path, metavar="INDEX.json", help="the chunk of real samples, to refuse stale fits"
        )
        parser.add_argument("--trust", required=True, type=Path, metavar="TRUST.json", help="what `splats trust` wrote")
        parser.add_argument(
            "--out", required=True, type=Path, metavar="INDEX.json", help="index.json of the chunk's folder"
        )
        parser.set_defaults(kind=name)
    export = _command(subparsers, "export", "fits -> PLY or SPZ per frame, or a film", run_export)
    export.add_argument("indexes", nargs="+", type=Path, metavar="INDEX.json", help="chunks of fits")
    export.add_argument("--out", required=True, type=Path, metavar="PATH", help="folder, or the .mp4 file")
    export.add_argument(
        "--format",
        default="inria",
        choices=(*FORMATS, "mp4"),
        help="files of splats that other programs read (docs/splats.md), or a film",
    )
    export.add_argument("--size", type=int, default=512, help="px, for mp4")
    export.add_argument("--fps", type=float, default=10.0, help="for mp4")


def _command(subparsers, name: str, text: str, run) -> argparse.ArgumentParser:
    parser = subcommand(subparsers, name, text)
    add_config_argument(parser)
    parser.add_argument("--gpus", type=int, default=0, help="devices to lease; 0 runs on the CPU")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 takes torch's default")
    parser.set_defaults(run=run)
    return parser


def run_fit(args: argparse.Namespace) -> None:
    config = read_config(args, SplatsConfig, "splats")
    device = lease_devices(args)
    from mousefacelift.splats.chunk import fit_chunk
    from mousefacelift.splats.trust_calibration import read_trust

    limit = read_trust(args.trust).limit
    document = fit_chunk(
        args.index, args.out, config.fit, read_seed(args), limit, read_held_out(args), device, config.method
    )
    scores = [item["scores"] for item in document["items"] if item.get("scores")]
    mean = {name: sum(s[name] for s in scores) / len(scores) for name in scores[0]} if scores else {}
    print(
        f"{len(scores)} of {len(document['items'])} frames fitted; "
        + ", ".join(f"{k} {v:.4g}" for k, v in mean.items())
    )


def run_trust(args: argparse.Namespace) -> None:
    config = read_config(args, SplatsConfig, "splats")
    device = lease_devices(args)
    from mousefacelift.splats.trust_calibration import calibrate_recording

    document = calibrate_recording(
        expand_lists(args.indexes), args.out, config, read_seed(args), read_held_out(args), device
    )
    print(
        f"{len(document['rows'])} held-out views; left out one at a time: "
        + ", ".join(f"{k} {v:.4g}" for k, v in document["left_out_one"].items())
    )


def run_views(args: argparse.Namespace) -> None:
    config = read_config(args, SplatsConfig, "splats")
    device = lease_devices(args)
    from mousefacelift.splats.views_chunk import render_chunk

    document = render_chunk(args.fits, args.trust, args.out, config.novel, args.kind, args.samples, device)
    views = sum(item["views"] for item in document["items"])
    print(
        f"{views} views of {len(document['items'])} frames; refused {sum(len(i['refused']) for i in document['items'])}"
    )


def run_export(args: argparse.Namespace) -> None:
    read_config(args, SplatsConfig, "splats")
    lease_devices(args)
    from mousefacelift.splats.export import export_film, export_sequence

    if args.format == "mp4":
        print(export_film(expand_lists(args.indexes), args.out, args.size, args.fps))
    else:
        print(f"{len(export_sequence(expand_lists(args.indexes), args.out, args.format))} files in {args.out}")
