"""`mousefacelift check ...`: evaluation of an arm, and the table over arms."""

from __future__ import annotations

from pathlib import Path

from mousefacelift.arguments import add_config_argument, read_config, subcommand


def add_commands(subparsers) -> None:
    parser = subcommand(subparsers, "evaluate", "predictions against truth, ladder, collapse, consistency")
    parser.add_argument("--predictions", type=Path, required=True, help="index.json of `lrm predict`")
    parser.add_argument("--dataset", type=Path, required=True, help="folder of a verified dataset")
    parser.add_argument("--out", type=Path, required=True, help="folder: metrics.parquet, summary.json, sheet.png")
    add_config_argument(parser)
    parser.set_defaults(run=_evaluate)
    parser = subcommand(subparsers, "single", "protocol S: one picture in, every other view judged")
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="index.json of every test bed")
    parser.add_argument("--dataset", type=Path, required=True, help="folder of a verified dataset")
    parser.add_argument("--out", type=Path, required=True, help="folder: views.parquet, summary.json, pictures")
    add_config_argument(parser)
    parser.set_defaults(run=_single)
    parser = subcommand(subparsers, "decide", "what to use, why, how sure, and where not to trust it")
    parser.add_argument("--evaluations", type=Path, nargs="*", default=[], help="summary.json of each run")
    parser.add_argument("--single", type=Path, default=None, help="summary.json of protocol S")
    parser.add_argument("--out", type=Path, required=True, help="decision.json to write; pictures lie beside it")
    add_config_argument(parser)
    parser.set_defaults(run=_decide)
    parser = subcommand(subparsers, "foreign", "splats, meshes or views of any other method on the same ladder")
    parser.add_argument("--predictions", type=Path, required=True, help="folder with one file or folder per moment")
    parser.add_argument("--dataset", type=Path, required=True, help="folder of a verified dataset")
    parser.add_argument("--inputs", type=int, nargs="+", required=True, help="rig cameras that the method was given")
    parser.add_argument("--white-is-empty", action="store_true", help="pictures without alpha: white is background")
    parser.add_argument("--out", type=Path, required=True, help="folder: tables, predictions, pictures")
    add_config_argument(parser)
    parser.set_defaults(run=_foreign)
    parser = subcommand(subparsers, "compare", "one table over the evaluations of several runs")
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


def _decide(args) -> None:
    from mousefacelift.check.config import EvaluateConfig
    from mousefacelift.check.decide import decide

    decision = decide(args.evaluations, args.single, args.out, read_config(args, EvaluateConfig, "evaluate"))
    print(decision["verdict"]["text"])


def _foreign(args) -> None:
    from mousefacelift.check.config import EvaluateConfig
    from mousefacelift.check.foreign import score_foreign
    from mousefacelift.check.table import format_foreign

    config = read_config(args, EvaluateConfig, "evaluate")
    result = score_foreign(args.predictions, args.dataset, args.out, args.inputs, config, args.white_is_empty)
    print(format_foreign(result))


def _compare(args) -> None:
    from mousefacelift.check.table import compare_arms, compare_runs

    rows = compare_runs(args.summaries, args.out)
    if args.arms:
        compare_arms(rows, args.arms)
