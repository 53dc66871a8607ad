"""What a large run would cost, from the measured rows of finished chunks.

Part of the objects stage, command `objects plan`: core hours, array jobs and disk for any number of objects.
"""

import math
from pathlib import Path

from mousefacelift.chunks import read_index
from mousefacelift.errors import DataError
from mousefacelift.objects.sandbox import DONE


def plan_run(indexes: list[Path], objects: int, threads: int, hours_per_job: float) -> dict:
    """Cost of `objects` objects at the mean measured cost per object.

    Args:
        indexes: index.json of finished chunks.
        threads: CPU cores that each of those chunks was rendered with.
        hours_per_job: wall time that an array job should take.
    Raises:
        DataError: no finished object to measure by.
    """
    rows = [row for index in indexes for row in read_index(index)["items"]]
    done = [row for row in rows if row["status"] == DONE]
    if not done:
        raise DataError("no finished object to measure by", got=f"{len(rows)} rows", hint="render a chunk first")
    seconds, megabytes = (sum(row[key] for row in done) / len(done) for key in ("total_s", "mb"))
    per_job = max(1, int(hours_per_job * 3600 / seconds))
    return {
        "measured": len(done),
        "views": done[0]["views"],
        "seconds_per_object": seconds,
        "mb_per_object": megabytes,
        "objects": objects,
        "core_hours": objects * seconds * threads / 3600,
        "objects_per_job": per_job,
        "jobs": math.ceil(objects / per_job),
        "disk_gb": objects * megabytes / 1000,
        "files": objects * (done[0]["views"] + 1),
    }


def describe_plan(plan: dict) -> str:
    """The plan in a few lines."""
    return (
        f"measured on {plan['measured']} objects: {plan['seconds_per_object']:.2f} s and {plan['mb_per_object']:.2f} "
        "MB each,"
        f" {plan['views']} views\n"
        f"{plan['objects']:,} objects: {plan['core_hours']:.0f} core hours, {plan['disk_gb']:.0f} GB, "
        f"{plan['files']:,} files\n"
        f"array: {plan['jobs']} jobs of {plan['objects_per_job']} objects (jobs.objects_per_job)"
    )
