"""`mousefacelift embed ...`: vectors of a chunk of frames, and the files of a recording's embedding."""

from __future__ import annotations

from pathlib import Path

from mousefacelift.arguments import add_config_argument, read_config, subcommand
from mousefacelift.chunk_lists import expand_lists


def add_commands(subparsers) -> None:
    parser = subcommand(subparsers, "frames", "a heading-free vector of every frame of a chunk")
    parser.add_argument("--samples", type=Path, required=True, help="index.json of a chunk of capture")
    parser.add_argument("--weights", type=Path, default=None, help="of the prior; default: the shipped ones")
    parser.add_argument("--fits", type=Path, default=None, help="index.json of splat fits: their moments instead")
    parser.add_argument("--out", type=Path, required=True, help="index.json to write")
    add_config_argument(parser)
    parser.set_defaults(run=_frames)
    parser = subcommand(subparsers, "table", "parquet, CSV, NetCDF and NWB of a recording's vectors")
    parser.add_argument("indexes", type=Path, nargs="+", help="index.json of every chunk, or their list")
    parser.add_argument("--recording", required=True, help="its name in the table")
    parser.add_argument("--splits", type=Path, default=None, help="splits.json: the metric learns from train alone")
    parser.add_argument("--nwb", action="store_true", help="also embedding.nwb (needs the extra nwb)")
    parser.add_argument("--out", type=Path, required=True, help="folder")
    parser.set_defaults(run=_table)


def _frames(args) -> None:
    from mousefacelift.embed.chunk import embed_samples, embed_splats
    from mousefacelift.embed.config import EmbedConfig
    from mousefacelift.prior.model import SHIPPED

    config = read_config(args, EmbedConfig, "embed")
    if args.fits is not None:
        index = embed_splats(args.fits, args.samples, args.out)
    else:
        index = embed_samples(args.samples, args.weights or SHIPPED, args.out, config.steps)
    print(f"{args.out}: {len(index['items'])} frames, {sum(len(row['views']) for row in index['items'])} vectors")


def _table(args) -> None:
    from mousefacelift.embed.table import write_embedding

    quality = write_embedding(expand_lists(args.indexes), args.recording, args.out, args.splits, args.nwb)
    print(f"{args.out}: {quality['frames']} frames, {quality['views']} vectors of model {quality['model']}")
    for name, text in (("vectors", "as they are"), ("invariant", "without what cameras disagree about")):
        if quality[name]:
            all_moments, apart = (100 * quality[name][part]["share"] for part in ("all", "apart"))
            print(f"  {text}: own moment nearer in {all_moments:.1f} % of triples, {apart:.1f} % a second apart")
