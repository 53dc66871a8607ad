"""Hours, jobs, disk and files of a large run, from what a finished small one of the same settings took.

    python benchmarks/cluster_plan.py --results results [--frames 18000] [--objects 80000] [--at-once 50]

Seconds of every job are those of Snakemake's `benchmark` files (start of the process included, which large runs pay
too: their chunks are as large), bytes and files those of the chunks. What is made once (training, the generator, the
report) stays as it is; what reads all frames grows with their number, what reads all samples with that of their files.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import NamedTuple

# rule: (folder of its chunks, whether its items are objects)
CHUNKED = {
    "normalise_frames": ("capture/*/samples", False),
    "distill_views": ("distill/*/samples", False),
    "fit_splats": ("splats/*/fits", False),
    "render_novel": ("splats/*/samples", False),
    "render_ring": ("splats/*/ring", False),
    "render_objects": ("objects/samples", True),
}
OF_FRAMES = ("virtual_recording", "locate_animal", "quality_table")  # grow with the frames of the recording
OF_FILES = ("build_manifest", "verify_dataset")  # grow with the files of all samples
START_S = 1.5  # of one of these: imports and compiled code, which do not grow


def read_jobs(benchmarks: Path) -> dict[str, list[tuple[float, float]]]:
    """(seconds, CPU seconds) of every job of every rule."""
    found: dict[str, list[tuple[float, float]]] = {}
    for path in sorted(benchmarks.rglob("*.tsv")):
        rule = path.relative_to(benchmarks).parts[0].removesuffix(".tsv")
        with open(path, newline="") as stream:
            found.setdefault(rule, []).extend(
                (float(row["s"]), float(row["cpu_time"])) for row in csv.DictReader(stream, delimiter="\t")
            )
    return found


class Chunks(NamedTuple):
    """The chunks of one folder: numbers that their names span, chunks, the largest span, bytes and files."""

    span: int
    count: int
    largest: int
    size: int
    files: int


def read_chunks(results: Path, pattern: str) -> Chunks:
    """What the chunks below a folder of the results hold."""
    spans, size, files = [], 0, 0
    for index in results.glob(f"{pattern}/*/index.json"):
        first, last = map(int, index.parent.name.split("-"))
        spans.append(last - first + 1)
        for path in index.parent.rglob("*"):
            if path.is_file():
                size, files = size + path.stat().st_size, files + 1
    return Chunks(sum(spans), len(spans), max(spans), size, files)


def plan(results: Path, frames: int, objects: int) -> list[dict]:
    """A row per rule: jobs, hours of the clock (of all its jobs together), CPU hours, GB and files."""
    jobs = read_jobs(results / "benchmarks")
    chunks = {rule: read_chunks(results, pattern) for rule, (pattern, _) in CHUNKED.items() if rule in jobs}
    planned = {rule: objects if CHUNKED[rule][1] else frames for rule in chunks}
    files = {rule: found.files * planned[rule] / found.span for rule, found in chunks.items()}
    more_files = sum(files.values()) / sum(found.files for found in chunks.values())
    rows = []
    for rule, own in jobs.items():
        seconds, used = (sum(column) for column in zip(*own))
        start = 0.0
        row = {"rule": rule, "jobs": len(own), "gb": 0.0, "files": 0}
        times = 1.0
        if rule in chunks:
            found, times = chunks[rule], planned[rule] / chunks[rule].span
            row |= {"jobs": -(-planned[rule] // found.largest), "gb": found.size * times / 1e9}
            row["files"] = round(files[rule])
        elif rule in (*OF_FRAMES, *OF_FILES):
            times, start = more_files if rule in OF_FILES else frames / chunks["normalise_frames"].span, START_S
        hours, cpu_hours = ((min(s, start) + max(0.0, s - start) * times) / 3600 for s in (seconds, used))
        rows.append(row | {"hours": hours, "cpu_hours": cpu_hours})
    return sorted(rows, key=lambda row: -row["cpu_hours"])


def main() -> None:
    """Print the plan."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--frames", type=int, default=18_000)
    parser.add_argument("--objects", type=int, default=80_000)
    parser.add_argument("--at-once", type=int, default=50, help="jobs that the cluster runs side by side")
    args = parser.parse_args()
    rows = plan(args.results, args.frames, args.objects)
    print(f"{'rule':<20} {'jobs':>6} {'job hours':>9} {'CPU hours':>9} {'GB':>7} {'files':>9}")
    for row in rows:
        if row["hours"] >= 0.01:
            print(
                f"{row['rule']:<20} {row['jobs']:>6} {row['hours']:>9.2f} {row['cpu_hours']:>9.2f} {row['gb']:>7.2f} "
                f"{row['files']:>9}"
            )
    spread = sum(row["hours"] for row in rows if row["rule"] in CHUNKED) / args.at_once
    alone = sum(row["hours"] for row in rows if row["rule"] not in CHUNKED)
    print(
        f"{args.frames} frames and {args.objects} objects: {sum(row['cpu_hours'] for row in rows):.0f} CPU hours, "
        f"{sum(row['gb'] for row in rows):.0f} GB, {sum(row['files'] for row in rows) / 1e6:.2f} million files; with "
        f"{args.at_once} jobs at once {spread:.1f} hours of chunks, and at most {alone:.1f} hours of what is made once"
    )


if __name__ == "__main__":
    main()
