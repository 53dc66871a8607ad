"""Commands of the distil stage: train, gate, views."""

from __future__ import annotations

import argparse
from pathlib import Path

from mousefacelift.arguments import add_config_argument, lease_devices, read_config, read_seed
from mousefacelift.chunk_lists import expand_lists
from mousefacelift.distill.config import DistillConfig


def add_commands(subparsers) -> None:
    """Add the stage's sub-commands."""
    train = subparsers.add_parser("train", help="train the generator on the recording's own photos")
    train.add_argument("--frames", required=True, nargs="+", type=Path, metavar="INDEX.json", help="capture chunks")
    train.add_argument("--splits", required=True, type=Path, metavar="SPLITS.json")
    train.add_argument(
        "--out", required=True, type=Path, metavar="FOLDER", help="folder; generator.json is written last"
    )
    train.add_argument(
        "--library", type=Path, default=None, metavar="FOLDER", help="what `distill library` wrote (generator nearest)"
    )
    _add_common(train)
    train.set_defaults(run=run_train)
    gate = subparsers.add_parser("gate", help="learn the gate's thresholds from the rig's own train frames")
    gate.add_argument("--frames", required=True, nargs="+", type=Path, metavar="INDEX.json")
    gate.add_argument("--splits", required=True, type=Path, metavar="SPLITS.json")
    gate.add_argument("--out", required=True, type=Path, metavar="GATE.json")
    _add_common(gate)
    gate.set_defaults(run=run_gate)
    views = subparsers.add_parser("views", help="generate, dedupe and gate the views of one chunk of frames")
    views.add_argument("--frames", required=True, type=Path, metavar="INDEX.json", help="one capture chunk")
    views.add_argument("--generator", required=True, type=Path, metavar="FOLDER", help="what `distill train` wrote")
    views.add_argument("--gate", required=True, type=Path, metavar="GATE.json", help="what `distill gate` wrote")
    views.add_argument("--out", required=True, type=Path, metavar="INDEX.json")
    _add_common(views)
    views.set_defaults(run=run_views)

    library = subparsers.add_parser("library", help="library of the train frames' rings: which filmed pose is nearest")
    library.add_argument("--rings", required=True, nargs="+", type=Path, metavar="INDEX.json", help="of `splats ring`")
    library.add_argument("--splits", required=True, type=Path, metavar="SPLITS.json")
    library.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="folder; library.json is last")
    library.set_defaults(run=run_library)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--gpus", type=int, default=0, help="devices to lease; 0 is the CPU")
    parser.add_argument("--threads", type=int, default=2)
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
