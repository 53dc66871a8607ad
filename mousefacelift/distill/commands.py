"""Commands of the distil stage: train, gate, views."""

from __future__ import annotations

import argparse
from pathlib import Path

from mousefacelift.arguments import add_config_argument, lease_devices, read_config, read_seed, subcommand
from mousefacelift.chunk_lists import expand_lists
from mousefacelift.distill.config import DistillConfig


def add_commands(subparsers) -> None:
    """Add the stage's sub-commands."""
    train = subcommand(subparsers, "train", "train the generator on the recording's own photos")
    train.add_argument("--frames", required=True, nargs="+", type=Path, metavar="INDEX.json", help="capture chunks")
    train.add_argument("--splits", required=True, type=Path, metavar="SPLITS.json", help="what `dataset split` wrote")
    train.add_argument(
        "--out", required=True, type=Path, metavar="FOLDER", help="folder; generator.json is written last"
    )
    train.add_argument(
        "--library", type=Path, default=None, metavar="FOLDER", help="what `distill library` wrote (generator nearest)"
    )
    _add_common(train)
    train.set_defaults(run=run_train)
    gate = subcommand(subparsers, "gate", "learn the gate's thresholds from the rig's own train frames")
    gate.add_argument("--frames", required=True, nargs="+", type=Path, metavar="INDEX.json", help="capture chunks")
    gate.add_argument("--splits", required=True, type=Path, metavar="SPLITS.json", help="what `dataset split` wrote")
    gate.add_argument("--out", required=True, type=Path, metavar="GATE.json", help="thresholds to write")
    _add_common(gate)
    gate.set_defaults(run=run_gate)
    views = subcommand(subparsers, "views", "generate, dedupe and gate the views of one chunk of frames")
    views.add_argument("--frames", required=True, type=Path, metavar="INDEX.json", help="one capture chunk")
    views.add_argument("--generator", required=True, type=Path, metavar="FOLDER", help="what `distill train` wrote")
    views.add_argument("--gate", required=True, type=Path, metavar="GATE.json", help="what `distill gate` wrote")
    views.add_argument("--out", required=True, type=Path, metavar="INDEX.json", help="index.json of the chunk's folder")
    _add_common(views)
    views.set_defaults(run=run_views)

    library = subcommand(subparsers, "library", "library of the train frames' rings: which filmed pose is nearest")
    library.add_argument("--rings", required=True, nargs="+", type=Path, metavar="INDEX.json", help="of `splats ring`")
    library.add_argument("--splits", required=True, type=Path, metavar="SPLITS.json", help="what `dataset split` wrote")
    library.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="folder; library.json is last")
    library.set_defaults(run=run_library)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--gpus", type=int, default=0, help="devices to lease; 0 is the CPU")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    add_config_argument(parser)


def _start(args: argparse.Namespace) -> DistillConfig:
    lease_devices(args)
    return read_config(args, DistillConfig, "distill")


def run_train(args: argparse.Namespace) -> None:
    """Train the generator."""
    config = _start(args)
    from mousefacelift.distill.train_generator import train_generator

    report = train_generator(
        expand_lists(args.frames), args.splits, args.out, config.generator, read_seed(args), args.library
    )
    for name in (n for n in ("generator", "copy", "mean") if n in report):
        print(f"{name:<10} foreground PSNR {report[name]['psnr']:.2f} dB, IoU {report[name]['iou']:.3f}")
    for alarm in report["alarms"]:
        print(f"alarm: {alarm}")


def run_gate(args: argparse.Namespace) -> None:
    """Learn the thresholds."""
    config = _start(args)
    from mousefacelift.distill.learn_gate import learn_gate

    for name, value in learn_gate(expand_lists(args.frames), args.splits, args.out, config.gate).values.items():
        print(f"{name:<12} {value:.3f}")


def run_views(args: argparse.Namespace) -> None:
    """Distil one chunk."""
    config = _start(args)
    from mousefacelift.distill.make_views import distill_views

    summary = distill_views(args.frames, args.generator, args.gate, args.out, config, read_seed(args))
    print(
        f"{summary['candidates']} candidates: {summary['status']}; accepted per frame "
        f"{summary['accepted_per_frame_median']:.0f} (median)"
    )


def run_library(args: argparse.Namespace) -> None:
    """Build the library of filmed poses."""
    from mousefacelift.distill.nearest.build import library_of_rings

    library = library_of_rings(expand_lists(args.rings), args.splits, args.out)
    print(f"{len(library.poses)} poses, {len(library.codes)} views in {args.out}")
