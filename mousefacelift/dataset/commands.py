"""The commands `mousefacelift dataset ...`: split, build, verify, export, import, pack."""

from __future__ import annotations

import argparse
from pathlib import Path

from mousefacelift.arguments import add_config_argument, parse_frames, read_config, subcommand
from mousefacelift.chunk_lists import expand_lists, leftovers, write_list
from mousefacelift.core.sources import SOURCES

FORMATS_HELP = "facelift, nerfstudio, colmap, gobjaverse, zero123, openlrm, beast3d; long_lrm is only written"


def add_commands(subparsers) -> None:
    """Add the sub-commands of the group to its parser."""
    parser = subcommand(subparsers, "split", "tracks -> splits.json: time blocks with guard gaps")
    parser.add_argument("--track", type=Path, nargs="+", required=True, help="track.json of every recording")
    parser.add_argument("--out", type=Path, required=True, help="splits.json")
    parser.add_argument("--some", action="store_true", help="these are not all recordings that the configuration names")
    add_config_argument(parser)
    parser.set_defaults(run=run_split)

    parser = subcommand(subparsers, "list", "the chunks of a folder -> chunks.json, which stands for their paths")
    parser.add_argument("--frames", required=True, metavar="A:B[:STEP]", help="frames or objects, B excluded")
    parser.add_argument("--size", required=True, type=int, help="frames or objects of a chunk")
    parser.add_argument("--out", type=Path, required=True, metavar="chunks.json", help="beside the chunks")
    parser.set_defaults(run=run_list)

    parser = subcommand(subparsers, "build", "chunks of samples + splits.json -> manifest")
    parser.add_argument(
        "--index", type=Path, nargs="+", required=True, help="index.json of chunks of samples, or their chunks.json"
    )
    parser.add_argument("--splits", type=Path, required=True, help="splits.json")
    parser.add_argument("--out", type=Path, required=True, help="folder of the manifest")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    add_config_argument(parser)
    parser.set_defaults(run=run_build)

    parser = subcommand(subparsers, "verify", "hash every listed file again; names what changed, is missing or extra")
    parser.add_argument("dataset", type=Path, help="folder of the manifest")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.set_defaults(run=run_verify)
    _add_exchange(subparsers)


def _add_exchange(subparsers) -> None:
    parser = subcommand(subparsers, "export", "samples in a foreign format, or FaceLift lists")
    parser.add_argument("dataset", type=Path, help="folder of the manifest")
    parser.add_argument(
        "--format",
        required=True,
        help=FORMATS_HELP,
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--source", nargs="*", default=[], choices=SOURCES, help="only these sources")
    parser.add_argument("--limit", type=int, default=0, help="at most so many samples; 0 is all")
    parser.set_defaults(run=run_export)

    parser = subcommand(subparsers, "import", "foreign folders -> a chunk of samples, through the geometry gate")
    parser.add_argument(
        "folders", type=Path, nargs="+", help="one folder per object or scene, or one FaceLift list (.txt)"
    )
    parser.add_argument(
        "--format",
        required=True,
        help=FORMATS_HELP,
    )
    parser.add_argument("--out", type=Path, required=True, help="index.json of the new chunk")
    parser.add_argument("--source", required=True, choices=SOURCES, help="what the samples are")
    parser.add_argument("--licence", required=True, help="licence of the material")
    parser.add_argument("--recording", default="", help="recording of real samples")
    add_config_argument(parser)
    parser.set_defaults(run=run_import)

    parser = subcommand(
        subparsers, "pack", "webdataset shards beside the manifest, for slow file systems (loader.store: shards)"
    )
    parser.add_argument("dataset", type=Path, help="folder of the manifest")
    parser.add_argument(
        "--split", nargs="+", default=["train"], choices=("train", "val", "test"), help="splits that are packed"
    )
    parser.set_defaults(run=run_pack)


def run_split(args: argparse.Namespace) -> None:
    """Split recordings and print one line for each."""
    from mousefacelift.dataset.config import DatasetConfig
    from mousefacelift.dataset.splits import split_recordings

    config = read_config(args, DatasetConfig, "dataset")
    splits = split_recordings([_read_track(path) for path in args.track], config.splits, args.some)
    splits.write(args.out)
    for recording, facts in splits.facts.items():
        labels = list(splits.recordings[recording].values())
        counts = ", ".join(f"{name} {labels.count(name)}" for name in ("train", "val", "test", "guard"))
        print(
            f"{recording}: {counts}; guard {facts['guard_s']:.2f} s (measured correlation "
            f"{facts['correlation_time_s']:.2f} s)"
        )


def run_list(args: argparse.Namespace) -> None:
    """List the chunks of a folder."""
    print(f"{write_list(args.out, parse_frames(args.frames), args.size)} chunks")
    for folder in leftovers(args.out):
        print(f"not among them: {folder}, of another configuration; kept for when it comes back")


def run_build(args: argparse.Namespace) -> None:
    """Build the manifest and print what is in it."""
    from mousefacelift.core.splits import Splits
    from mousefacelift.dataset.build import build_dataset
    from mousefacelift.dataset.config import DatasetConfig

    indexes = expand_lists(args.index)
    config = read_config(args, DatasetConfig, "dataset")
    header = build_dataset(indexes, Splits.read(args.splits), args.out, config, args.jobs)
    for source, entry in header["sources"].items():
        splits = ", ".join(f"{name} {count}" for name, count in entry["per_split"].items())
        print(
            f"{source:10s} {entry['accepted']} of {entry['samples']} samples accepted ({splits}), {entry['images']} "
            "images, "
            f"{entry['angles']} angles"
        )
    counts = header["counts"]
    print(
        f"mouse training samples: {counts['mouse_samples']} folders, {counts['mouse_items']} reference views by index, "
        f"{counts['mouse_items_augmented']} with mirroring"
    )


def run_verify(args: argparse.Namespace) -> None:
    """Verify and fail with exit code 2 when anything differs."""
    from mousefacelift.dataset.verify import verify_dataset
    from mousefacelift.errors import DataError

    verdict = verify_dataset(args.dataset, args.jobs)
    if not verdict["passed"]:
        raise DataError(
            f"dataset {args.dataset} does not verify",
            got="\n  ".join([f"{verdict['problem_count']} problems", *verdict["problems"][:20]]),
            hint="rerun the stages that made these, then mousefacelift dataset build",
        )
    print(f"{verdict['files']} files, {verdict['bytes'] / 1e6:.1f} MB: all as the manifest says")


def run_export(args: argparse.Namespace) -> None:
    """Export and print the number of samples per split."""
    from mousefacelift.dataset.exchange import export_samples
    from mousefacelift.dataset.manifest import Manifest

    counts = export_samples(Manifest.open(args.dataset), args.format, args.out, tuple(args.source), args.limit)
    print(f"{args.out}: " + ", ".join(f"{split} {count}" for split, count in counts.items()))


def run_import(args: argparse.Namespace) -> None:
    """Import and print what was refused."""
    from mousefacelift.core.records import SampleFacts
    from mousefacelift.dataset.config import DatasetConfig
    from mousefacelift.dataset.exchange import import_folders
    from mousefacelift.dataset.formats.facelift import read_list

    config = read_config(args, DatasetConfig, "dataset")
    folders = (
        read_list(args.folders[0]) if len(args.folders) == 1 and args.folders[0].suffix == ".txt" else args.folders
    )
    facts = SampleFacts(args.source, args.recording, licence=args.licence)
    document = import_folders(folders, args.format, args.out, facts, config.gate)
    refused = [item for item in document["items"] if item["status"] != "done"]
    print(f"{args.out}: {len(document['items']) - len(refused)} imported, {len(refused)} refused")
    for item in refused[:20]:
        print(f"  {item['name']}: {item['reason']}")


def run_pack(args: argparse.Namespace) -> None:
    """Pack a split and print the shards."""
    from mousefacelift.dataset.manifest import Manifest
    from mousefacelift.dataset.shards import write_shards

    for path in write_shards(Manifest.open_verified(args.dataset), args.split):
        print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")


def _read_track(path: Path) -> dict:
    from mousefacelift.core.json_parts import read_json_keys

    shape = {"recording": str, "frames": [int], "fps": float, "cuts?": [int], "correlation_time_s?": (float, None)}
    return read_json_keys(path, shape, "track")
