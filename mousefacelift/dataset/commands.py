"""The commands `mousefacelift dataset ...`: split, build, verify, schedule, export, import, pack."""

from __future__ import annotations

import argparse
from pathlib import Path

from mousefacelift.commandline import add_config_argument, read_config


def add_commands(subparsers) -> None:
    """Add the sub-commands of the group to its parser."""
    parser = subparsers.add_parser("split", help="tracks -> splits.json: time blocks with guard gaps")
    parser.add_argument("--track", type=Path, nargs="+", required=True, help="track.json of every recording")
    parser.add_argument("--out", type=Path, required=True, help="splits.json")
    add_config_argument(parser)
    parser.set_defaults(run=run_split)

    parser = subparsers.add_parser("build", help="chunks of samples + splits.json -> manifest")
    parser.add_argument("--index", type=Path, nargs="*", default=[], help="index.json of chunks of samples")
    parser.add_argument("--index-list", type=Path, help="text file with one index.json a line")
    parser.add_argument("--splits", type=Path, required=True, help="splits.json")
    parser.add_argument("--out", type=Path, required=True, help="folder of the manifest")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    add_config_argument(parser)
    parser.set_defaults(run=run_build)

    parser = subparsers.add_parser("verify", help="hash every listed file again; names what changed, is missing or extra")
    parser.add_argument("dataset", type=Path, help="folder of the manifest")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.set_defaults(run=run_verify)


def run_split(args: argparse.Namespace) -> None:
    """Split recordings and print one line for each."""
    from mousefacelift.dataset.config import DatasetConfig
    from mousefacelift.dataset.splits import split_recordings, write_splits

    config = read_config(args, DatasetConfig, "dataset")
    document = split_recordings([_read_track(path) for path in args.track], config.splits)
    write_splits(args.out, document)
    for recording, facts in document["facts"].items():
        labels = list(document["recordings"][recording].values())
        counts = ", ".join(f"{name} {labels.count(name)}" for name in ("train", "val", "test", "guard"))
        print(f"{recording}: {counts}; guard {facts['guard_s']:.2f} s (measured correlation {facts['correlation_time_s']:.2f} s)")


def run_build(args: argparse.Namespace) -> None:
    """Build the manifest and print what is in it."""
    from mousefacelift.dataset.build import build_dataset
    from mousefacelift.dataset.config import DatasetConfig
    from mousefacelift.dataset.splits import read_splits
    from mousefacelift.errors import ConfigError

    indexes = list(args.index)
    if args.index_list is not None:
        indexes += [Path(line) for line in args.index_list.read_text().split() if line]
    if not indexes:
        raise ConfigError("no chunk to build a dataset from", hint="--index CHUNK/index.json ... or --index-list FILE")
    config = read_config(args, DatasetConfig, "dataset")
    header = build_dataset(indexes, read_splits(args.splits), args.out, config, args.jobs)
    for source, entry in header["sources"].items():
        splits = ", ".join(f"{name} {count}" for name, count in entry["per_split"].items())
        print(f"{source:10s} {entry['accepted']} of {entry['samples']} samples accepted ({splits}), {entry['images']} images, "
              f"{entry['angles']} angles")
    counts = header["counts"]
    print(f"mouse training samples: {counts['mouse_samples']} folders, {counts['mouse_items']} reference views by index, "
          f"{counts['mouse_items_augmented']} with mirroring")


def run_verify(args: argparse.Namespace) -> None:
    """Verify and fail with exit code 2 when anything differs."""
    from mousefacelift.dataset.verify import verify_dataset
    from mousefacelift.errors import DataError

    verdict = verify_dataset(args.dataset, args.jobs)
    if not verdict["passed"]:
        raise DataError(f"dataset {args.dataset} does not verify", got="\n  ".join([f"{verdict['problem_count']} problems",
                        *verdict["problems"][:20]]), hint="rerun the stages that made these, then mousefacelift dataset build")
    print(f"{verdict['files']} files, {verdict['bytes'] / 1e6:.1f} MB: all as the manifest says")


def _read_track(path: Path) -> dict:
    import json

    from mousefacelift.errors import DataError

    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"track {path} cannot be read", got=str(error), hint="mousefacelift capture locate") from error
