"""Command of the virtual stage: record."""

from __future__ import annotations

import argparse
from pathlib import Path

from mousefacelift.arguments import add_config_argument, read_config, read_seed, subcommand
from mousefacelift.virtual.config import VirtualConfig


def add_commands(subparsers) -> None:
    """Add the stage's sub-command."""
    parser = subcommand(subparsers, "record", "make a recording with known truth, in the public layout")
    parser.add_argument(
        "--recording", required=True, metavar="NAME", help="name; different names are different animals"
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="recording folder; recording.json is written last"
    )
    add_config_argument(parser)
    parser.set_defaults(run=run_record)


def run_record(args: argparse.Namespace) -> None:
    """Write a virtual recording."""
    from mousefacelift.virtual.record import write_recording

    write_recording(args.out, args.recording, read_config(args, VirtualConfig, "virtual"), read_seed(args))
