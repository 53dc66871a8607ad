"""LGM beside GS-LRM: the same mixture, data, seeds and protocols, from the runs of one results folder.

    snakemake sweep --config 'sweep=["80-20","80-20.lgm"]'
    python benchmarks/reconstructors.py results --arms 80-20 80-20.lgm --seeds 0 1 2

Protocols A, B and C are those of the evaluation (views that were not shown); S asks the same networks for all other
views of unseen animals from one picture, as `benchmarks/prior.py` asks the prior. Every arm's row is a mean over seeds
with their standard deviation; the last row is the second arm minus the first, paired by seed. CPU seconds are those of
the training jobs (`results/benchmarks`), which for equal CPU time decide `train.steps` of the slower arm.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from one_view import judge, judged_animals

from mousefacelift.lrm.weights import read_model

METRICS = ("fg_psnr", "full_psnr", "iou")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--arms", nargs="+", default=["80-20", "80-20.lgm"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="the first is the pipeline's own")
    parser.add_argument("--judged", type=int, default=24, help="animals of protocol S")
    args = parser.parse_args()
    animals = judged_animals(args.judged)
    tables = {arm: arm_table(args.results, arm, args.seeds, animals) for arm in args.arms}
    for arm, table in tables.items():
        print_rows(arm, table)
    first, *others = tables
    for arm in others:
        print_rows(f"{arm} minus {first}", tables[arm] - tables[first])


def arm_table(results: Path, arm: str, seeds: list[int], animals: list) -> pd.DataFrame:
    """A row per seed, a column per protocol and metric, and the CPU seconds of the training."""
    rows = []
    for seed in seeds:
        run = arm if seed == seeds[0] else f"{arm}.seed{seed}"
        summary = json.loads((results / "evaluate" / run / "summary.json").read_text())
        row = {"train_cpu_s": pd.read_csv(results / f"benchmarks/train_lrm/{run}.tsv", sep="\t")["cpu_time"].iat[0]}
        for name, protocol in sorted(summary["protocols"].items()):
            row |= {f"{name} {metric}": protocol["held_out"]["model"][metric]["mean"] for metric in METRICS}
        model, sizes = read_model(results / "train" / run)
        scores = [judge(model, sample, sizes.image_size) for sample in animals]
        rows.append(row | {f"S {name}": np.mean([score[name] for score in scores]) for name in scores[0]})
    return pd.DataFrame(rows, index=seeds)


def print_rows(title: str, table: pd.DataFrame) -> None:
    """Mean and standard deviation over seeds of every column."""
    print(f"\n{title} ({len(table)} seeds)")
    for name in table:
        print(f"  {name:<16}{table[name].mean():>10.3f} +- {table[name].std():.3f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
