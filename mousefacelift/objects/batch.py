"""Chunks of objects and of scan frames as resumable jobs, and their summaries.

Part of the objects stage. Reads selection.json; writes <chunk>/index.json with one row per object: `done` with its
numbers, or `refused` / `failed` with the reason. A chunk ends well whatever its assets are; only a chunk in which
nothing at all could be done is an error, because then the fault is not the assets'.
"""

from collections import Counter
from functools import partial
from pathlib import Path

from mousefacelift.chunks import run_chunk
from mousefacelift.config import config_hash
from mousefacelift.errors import DataError
from mousefacelift.objects.config import ObjectsConfig
from mousefacelift.objects.make import make_object
from mousefacelift.objects.sandbox import DONE, Sandbox


def render_chunk(selection: dict, rows: range, config: ObjectsConfig, out: Path, threads: int) -> dict:
    """Render rows of a selection into `out`'s folder; returns the index.

    Raises:
        DataError: rows beyond the selection, or not one object of the chunk could be rendered.
    """
    chosen = selection["items"][rows.start : rows.stop]
    if len(chosen) < len(rows):
        raise DataError("the selection has fewer objects", where=str(out), got=len(selection["items"]), expected=rows.stop)
    seed = selection["seed"]
    key = config_hash([config, seed, [item["uid"] for item in chosen]])
    with Sandbox(config.limits) as sandbox:
        make = partial(make_row, config=config, seed=seed, sandbox=sandbox, threads=threads)
        items = [(item["name"], item) for item in chosen]
        header = {"source": "object", "collection": selection["source"], "seed": seed, "size": config.size}
        index = run_chunk(out, key, items, make, header, label="objects")
    refuse_empty(index, out)
    return index


def make_row(name: str, item: dict, folder: Path, *, config: ObjectsConfig, seed: int, sandbox: Sandbox, threads: int) -> dict:
    """One object: the project's own meshes here, foreign files in the sandbox; `views` is 0 where there is no sample."""
    if "number" in item:
        return make_object(item, config, seed, folder, threads)
    row = sandbox.run(make_object, item, config, seed, folder, threads)
    return row if row["status"] == DONE else {"uid": item["uid"], "views": 0, **row}


def refuse_empty(index: dict, out: Path) -> None:
    """An error if no item of a chunk was done.

    Raises:
        DataError: names the most frequent reason.
    """
    rows = index["items"]
    if rows and not any(row["status"] == DONE for row in rows):
        reason, times = Counter(row["reason"] for row in rows).most_common(1)[0]
        raise DataError("no object of the chunk could be rendered", where=str(out), got=f"{times} of {len(rows)}: {reason}")


def describe(index: dict) -> str:
    """The job's summary: how many done, refused, failed, each fault with its reason, and the cost per object."""
    rows = index["items"]
    counts = Counter(row["status"] for row in rows)
    done = [row for row in rows if row["status"] == DONE]
    lines = [f"{counts['done']} done, {counts['refused']} refused, {counts['failed']} failed"]
    lines += [f"  {row['status']} {row.get('uid', row['name'])}: {row['reason']}" for row in rows if row["status"] != DONE]
    if done:
        seconds, megabytes = (sum(row[k] for row in done) / len(done) for k in ("total_s", "mb"))
        lines.append(f"  per object: {seconds:.2f} s, {megabytes:.2f} MB, {done[0]['views']} views")
    return "\n".join(lines)
