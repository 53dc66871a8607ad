"""Which objects: a seeded order over a list, a folder or the procedural collection, of which the first N are rendered.

Part of the objects stage. `objects select` writes results/objects/selection.json; chunks of it are rendered as jobs.
The file holds the whole order, whatever N: a larger N renders more of it and leaves file and finished renders alone.
"""

import gzip
import hashlib
import json
from pathlib import Path
from urllib.request import Request, urlopen

from mousefacelift.errors import ConfigError, DataError
from mousefacelift.objects.config import ObjectsConfig
from mousefacelift.objects.load import SUFFIXES

LIST_NAME = "kiuisobj_v1_merged_80K.csv"  # the list of LGM (ashawkey/objaverse_filter, MIT): 82,575 rows, no header


def select_objects(config: ObjectsConfig, seed: int, count: int) -> dict:
    """The selection: {"source", "seed", "items": [{"name", "uid", ...}], "left_out"}.

    `items` are all objects that pass the filters, in the seeded order. The procedural collection has no end: its rows
    follow from their numbers (`selected_rows`), and none is listed.

    Args:
        count: objects that will be asked for.
    Raises:
        DataError: the list or folder cannot be read, or holds no object that passes the filters.
        ConfigError: more objects asked for than there are.
    """
    if config.source == "procedural":
        return {"source": "procedural", "seed": seed, "items": [], "left_out": {}}
    rows = read_folder(Path(config.path)) if config.source == "folder" else read_list(config.path)
    rows, left_out = filter_rows(rows, config)
    if not rows:
        raise DataError("no object passes the filters", where=config.path, got=f"left out: {left_out}")
    if count > len(rows):
        raise ConfigError(
            "more objects asked for than there are",
            where="objects.count",
            got=count,
            expected=f"at most {len(rows)}",
            likely=f"filters left out {sum(left_out.values())}",
        )
    rows.sort(key=lambda row: order_key(seed, row["uid"]))
    items = [{"name": f"{k:06d}", **row} for k, row in enumerate(rows)]
    return {"source": config.source, "seed": seed, "items": items, "left_out": left_out}


def selected_rows(selection: dict, rows: range) -> list[dict]:
    """Rows `rows.start` to `rows.stop` (excluded) of a selection.

    Raises:
        DataError: it has fewer.
    """
    if selection["source"] == "procedural":
        return [procedural_item(selection["seed"], number) for number in range(rows.start, rows.stop)]
    chosen = selection["items"][rows.start : rows.stop]
    if len(chosen) < rows.stop - rows.start:
        raise DataError(
            "the selection has fewer objects",
            got=len(selection["items"]),
            expected=f"{rows.stop} or more",
            hint="lower objects.count",
        )
    return chosen


def procedural_item(seed: int, number: int) -> dict:
    """One row of the procedural collection."""
    return {"name": f"{number:06d}", "uid": f"procedural-{seed}-{number:06d}", "number": number, "license": "project"}


def order_key(seed: int, uid: str) -> str:
    """Place of an object in the seeded order: a hash, so that adding rows to a list keeps the order of the others."""
    return hashlib.sha256(f"{seed}:{uid}".encode()).hexdigest()


def read_list(path: str) -> list[dict]:
    """Rows {"uid", "group"} of a list `folder,uid` given by path or URL, .gz or plain; a header line is skipped.

    Uids are 32 hexadecimal digits for most objects and 27-character base62 for some: any word is taken.
    """
    lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    rows, seen = [], set()
    for number, line in enumerate(lines, 1):
        parts = [part.strip() for part in line.split(",")]
        if number == 1 and parts[-1].lower() in ("uid", "id", "object_id"):
            continue
        if len(parts) != 2 or not all(parts) or not parts[1].replace("-", "").replace("_", "").isalnum():
            raise DataError(
                "a row of the object list is not 'folder,uid'", where=f"{path}, line {number}", got=line[:80]
            )
        if parts[1] not in seen:
            seen.add(parts[1])
            rows.append({"uid": parts[1], "group": parts[0]})
    if not rows:
        raise DataError("the object list is empty", where=path)
    return rows


def read_text(path: str) -> str:
    """Text of a file or URL; gzip is recognised by its first bytes."""
    try:
        if path.startswith(("http://", "https://")):
            with urlopen(Request(path, headers={"User-Agent": "mousefacelift"}), timeout=60) as response:
                data = response.read()
        else:
            data = Path(path).read_bytes()
        return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(
            "the file cannot be read",
            where=path,
            got=f"{type(error).__name__}: {error}",
            hint=f"download {LIST_NAME} on a machine with a network and give its path",
        ) from error


def read_folder(folder: Path) -> list[dict]:
    """Rows {"uid", "path"} of the mesh files under a folder; the uid is the path inside it without suffix."""
    if not folder.is_dir():
        raise DataError("the folder of meshes is not there", where=str(folder), hint="objects.path")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        raise DataError("the folder holds no mesh files", where=str(folder), expected=", ".join(SUFFIXES))
    return [{"uid": str(p.relative_to(folder)), "path": str(p)} for p in files]


def filter_rows(rows: list[dict], config: ObjectsConfig) -> tuple[list[dict], dict[str, int]]:
    """Rows that pass the category and licence filters, each with its licence if known; and how many each left out."""
    left_out: dict[str, int] = {}
    if config.categories:
        if config.lvis is None:
            raise ConfigError(
                "categories need the annotation file", where="objects.categories", hint="set objects.lvis"
            )
        kept = category_uids(config.lvis, config.categories)
        left_out["category"] = sum(row["uid"] not in kept for row in rows)
        rows = [row for row in rows if row["uid"] in kept]
    licenses = read_licenses(config.annotations) if config.annotations else {}
    rows = [{**row, "license": licenses.get(row["uid"], "unknown")} for row in rows]
    if config.licenses:
        if not licenses:
            raise ConfigError(
                "a licence filter needs the annotations", where="objects.licenses", hint="set objects.annotations"
            )
        left_out["license"] = sum(row["license"] not in config.licenses for row in rows)
        rows = [row for row in rows if row["license"] in config.licenses]
    return rows, left_out


def category_uids(path: str, categories: tuple[str, ...]) -> set[str]:
    """Uids of the named categories of an LVIS annotation file {category: [uid]}."""
    table = parse_json(path)
    unknown = [name for name in categories if name not in table]
    if unknown:
        raise ConfigError("unknown LVIS category", where=path, got=", ".join(unknown))
    return {uid for name in categories for uid in table[name]}


def read_licenses(path: str) -> dict[str, str]:
    """{uid: licence} from one annotation file {uid: {"license"}} or {uid: licence}, or a folder of such files
    (.json[.gz])."""
    files = sorted(Path(path).glob("*.json*")) if Path(path).is_dir() else [Path(path)]
    licenses = {}
    for file in files:
        for uid, entry in parse_json(str(file)).items():
            licenses[uid] = str(entry.get("license", "unknown")) if isinstance(entry, dict) else str(entry)
    return licenses


def parse_json(path: str) -> dict:
    """A JSON object from a file or URL."""
    try:
        table = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError("not JSON", where=path, got=str(error)) from error
    if not isinstance(table, dict):
        raise DataError("not a JSON object", where=path, got=type(table).__name__)
    return table


def read_selection(path: Path) -> dict:
    """A selection written by `objects select`."""
    selection = parse_json(str(path))
    if not {"source", "seed", "items"} <= set(selection):
        raise DataError("not a selection of objects", where=str(path), hint="run `mousefacelift objects select`")
    return selection
