"""`mousefacelift report build`."""

from __future__ import annotations

from pathlib import Path

from mousefacelift.arguments import add_config_argument, read_config, subcommand


def add_commands(subparsers) -> None:
    parser = subcommand(subparsers, "build", "one HTML file with pictures and numbers of every stage")
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder of a run")
    parser.add_argument("--out", type=Path, default=Path("results/report/index.html"), help="page to write")
    add_config_argument(parser)
    parser.set_defaults(run=_build)


def _build(args) -> None:
    from mousefacelift.report.build import build_report
    from mousefacelift.report.config import ReportConfig

    sections = build_report(args.results, args.out, read_config(args, ReportConfig, "report"))
    print(
        f"{args.out}: {sum(len(section.blocks) for section in sections)} blocks in {len(sections)} sections, "
        f"{args.out.stat().st_size / 1e6:.1f} MB"
    )
