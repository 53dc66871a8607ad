"""Peak memory of every rule of a finished run against the memory that the rule asks for.

    python benchmarks/memory.py [--results results]

Reads the `benchmark` files of Snakemake (`results/benchmarks`, column max_rss: the job and its children, asked every
few seconds, so that jobs of a second show less than they took) and `mem_mb` of the rules. Exits with 1 when a rule took
more than it asks for.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def asked_memory() -> dict[str, int]:
    """mem_mb of every rule that states a number."""
    found = {}
    for path in sorted((ROOT / "workflow/rules").glob("*.smk")):
        for name, body in re.findall(r"^rule (\w+):\n((?:(?:    .*)?\n)+)", path.read_text(), re.M):
            number = re.search(r"mem_mb=(\d+)", body)
            if number:
                found[name] = int(number[1])
    return found


def peak_memory(benchmarks: Path) -> dict[str, tuple[float, float, int]]:
    """(largest max_rss in MB, seconds of that job, number of jobs) of every rule."""
    found: dict[str, tuple[float, float, int]] = {}
    for path in sorted(benchmarks.rglob("*.tsv")):
        rule = path.relative_to(benchmarks).parts[0].removesuffix(".tsv")
        with open(path, newline="") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                peak = float(row["max_rss"]) if row["max_rss"] not in ("-", "NA") else 0.0
                most, seconds, jobs = found.get(rule, (-1.0, 0.0, 0))
                found[rule] = (*max((most, seconds), (peak, float(row["s"]))), jobs + 1)
    return found


def main() -> None:
    """Print the table, the fullest first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    args = parser.parse_args()
    asked, peaks = asked_memory(), peak_memory(args.results / "benchmarks")
    if not peaks:
        sys.exit(f"{args.results}/benchmarks holds no benchmark of a job")
    over = []
    print(f"{'rule':<22} {'jobs':>5} {'seconds':>8} {'peak MB':>8} {'mem_mb':>7} {'share':>6}")
    for rule, (peak, seconds, jobs) in sorted(peaks.items(), key=lambda item: -item[1][0] / asked.get(item[0], 1e9)):
        limit = asked[rule]
        print(f"{rule:<22} {jobs:>5} {seconds:>8.1f} {peak:>8.0f} {limit:>7} {peak / limit:>6.0%}")
        over += [rule] if peak > limit else []
    if over:
        sys.exit(f"more than they ask for: {', '.join(over)}")


if __name__ == "__main__":
    main()
