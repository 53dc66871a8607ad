"""CPU seconds of the jobs of a whole run, of two builds one after the other in turn, by rule; training left out.

    python benchmarks/demo_in_turn.py OLD NEW [--rules audit_rig fit_splats]

OLD and NEW are checkouts, each with a finished run in `results` (`snakemake --cores 2 all` in it). Every job of
`snakemake --forceall --dry-run` runs again in a folder of its build's own, where the pipeline comes about anew, with
the threads that its rule gives it; what is not run (training, other rules than those asked for) is copied. Kernels are
compiled into an empty folder a build, as on a fresh clone, in the pipeline's order, so that none is compiled twice.

Start is what is spent before the command, on imports wherever they are, and after it; kernels what numba took to
compile them; work the rest. User and system seconds of a job and its children, robust under load.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

# Runs in the job's process, whichever build it is of.
METER = """
import builtins, json, os, resource, sys, time
out, plain, spent, opened, state = os.environ.pop("METER_OUT"), builtins.__import__, [0.0, 0.0], [], [0, False]
class Listener:
    def on_start(self, event):
        opened.append(time.thread_time() - spent[0])
    def on_end(self, event):
        start = opened.pop()
        spent[1] += 0 if opened else time.thread_time() - spent[0] - start
def metered(*given, **named):
    start = time.thread_time() if not state[0] else None
    state[0] += 1
    try:
        return plain(*given, **named)
    finally:
        state[0] -= 1
        if start is not None:
            spent[0] += time.thread_time() - start
            if not state[1] and "numba.core.dispatcher" in sys.modules:
                state[1] = True
                from numba.core import event
                event.register("numba:compile", type("Listener", (Listener, event.Listener), {})())
def used():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) - spent[0]
builtins.__import__ = metered
from mousefacelift.cli import main
start = used()
code = main(sys.argv[1:])
json.dump([spent[1], used() - start - spent[1]], open(out, "w"))
import mousefacelift.__main__ as entry
entry.main = lambda: code
getattr(entry, "run", lambda: sys.exit(code))()
"""
Used = tuple[float, float, float]  # CPU seconds of a job: start, kernels, work
NOTHING = (0.0, 0.0, 0.0)


class Job(NamedTuple):
    """One job of a run: what the rule's shell is given, and the files that it makes."""

    rule: str
    threads: int
    command: str
    output: list[str]


def list_jobs(checkout: Path) -> list[Job]:
    """Jobs of `all`, in the pipeline's order."""
    command = f"{sys.executable} -m snakemake --cores 2 --forceall --dry-run --printshellcmds --nolock all".split()
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    text = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=True).stdout
    jobs = []
    for block in re.split(r"\n(?=(?:local)?(?:rule|checkpoint) \w+:\n)", text):
        shell = re.search(r"^Shell command: (python -m mousefacelift .*?)( >>results/logs/\S+ 2>&1)?$", block, re.M)
        if shell:
            threads, output = (re.search(rf"^    {name}: (.*)", block, re.M) for name in ("threads", "output"))
            count, made = int(threads[1]) if threads else 1, output[1].split(", ")
            jobs.append(Job(block.split()[1].rstrip(":"), count, shell[1], made))
    return jobs


def pair_jobs(old: list[Job], new: list[Job]) -> list[tuple[Job | None, Job | None]]:
    """Jobs of both builds that make the same file, in the order of `old`; then those that `new` alone has."""
    made = {job.output[0]: job for job in new}
    return [(job, made.pop(job.output[0], None)) for job in old] + [(None, job) for job in made.values()]


def copy_made(job: Job, checkout: Path, scratch: Path) -> None:
    """What `job` made in the finished run, and all beside it, but for the scans that a manifest keeps."""
    folder = Path(job.output[0]).parent
    shutil.copytree(checkout / folder, scratch / folder, ignore=shutil.ignore_patterns("parts"), dirs_exist_ok=True)


def run_job(job: Job, checkout: Path, scratch: Path) -> Used:
    """What `job` takes, run in `scratch`, which holds what it reads; ends the program when it fails."""
    for path in (scratch / path for path in job.output):
        path.parent.mkdir(parents=True, exist_ok=True)
    command = job.command.replace("python -m mousefacelift", f'{sys.executable} -c "$METER"', 1)
    environment = os.environ | {"PYTHONPATH": str(checkout), "NUMBA_CACHE_DIR": str(scratch / "kernels")}
    environment |= {"METER": METER, "METER_OUT": str(scratch / "meter.json")}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), str(job.threads))
    before = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    done = subprocess.run(["bash", "-c", f"{command} >log 2>&1"], cwd=scratch, env=environment)
    total = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before
    if done.returncode:
        raise SystemExit(f"{checkout}: {job.command}\n{(scratch / 'log').read_text()[-2000:]}")
    kernels, work = json.loads((scratch / "meter.json").read_text())
    return total - kernels - work, kernels, work


def print_table(rows: dict[str, list[tuple[Used, Used]]]) -> None:
    """A row a rule, the dearest of OLD first, and their sum; start, kernels and work of both."""
    sums = {rule: [tuple(map(sum, zip(*used))) for used in zip(*jobs)] for rule, jobs in rows.items()}
    order = sorted(sums, key=lambda rule: -sum(sums[rule][0]))
    sums["**all**"] = [tuple(map(sum, zip(*used))) for used in zip(*sums.values())]
    print("| rule (jobs) | CPU s | start and end | kernels | work |\n|---|---|---|---|---|")
    for rule in [*order, "**all**"]:
        old, new = sums[rule]
        parts = " | ".join(f"{one:.1f} -> {two:.1f}" for one, two in zip((sum(old), *old), (sum(new), *new)))
        print(f"| {rule}{f' ({len(rows[rule])})' if len(rows.get(rule, [])) > 1 else ''} | {parts} |")
    old, new = map(sum, sums["**all**"])
    print(f"\n{new / old:.3f} of the CPU seconds of the first")


def main() -> None:
    """Run all jobs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("builds", nargs=2, type=Path, metavar="BUILD")
    parser.add_argument("--rules", nargs="*", help="only these")
    args = parser.parse_args()
    builds, rows = [path.resolve() for path in args.builds], {}
    with tempfile.TemporaryDirectory() as folder:
        scratches = [Path(folder) / name for name in ("old", "new")]
        for pair in pair_jobs(*map(list_jobs, builds)):
            rule = next(job.rule for job in pair if job)
            chosen = not rule.startswith("train_") and (not args.rules or rule in args.rules)
            do = run_job if chosen else copy_made
            used = [do(*each) if each[0] else NOTHING for each in zip(pair, builds, scratches)]
            if chosen:
                rows.setdefault(rule, []).append(used)
                print(f"{rule}: {sum(used[0]):.2f} -> {sum(used[1]):.2f}", file=sys.stderr, flush=True)
    print_table(rows)


if __name__ == "__main__":
    main()
