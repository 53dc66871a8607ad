"""Commands of the objects stage: survey, select, download, render, scans, plan, pack."""

from __future__ import annotations

import argparse
from pathlib import Path

from mousefacelift.arguments import add_config_argument, parse_frames, read_config, read_seed, subcommand
from mousefacelift.objects.config import ObjectsConfig


def add_commands(subparsers) -> None:
    """Add the stage's sub-commands."""
    parser = subcommand(subparsers, "survey", "a collection's features, licences, refusals and cost, from headers")
    parser.add_argument("source", metavar="FOLDER_OR_LIST", help="folder of mesh files, or a list of rows folder,uid")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="also write survey.json and survey.png there")
    add_config_argument(parser)
    parser.set_defaults(run=run_survey)

    parser = subcommand(subparsers, "select", "which objects: writes selection.json")
    parser.add_argument("--out", required=True, type=Path, metavar="SELECTION.json", help="file to write")
    parser.add_argument("--count", type=int, help="refuse a selection of fewer; default: objects.count")
    add_config_argument(parser)
    parser.set_defaults(run=run_select)

    parser = subcommand(subparsers, "download", "fetch the listed objects that are not here yet")
    parser.add_argument(
        "--selection", required=True, type=Path, metavar="SELECTION.json", help="what `objects select` wrote"
    )
    parser.add_argument("--count", required=True, type=int, metavar="N", help="the first N of it: objects.count")
    add_config_argument(parser)
    parser.set_defaults(run=run_download)

    parser = subcommand(subparsers, "render", "one chunk of the selection -> samples")
    parser.add_argument(
        "--selection", required=True, type=Path, metavar="SELECTION.json", help="what `objects select` wrote"
    )
    parser.add_argument("--objects", required=True, metavar="A:B", help="rows of the selection, B excluded")
    parser.add_argument(
        "--out", required=True, type=Path, metavar="INDEX.json", help="index.json of the chunk's folder"
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    add_config_argument(parser)
    parser.set_defaults(run=run_render)

    parser = subcommand(subparsers, "scans", "frames of a mesh sequence -> samples with their truth mesh")
    parser.add_argument(
        "--sequence",
        required=True,
        type=Path,
        metavar="PATH",
        help=".npz, truth folder of a virtual recording, folder of mesh files, or MAMMAL text files",
    )
    parser.add_argument("--name", required=True, help="of the sequence; for a recording's truth the recording's name")
    parser.add_argument(
        "--independent",
        action="store_true",
        help="the sequence shows no recording: it is split by its name, not with a recording's frames",
    )
    parser.add_argument("--poses", default="", metavar="POSES.npz", help="poses of an articulated mesh")
    parser.add_argument("--frames", metavar="A:B[:STEP]", help="a chunk of the sequence; default: all of it")
    parser.add_argument(
        "--out", required=True, type=Path, metavar="INDEX.json", help="index.json of the chunk's folder"
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    add_config_argument(parser)
    parser.set_defaults(run=run_scans)

    parser = subcommand(subparsers, "plan", "core hours, jobs and disk of a large run, from measured chunks")
    parser.add_argument("indexes", nargs="+", type=Path, metavar="INDEX.json", help="index.json of finished chunks")
    parser.add_argument("--objects", type=int, default=80_000, help="number of objects that the large run should have")
    parser.add_argument("--threads", type=int, default=2, help="cores that the measured chunks had")
    parser.add_argument("--hours", type=float, default=1.0, help="wall time that one array job should take")
    parser.set_defaults(run=run_plan)

    parser = subcommand(subparsers, "pack", "one finished chunk as one tar")
    parser.add_argument("index", type=Path, metavar="INDEX.json", help="of a finished chunk")
    parser.add_argument("--out", required=True, type=Path, metavar="CHUNK.tar", help="archive to write")
    parser.set_defaults(run=run_pack)


def run_survey(args: argparse.Namespace) -> None:
    """Print a collection's audit."""
    from mousefacelift.objects.survey import describe_survey, survey_objects, write_survey

    survey = survey_objects(args.source, read_config(args, ObjectsConfig, "objects"))
    print(describe_survey(survey))
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        write_survey(survey, args.out)


def run_select(args: argparse.Namespace) -> None:
    """Write the selection."""
    from mousefacelift.core.files import json_text, write_text
    from mousefacelift.objects.select import select_objects

    config = read_config(args, ObjectsConfig, "objects")
    count = config.count if args.count is None else args.count
    selection = select_objects(config, read_seed(args), count)
    write_text(args.out, json_text(selection, indent=1))
    of = f" of {len(selection['items'])}" if selection["items"] else ""
    print(f"{count}{of} objects of source {selection['source']}, left out {selection['left_out']}")


def run_download(args: argparse.Namespace) -> None:
    """Fetch the objects of a selection."""
    from mousefacelift.objects.download import download_objects, local_path
    from mousefacelift.objects.select import read_selection, selected_rows

    config = read_config(args, ObjectsConfig, "objects").download
    chosen = selected_rows(read_selection(args.selection), range(args.count))
    items = [item for item in chosen if "group" in item]
    failed = download_objects(items, config)["failed"]
    here = sum(local_path(item, config).is_file() for item in items)
    print(f"{here} of {len(items)} listed objects are in {config.folder}")
    for item in items:
        if item["uid"] in failed:
            print(f"  {item['uid']}: {failed[item['uid']]}")


def run_render(args: argparse.Namespace) -> None:
    """Render one chunk of the selection."""
    from mousefacelift.objects.batch import describe, render_chunk
    from mousefacelift.objects.select import read_selection

    first, last, _ = parse_frames(args.objects)
    config = read_config(args, ObjectsConfig, "objects")
    index = render_chunk(read_selection(args.selection), range(first, last), config, args.out, args.threads)
    print(describe(index))


def run_scans(args: argparse.Namespace) -> None:
    """Render frames of a mesh sequence."""
    from mousefacelift.objects.batch import describe
    from mousefacelift.objects.scans import Scan, render_scans

    frames = range(*parse_frames(args.frames)) if args.frames else None
    config = read_config(args, ObjectsConfig, "objects")
    scan = Scan(
        args.sequence,
        Path(args.poses) if args.poses else None,
        args.name,
        args.independent,
        config,
        read_seed(args),
        args.threads,
    )
    print(describe(render_scans(scan, args.out, frames)))


def run_plan(args: argparse.Namespace) -> None:
    """Print what a large run would cost."""
    from mousefacelift.objects.plan import describe_plan, plan_run

    print(describe_plan(plan_run(args.indexes, args.objects, args.threads, args.hours)))


def run_pack(args: argparse.Namespace) -> None:
    """Pack a chunk."""
    from mousefacelift.objects.pack import pack_chunk

    print(f"{pack_chunk(args.index, args.out)} files in {args.out}")
