"""`mousefacelift check ...`: evaluation of an arm, and the table over arms."""

from __future__ import annotations

from pathlib import Path

from mousefacelift.commandline import add_config_argument, read_config


def add_commands(subparsers) -> None:
    parser = subparsers.add_parser("evaluate", help="predictions against truth, ladder, collapse, consistency")
    parser.add_argument("--predictions", type=Path, required=True, help="index.json of `lrm predict`")
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    add_config_argument(parser)
    parser.set_defaults(run=_evaluate)
    parser = subparsers.add_parser("single", help="protocol S: one picture in, every other view judged")
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="index.json of every test bed")
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    add_config_argument(parser)
    parser.set_defaults(run=_single)
    parser = subparsers.add_parser("compare", help="one table over the evaluations of several runs")
    parser.add_argument("summaries", type=Path, nargs="+", help="summary.json of each run")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write, one row per run, protocol and method")
    parser.add_argument(
        "--arms", type=Path, default=None, help="CSV to write, one row per arm: mean and spread over its seeds"
    )
    parser.set_defaults(run=_compare)


def _evaluate(args) -> None:
    from mousefacelift.check.config import EvaluateConfig
    from mousefacelift.check.evaluate import evaluate_arm
    from mousefacelift.check.table import format_summary

    summary = evaluate_arm(args.predictions, args.dataset, args.out, read_config(args, EvaluateConfig, "evaluate"))
    print(format_summary(summary))


def _single(args) -> None:
    from mousefacelift.check.config import EvaluateConfig
    from mousefacelift.check.single import evaluate_single
    from mousefacelift.check.table import format_single

    summary = evaluate_single(args.predictions, args.dataset, args.out, read_config(args, EvaluateConfig, "evaluate"))
    print(format_single(summary))


def _compare(args) -> None:
    from mousefacelift.check.table import compare_arms, compare_runs

    rows = compare_runs(args.summaries, args.out)
    if args.arms:
        compare_arms(rows, args.arms)
