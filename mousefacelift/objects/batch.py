"""Chunks of objects and of scan frames as resumable jobs, and their summaries.

Part of the objects stage. Reads selection.json; writes <chunk>/index.json with one row per object: `done` with its
numbers, or `refused` / `failed` / `missing` with the reason. A chunk ends well whatever its assets are; only a chunk of
which no file is on this machine is an error.
"""

from collections import Counter
from functools import partial
from pathlib import Path

from mousefacelift.chunks import run_chunk
from mousefacelift.config import config_hash
from mousefacelift.core.records import ItemRow
from mousefacelift.errors import DataError
from mousefacelift.objects.config import ObjectsConfig
from mousefacelift.objects.make import asset_path, make_object
from mousefacelift.objects.sandbox import DONE, FAILED, REFUSED, Sandbox, refusal
from mousefacelift.objects.select import selected_rows

MISSING = "missing"


def render_chunk(selection: dict, rows: range, config: ObjectsConfig, out: Path, threads: int) -> dict:
    """Render rows of a selection into `out`'s folder; returns the index.

    Raises:
        DataError: rows beyond the selection, or none of the chunk's files is there.
    """
    chosen, seed = selected_rows(selection, rows), selection["seed"]
    key = config_hash([config, seed, [item["uid"] for item in chosen]])
    with Sandbox(config.limits) as sandbox:
        make = partial(make_row, config=config, seed=seed, sandbox=sandbox, threads=threads)
        items = [(item["name"], item) for item in chosen]
        header = {"source": "object", "collection": selection["source"], "seed": seed, "size": config.size}
        index = run_chunk(out, key, items, make, header, label="objects")
    refuse_empty(index, out)
    return index


def make_row(
    name: str, item: dict, folder: Path, *, config: ObjectsConfig, seed: int, sandbox: Sandbox, threads: int
) -> dict:
    """One object: the project's own meshes here, foreign files in the sandbox; `views` is 0 where there is no
    sample."""
    if "number" in item:
        try:
            return make_object(item, config, seed, folder, threads)
        except DataError as error:
            return empty_row(refusal(error), item["uid"])
    if not asset_path(item, config).is_file():
        return empty_row({"status": MISSING, "reason": "not downloaded"}, item["uid"])
    row = sandbox.run(make_object, item, config, seed, folder, threads)
    return row if row["status"] == DONE else empty_row(row, item["uid"])


def empty_row(row: dict, uid: str, frame: int | None = None) -> dict:
    """The index row of an item without a sample; `row` says its status and why."""
    details = {"uid": uid} | ({"kind": row["kind"]} if "kind" in row else {})
    return ItemRow(0, frame, row["status"], row["reason"], details=details).to_row()


def refuse_empty(index: dict, out: Path) -> None:
    """An error if not one object of a chunk has a file: then the download is at fault, not the assets.

    Raises:
        DataError: says how to fetch them.
    """
    rows = index["items"]
    if rows and all(row["status"] == MISSING for row in rows):
        raise DataError(
            "none of the chunk's objects is on this machine",
            where=str(out),
            got=f"{len(rows)} missing",
            hint="mousefacelift objects download --selection SELECTION.json --count N, on a machine with a network",
        )


def describe(index: dict) -> str:
    """The job's summary: how many done, refused, failed, how many for each reason, each fault, the cost per object."""
    rows = index["items"]
    counts = Counter(row["status"] for row in rows)
    done = [row for row in rows if row["status"] == DONE]
    lines = [f"{counts[DONE]} done, {counts[REFUSED]} refused, {counts[FAILED]} failed, {counts[MISSING]} missing"]
    kinds = Counter(row["kind"] for row in rows if row["status"] == REFUSED)
    lines += [f"  {count} x {kind}" for kind, count in sorted(kinds.items(), key=lambda pair: (-pair[1], pair[0]))]
    lines += [
        f"  {row['status']} {row.get('uid', row['name'])}: {row['reason']}" for row in rows if row["status"] != DONE
    ]
    if done:
        seconds, megabytes = (sum(row[k] for row in done) / len(done) for k in ("total_s", "mb"))
        lines.append(f"  per object: {seconds:.2f} s, {megabytes:.2f} MB, {done[0]['views']} views")
    return "\n".join(lines)
