"""`mousefacelift status`: how far a run of the pipeline is, from its log and result files alone.

Reads the newest log of Snakemake (`.snakemake/log`), the logs of its jobs and the folders of unfinished chunks; works
while the run goes on, after it was killed, and on another machine of the same file system.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from mousefacelift.chunk_lists import LIST, leftovers
from mousefacelift.errors import DataError

TIME = re.compile(r"\[(\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4})\]")


@dataclass
class Job:
    """One job of the log: when it began and ended, how often it failed."""

    rule: str
    output: str = ""
    log: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    failures: int = 0
    message: str = ""  # of the last failure, where the executor has one (SLURM's state and reason)

    @property
    def seconds(self) -> float:
        """From its (last) start to its end; 0 while it is not finished."""
        return (self.ended - self.started).total_seconds() if self.ended and self.started else 0.0


@dataclass
class RunLog:
    """What a log of Snakemake tells: jobs planned by rule, and every job that was started."""

    planned: Counter = field(default_factory=Counter)
    jobs: dict[str, Job] = field(default_factory=dict)
    first: datetime | None = None
    last: datetime | None = None
    over: bool = False


def add_command(subparsers) -> None:
    parser = subparsers.add_parser(
        "status",
        help="how far a run is: jobs, items, rates, time left, retries",
        description="how far a run is: jobs, items, rates, time left, retries",
    )
    parser.add_argument("folder", type=Path, nargs="?", default=Path("."), help="folder in which snakemake runs")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the report."""
    for line in report(args.folder):
        print(line)


def newest_log(folder: Path) -> Path:
    """The log of the last run that planned jobs (dry runs and unlocks plan none to do).

    Raises:
        DataError: no run has been started there.
    """
    logs = sorted((folder / ".snakemake/log").glob("*.snakemake.log"), reverse=True)
    chosen = next((log for log in logs if "\nSelect jobs to execute" in log.read_text(errors="replace")), None)
    if chosen is None:
        raise DataError(
            f"no run of the pipeline was started in {folder.resolve()}",
            where=str(folder / ".snakemake/log"),
            hint="mousefacelift status FOLDER, the one in which snakemake runs",
        )
    return chosen


def read_log(path: Path) -> RunLog:
    """The jobs of a log of Snakemake."""
    found, now, job = RunLog(), None, Job("")
    lines = iter(path.read_text(errors="replace").splitlines())
    for line in lines:
        if match := TIME.match(line):
            now = datetime.strptime(match[1], "%a %b %d %H:%M:%S %Y")
            found.first, found.last = found.first or now, now
        elif line.startswith("Logfile ") and line.endswith(":"):
            _skip_logfile(lines)
        elif line.startswith("Job stats:"):
            found.planned |= Counter(dict(_stats(lines)))
        elif match := re.match(r"(?:local)?(?:rule|checkpoint) (\w+):$", line):
            job = Job(match[1], started=now)
        elif match := re.match(r"    (output|log): (\S+?),?(?: |$)", line):
            setattr(job, match[1], match[2])
        elif match := re.match(r"    jobid: (\d+)$", line):
            known = found.jobs.get(match[1])
            if known:
                job.failures, job.message = known.failures, known.message
            if not (known and known.rule == job.rule and known.output and not job.output):
                found.jobs[match[1]] = job
        elif match := re.match(r"Finished jobid: (\d+)", line):
            found.jobs.setdefault(match[1], Job("?")).ended = now
        elif match := re.match(r"Error in rule (\w+)", line):
            job = Job(match[1])  # the lines that follow repeat the job's own
            _count_failure(found, lines)
        found.over |= line.startswith(("Complete log", "Exiting because a job execution failed", "Shutting down"))
    return found


def _skip_logfile(lines: Iterator[str]) -> None:
    """Pass over the repeated log of a failed job: in one of SLURM a second Snakemake tells the same failure."""
    next(lines, "")
    for line in lines:
        if line == "=" * 80:
            return


def _stats(lines: Iterator[str]) -> Iterator[tuple[str, int]]:
    for line in lines:
        match = re.match(r"(\w+) +(\d+)$", line)
        if not line.strip() or line.startswith("total"):
            return
        if match:
            yield match[1], int(match[2])


def _count_failure(found: RunLog, lines: Iterator[str]) -> None:
    message = ""
    for line in lines:
        if match := re.match(r"    message: (.*)$", line):
            message = match[1].split("For further error details")[0].strip(" .").removeprefix("None")
        elif match := re.match(r"    jobid: (\d+)$", line):
            job = found.jobs.setdefault(match[1], Job("?"))
            job.failures, job.message = job.failures + 1, message
            return
        if not line.startswith("    "):
            return


def items_of(folder: Path, job: Job) -> tuple[int, int]:
    """Items of a chunk job that are done, and in all (0 where its log does not say)."""
    if not job.output.endswith("/index.json"):
        return 0, 0
    chunk = (folder / job.output).parent
    if job.ended:
        done = sum(1 for path in chunk.iterdir() if path.is_dir()) if chunk.is_dir() else 0
        return done, done
    work = [path for path in chunk.parent.glob(f".{chunk.name}.*.work")] if chunk.parent.is_dir() else []
    done = max((sum(1 for p in w.iterdir() if not p.name.startswith(".")) for w in work), default=0)
    totals = re.findall(r"\| *\d+/(\d+) \[", tail(folder / job.log))
    return done, int(totals[-1]) if totals else 0


def tail(path: Path, size: int = 20_000) -> str:
    """The end of a job's log; "" where there is none."""
    if not path.is_file():
        return ""
    with open(path, "rb") as stream:
        stream.seek(max(0, path.stat().st_size - size))
        return stream.read().decode(errors="replace").replace("\r", "\n")


def reason_of(folder: Path, job: Job) -> str:
    """What the executor said of a job's last failure, and the last error in its log, one line."""
    said = [job.message] if job.message else []
    found = re.findall(
        r"(?:^|\])(\w*(?:Error|Failure|MissingWeights|Killed|Exception)\b.*)$", tail(folder / job.log), re.M
    )
    said += [found[-1]] if found else []
    return "; ".join(said)[:240] if said else f"see {job.log}" if job.log else "no log"


def last_news(folder: Path, log: Path, jobs: list[Job]) -> datetime:
    """When the run last wrote anything: its log, or the logs of the jobs that are not finished."""
    times = [log.stat().st_mtime]
    for job in jobs:
        path = folder / job.log
        if job.log and not job.ended and path.is_file():
            times.append(path.stat().st_mtime)
    return datetime.fromtimestamp(max(times))


def items_line(items: list[tuple[int, int]], planned: int) -> str:
    """Items done of all items of a rule's `planned` jobs; `~` where the jobs that have not begun are taken for as large
    as those that have."""
    known = [total for _, total in items if total]
    if not known:
        return ""
    total = sum(known) + round((planned - len(known)) * sum(known) / len(known))
    return f"{sum(done for done, _ in items)} of {'~' if len(known) < planned else ''}{total}"


def report(folder: Path) -> list[str]:
    """The lines of `mousefacelift status`."""
    path = newest_log(folder)
    log = read_log(path)
    jobs = [job for job in log.jobs.values() if job.rule not in ("all", "sweep", "?")]
    planned = {rule: count for rule, count in log.planned.items() if rule not in ("all", "sweep")}
    done, total = sum(bool(j.ended) for j in jobs), sum(planned.values())
    lines = [f"run of {log.first}: {done} of {total} jobs done ({100 * done // max(total, 1)} %)"]
    if log.over or done >= total:
        lines[0] += ", over"
    else:
        news = last_news(folder, path, jobs)
        lines[0] += f", about {time_left(log, jobs, planned)} left; last news {news:%H:%M:%S}, "
        lines[0] += f"{timedelta(seconds=max(0, round((datetime.now() - news).total_seconds())))} ago"
    lines.append(f"{'rule':<18} {'jobs':>11} {'running':>8} {'items':>13} {'items/s':>8}")
    for rule, count in planned.items():
        own = [job for job in jobs if job.rule == rule]
        items = [items_of(folder, job) for job in own]
        finished = sum(i[0] for i, job in zip(items, own) if job.ended)
        seconds = sum(job.seconds for job in own)
        rate = f"{finished / seconds:.2f}" if finished and seconds else ""
        running = sum(1 for job in own if not job.ended) if not log.over else 0
        shown = items_line(items, count)
        lines.append(
            f"{rule:<18} {sum(bool(j.ended) for j in own):>4} of {count:>3} {running:>8} {shown:>13} {rate:>8}".rstrip()
        )
    slowest = sorted((job for job in jobs if job.seconds), key=lambda job: -job.seconds)[:3]
    lines += [f"slow: {timedelta(seconds=round(job.seconds))} {job.rule} {job.output}" for job in slowest]
    for job in jobs:
        if job.failures:
            lines.append(f"failed {job.failures}x: {job.rule} {job.output}: {reason_of(folder, job)}")
    return lines + unused(folder)


def unused(folder: Path) -> list[str]:
    """Lines about chunks of other configurations that lie beside those in use."""
    lists = sorted(path for depth in ("*", "*/*", "*/*/*") for path in folder.glob(f"results/{depth}/{LIST}"))
    found = [chunk for path in lists for chunk in leftovers(path)]
    shown = ", ".join(str(chunk.relative_to(folder)) for chunk in found[:3])
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return [f"of another configuration, read by nobody: {shown}{more}"] if found else []


def time_left(log: RunLog, jobs: list[Job], planned: dict[str, int]) -> str:
    """Time for the jobs that are not done, at the mean time of their rule (of all rules, for one that has not run) and
    as many at once as so far."""
    finished = [job for job in jobs if job.ended]
    elapsed = (log.last - log.first).total_seconds() if log.first and log.last else 0.0
    spent = sum(job.seconds for job in finished)
    if not finished or not spent or not elapsed:
        return "an unknown time"
    rest = 0.0
    for rule, count in planned.items():
        own = [job.seconds for job in finished if job.rule == rule]
        rest += (count - len(own)) * (sum(own) / len(own) if own else spent / len(finished))
    return str(timedelta(seconds=round(rest * elapsed / spent)))
