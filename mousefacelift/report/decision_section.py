"""The first section: the decision in one sentence, and the three figures and worst cases that it rests on."""

from __future__ import annotations

from pathlib import Path

from mousefacelift.core.files import nulls_as_nan
from mousefacelift.report.config import ReportConfig
from mousefacelift.report.decision_figures import arms_uri, collapse_uri, trust_uri
from mousefacelift.report.page import Section, number, png_uri, read_json

NAMES = {
    "white": "white",
    "mean_image": "mean image",
    "nearest_input": "nearest given picture",
    "visual_hull": "visual hull",
    "nearest": "nearest filmed pose",
    "others": "true other views",
    "one_silhouette": "one silhouette's hull",
    "model": "one-picture model",
}
NUMBERS = ("rows", "trust")  # parts of a decision in which null is a number that nobody has
PROTOCOLS = {"A": "new times, seen cameras", "B": "held-out camera, training times", "C": "held-out camera, new times"}
SHOWN = (("full_psnr", "full PSNR", 2), ("fg_psnr", "fg PSNR", 2), ("iou", "IoU", 3), ("coverage", "coverage", 2))


def decision_folder(results: Path) -> Path:
    """Where the decision lies: over all runs of the sweep, if there was one, else over the arms."""
    sweep = results / "decide" / "sweep"
    return sweep if (sweep / "decision.json").is_file() else results / "decide"


def decision(results: Path, config: ReportConfig) -> Section:
    """Verdict sentence, collapse alarms."""
    section = Section("decision", "What to do with this recording")
    alarms = _alarms(results)
    for alarm in alarms:
        section.add("alarm", text=alarm)
    path = decision_folder(results) / "decision.json"
    if not path.is_file():
        return section.not_run("the decision (snakemake results/decide/decision.json)")
    verdict = read_json(path)["verdict"]
    section.blocks.clear()
    section.add("verdict", text=verdict["text"], rows=_clauses(verdict), title=verdict["answer"])
    for alarm in alarms:
        section.add("alarm", text=alarm)
    return section


def evidence(results: Path, config: ReportConfig) -> Section:
    """Arms, collapse, trust map and worst cases."""
    section = Section("evidence", "Why: arms, collapse, where to trust, worst cases")
    path = decision_folder(results) / "decision.json"
    if not path.is_file():
        return section.not_run("the decision (snakemake results/decide/decision.json)")
    document = read_json(path)
    several, one = (_with_numbers(document[name]) for name in ("several", "one"))
    ladders, parts = [], []
    if several:
        ladders.append((several["rows"], f"from {several['given']} pictures, {PROTOCOLS[several['protocol']]}"))
        parts.append((f"{several['best']}, {several['given']} pictures", several["trust"]))
    if one:
        models = [{"is_model": row["name"] == "model"} | row for row in one["rows"]]
        rows = [row | {"collapse": one["collapse"] if row["is_model"] else []} for row in models]
        ladders.append((rows, "from one picture, all other views"))
        parts.append(("one picture", one["trust"]))
    parts = [part for part in parts if part[1]]
    ladders = [(sorted(rows, key=lambda row: -row["full_psnr"]["mean"]), what) for rows, what in ladders]
    for rows, what in ladders:
        names = [NAMES.get(row["name"], row["name"]) for row in rows]
        section.add("picture", title=f"{what}: mean, 95% interval; grey: the rungs", uri=arms_uri(rows, names))
    _collapse(section, several)
    if parts:
        title = "trust map: IoU by angle and pose; hatched: no better than the mean image"
        section.add("picture", title=title, uri=trust_uri(parts))
    for rows, what in ladders:
        section.add("table", title=f"{what}, in numbers", folded=True, rows=_ladder_rows(rows))
    if parts:
        section.add("table", title="trust map in numbers, worst first", folded=True, rows=_trust_rows(parts))
    for name, entry, what in (("several", several, "several pictures"), ("one", one, "one picture")):
        _worst(section, path.parent / f"worst_{name}.png", entry, what)
    return section


def _with_numbers(part: dict | None) -> dict | None:
    return part and part | {name: nulls_as_nan(part[name]) for name in NUMBERS}


def _alarms(results: Path) -> list[str]:
    """Every collapse that any evaluated run shows."""
    found = []
    for path in sorted((results / "evaluate").glob("*/summary.json")):
        for protocol, entry in read_json(path)["protocols"].items():
            findings = entry["collapse"].get("findings", [])
            if findings:
                where = f"{path.parent.name}, protocol {protocol} ({PROTOCOLS.get(protocol, protocol)})"
                found.append(f"arm {where}: collapse found: {', '.join(findings)}.")
    return found


def _clauses(verdict: dict) -> tuple[tuple[str, str], ...]:
    names = (("use", "use"), ("because", "because"), ("sure to", "sure"), ("do not trust", "doubt"))
    return tuple((label, verdict[key]) for label, key in names)


def _ladder_rows(rows: list[dict]) -> tuple:
    head = ("method", *(label for _, label, _ in SHOWN), "full PSNR 95% interval", "worst tenth", "n", "n eff")
    table = [head]
    for row in rows:
        first = row["full_psnr"]
        collapsed = f" ({', '.join(row['collapse'])})" if row["collapse"] else ""
        table.append(
            (
                NAMES.get(row["name"], row["name"]) + collapsed,
                *(number(row[key]["mean"], digits) for key, _, digits in SHOWN),
                f"{number(first['low'])} to {number(first['high'])}",
                number(first["worst"]),
                number(first["n"]),
                number(first["n_eff"], 1),
            )
        )
    return tuple(table)


def _collapse(section: Section, several: dict | None) -> None:
    judged = [row for row in several["rows"] if row["is_model"] and row["judged"]] if several else []
    if judged:
        section.add(
            "picture",
            title="collapse: grey is where a detector trips; dots are healthy, crosses collapsed models",
            uri=collapse_uri(judged),
        )
    elif several:
        section.add("text", text="Collapse could not be judged: too few moments with the same views.")


def _trust_rows(parts: list[tuple[str, list[dict]]]) -> tuple:
    rows = [("model", "degrees", "pose", "IoU", "mean image's", "gain, dB", "95% interval", "views", "n", "trust")]
    for title, cells in parts:
        for cell in sorted(cells, key=lambda cell: cell["iou"]):
            rows.append(
                (
                    title,
                    f"{cell['from']} to {cell['to']}",
                    cell["pose"],
                    number(cell["iou"]),
                    number(cell["mean_iou"]),
                    number(cell["gain"]),
                    f"{number(cell['low'])} to {number(cell['high'])}",
                    number(cell["views"]),
                    number(cell["moments"]),
                    "yes" if cell["trusted"] else "no",
                )
            )
    return tuple(rows)


def _worst(section: Section, sheet: Path, entry: dict | None, what: str) -> None:
    if not entry or not entry["worst"]:
        return
    if sheet.is_file():
        section.add("picture", title=f"worst cases from {what}, worst first", uri=png_uri(sheet))
    rungs = list(entry["worst"][0]["rungs"])
    rows = [("moment", "camera", "IoU", "full PSNR", "coverage", "degrees", "pitch", *(NAMES.get(r, r) for r in rungs))]
    for row in entry["worst"]:
        rows.append(
            (
                f"{row['recording']}, frame {row['frame']}",
                number(row["camera"]),
                *(number(row[name]) for name in ("iou", "full_psnr", "coverage")),
                *(number(row[name], 0) for name in ("angle", "pitch")),
                *(number(row["rungs"].get(rung)) for rung in rungs),
            )
        )
    section.add(
        "table",
        title=f"worst cases from {what}: IoU of the model, and of the rungs there",
        folded=True,
        rows=tuple(rows),
    )
