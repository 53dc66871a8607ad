"""Hours, jobs, disk and files of a large run, from what a finished small one of the same settings took.

    python benchmarks/cluster_plan.py --results results [--frames 18000] [--objects 80000] [--at-once 50]

Seconds are those of Snakemake's `benchmark` files, bytes and files those of the chunks. A job of a chunk takes what
those of the largest chunks took, its start included. What is made once (training, the generator, the report) stays as
it is; what reads all frames grows with their number, what reads all samples with that of their files, but for the
seconds of its start. Kernels are compiled once, whatever the number of jobs: take a run that found them on the disk
(the second one of a clone, into an empty folder of results).
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
# of one of these, seconds that do not grow: imports, workers (benchmarks/growth.py, from 100 and 1,000 frames)
START_S = {"build_manifest": 1.7, "verify_dataset": 0.7, "quality_table": 0.8}
LEAST_START_S = 0.5


class Job(NamedTuple):
    """One benchmark file: the last part of its name, which is its chunk's, seconds by the clock and of the CPU."""

    name: str
    seconds: float
    used: float


def read_jobs(benchmarks: Path) -> dict[str, list[Job]]:
    """The jobs of every rule."""
    found: dict[str, list[Job]] = {}
    for path in sorted(benchmarks.rglob("*.tsv")):
        rule = path.relative_to(benchmarks).parts[0].removesuffix(".tsv")
        with open(path, newline="") as stream:
            rows = csv.DictReader(stream, delimiter="\t")
            found.setdefault(rule, []).extend(Job(path.stem, float(r["s"]), float(r["cpu_time"])) for r in rows)
    return found


class Chunks(NamedTuple):
    """The chunks of one folder: numbers that their names span, the largest span, bytes and files."""

    span: int
    largest: int
    size: int
    files: int


def span_of(chunk: str) -> int:
    """How many numbers the name of a chunk spans."""
    first, last = map(int, chunk.split("-"))
    return last - first + 1


def read_chunks(results: Path, pattern: str) -> Chunks:
    """What the chunks below a folder of the results hold."""
    spans, size, files = [], 0, 0
    for index in results.glob(f"{pattern}/*/index.json"):
        spans.append(span_of(index.parent.name))
        for path in index.parent.rglob("*"):
            if path.is_file():
                size, files = size + path.stat().st_size, files + 1
    return Chunks(sum(spans), max(spans), size, files)


def plan(results: Path, frames: int, objects: int) -> list[dict]:
    """A row per rule: jobs, hours of the clock (of all its jobs together), CPU hours, GB and files."""
    jobs = read_jobs(results / "benchmarks")
    chunks = {rule: read_chunks(results, pattern) for rule, (pattern, _) in CHUNKED.items() if rule in jobs}
    planned = {rule: objects if CHUNKED[rule][1] else frames for rule in chunks}
    files = {rule: found.files * planned[rule] / found.span for rule, found in chunks.items()}
    more_files = sum(files.values()) / sum(found.files for found in chunks.values())
    rows = []
    for rule, own in jobs.items():
        row = {"rule": rule, "jobs": len(own), "gb": 0.0, "files": 0}
        seconds, used = sum(job.seconds for job in own), sum(job.used for job in own)
        if rule in chunks:
            found, count = chunks[rule], -(-planned[rule] // chunks[rule].largest)
            whole = [job for job in own if span_of(job.name) == found.largest]
            seconds, used = (count * sum(column) / len(whole) for column in list(zip(*whole))[1:])
            row |= {"jobs": count, "gb": found.size * planned[rule] / found.span / 1e9, "files": round(files[rule])}
        elif rule in (*OF_FRAMES, *OF_FILES):
            times = more_files if rule in OF_FILES else frames / chunks["normalise_frames"].span
            start = START_S.get(rule, LEAST_START_S)
            seconds, used = (min(s, start) + max(0.0, s - start) * times for s in (seconds, used))
        rows.append(row | {"hours": seconds / 3600, "cpu_hours": used / 3600})
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
