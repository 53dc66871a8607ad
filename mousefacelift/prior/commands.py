"""Commands of the prior: data, train. The pipeline runs them for `snakemake prior` alone; its results are shipped."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from mousefacelift.arguments import add_config_argument, parse_frames, read_config, read_seed, subcommand
from mousefacelift.chunks import frame_chunks
from mousefacelift.prior.config import PriorConfig


def add_commands(subparsers) -> None:
    """Add the stage's sub-commands."""
    parser = subcommand(subparsers, "data", "paint the training pictures of some individuals")
    parser.add_argument("--individuals", required=True, metavar="A:B", help="B excluded")
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder of .npy files, made whole or not at all"
    )
    add_config_argument(parser)
    parser.set_defaults(run=run_data)

    parser = subcommand(subparsers, "train", "train the network; goes on from a checkpoint in --out")
    parser.add_argument("--shards", required=True, type=Path, metavar="DIR", help="holds the folders of `prior data`")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="weights.safetensors is written last")
    parser.add_argument("--processes", type=int, default=1, help="that share every batch")
    add_config_argument(parser)
    parser.set_defaults(run=run_train)


def run_data(args: argparse.Namespace) -> None:
    """Paint one chunk of individuals."""
    from mousefacelift.prior.shards import write_shard

    start, stop, step = parse_frames(args.individuals)
    count = write_shard(args.out, range(start, stop, step), read_config(args, PriorConfig, "prior").data)
    print(f"{count} pictures of {len(range(start, stop, step))} individuals")


def run_train(args: argparse.Namespace) -> None:
    """Train to the last step. Two processes of one thread learn twice as fast as one process of two threads."""
    if args.processes > 1 and "WORLD_SIZE" not in os.environ:
        torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(args.processes)]
        subprocess.run([sys.executable, *torchrun, "-m", "mousefacelift", *sys.argv[1:]], check=True)
        return
    import torch

    from mousefacelift.prior.training import Trainer

    torch.set_num_threads(1)
    if "WORLD_SIZE" in os.environ:
        torch.distributed.init_process_group("gloo")
    config = read_config(args, PriorConfig, "prior")
    args.out.mkdir(parents=True, exist_ok=True)
    shards = [args.shards / name for name, _ in frame_chunks(0, config.data.individuals, 1, config.data.chunk)]
    Trainer(shards, args.out, config.training, read_seed(args), config.data.size).run()
