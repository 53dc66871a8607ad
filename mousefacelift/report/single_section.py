"""One picture, what is made of it, the truth beside it, and one sentence that says whether it works; its numbers."""

from __future__ import annotations

import base64
from pathlib import Path

from mousefacelift.report.config import ReportConfig
from mousefacelift.report.page import Section, number, png_uri, read_json

SHOWN = (
    ("iou", "IoU", 3),
    ("full_psnr", "full PSNR", 2),
    ("fg_psnr", "fg PSNR", 2),
    ("fg_ssim", "fg SSIM", 3),
    ("coverage", "coverage", 2),
    ("lpips", "LPIPS", 3),
)
SOLID = (
    ("recall_tail", "tail", 2),
    ("recall_ears", "ears", 2),
    ("recall_limbs", "limbs", 2),
    ("recall_trunk", "trunk", 2),
    ("volume_iou", "volume IoU", 2),
    ("chamfer", "Chamfer", 3),
    ("f1", "F1", 2),
    ("head_tail_swap", "head/tail swapped", 2),
    ("left_right_swap", "left/right swapped", 2),
)
ESTIMATES = (
    ("turn_error", "turn off, degrees", 1),
    ("elevation_error", "elevation off, degrees", 1),
    ("scale_error", "scale off, log", 3),
)
BEDS = {
    "frames": "the filmed animal at new times",
    "animals": "virtual animals that nothing was trained on",
    "mammal": "the MAMMAL mouse, another body model",
}
METHODS = {
    "model": "model",
    "nearest": "nearest filmed pose",
    "others": "GS-LRM from true other views",
    "one_silhouette": "hull of the one silhouette",
    "mean_image": "mean image",
    "white": "white",
}


def single(results: Path, config: ReportConfig) -> Section:
    """Verdict and turntables."""
    section = Section("picture", "One picture to a 3D mouse: does it work?")
    folder = results / "evaluate_single"
    if not (folder / "summary.json").is_file():
        return section.not_run("protocol S (snakemake results/evaluate_single/summary.json)")
    summary = read_json(folder / "summary.json")
    verdict = summary["verdict"]
    section.add("text" if verdict["answer"] == "yes" else "alarm", text=verdict["text"])
    for bed in (name for name in BEDS if (folder / f"show_{name}.webp").is_file()):
        uri = "data:image/webp;base64," + base64.b64encode((folder / f"show_{bed}.webp").read_bytes()).decode()
        section.add("picture", title=f"input picture, turntable of its reconstruction, truth: {BEDS[bed]}", uri=uri)
    return section


def numbers(results: Path, config: ReportConfig) -> Section:
    """Sheet, and the ladder of every test bed."""
    section = Section("picture-numbers", "One picture: every number")
    folder = results / "evaluate_single"
    if not (folder / "summary.json").is_file():
        return section.not_run("protocol S (snakemake results/evaluate_single/summary.json)")
    summary = read_json(folder / "summary.json")
    section.add("picture", title="about 120 degrees away from the picture", uri=png_uri(folder / "sheet.png"))
    for bed, entry in summary["beds"].items():
        _bed(section, BEDS[bed], entry)
    if summary["lpips"] != "reported":
        section.add("text", text=f"LPIPS {summary['lpips']}.")
    return section


def _bed(section: Section, bed: str, entry: dict) -> None:
    section.add(
        "table",
        title=f"{bed}: all other views, true camera given ({entry['pictures']} pictures)",
        rows=_table(entry["known"], SHOWN, "iou"),
    )
    if entry["held_out_camera"]:
        section.add(
            "table",
            title=f"{bed}: the camera that training never sees",
            rows=_table(entry["held_out_camera"], SHOWN, "iou"),
        )
    if entry.get("solid"):
        section.add(
            "table",
            title=f"{bed}: against the true body (recall of parts within 2 px of 128; lengths in world units)",
            rows=_table(entry["solid"], SOLID, "f1"),
        )
    if entry["unknown"]:
        section.add(
            "table",
            title=f"{bed}: camera not given, after the best turn and scale",
            rows=_table(entry["unknown"], SHOWN, "iou"),
        )
        section.add(
            "table", title=f"{bed}: how far the estimated camera was off", rows=_table(entry["estimates"], ESTIMATES)
        )
    _angles(section, bed, entry["by_angle"])
    collapse = entry["collapse"]
    if not collapse["judged"]:
        section.add("text", text=f"{bed}: collapse not judged, {collapse['why']}.")
    elif collapse["findings"]:
        section.add("alarm", text=f"{bed}: collapse found: {', '.join(collapse['findings'])}.")
    if entry["unusual"]:
        facts = entry["unusual"]
        section.add(
            "text",
            text=f"{bed}: {facts['unlike_anything']} of {facts['pictures']} pictures are farther from every filmed pose"
            f" than filmed poses are from one another (median place among those distances {number(facts['median'])}).",
        )


def _table(methods: dict, columns: tuple, interval: str = "") -> tuple:
    """Rows of methods; 95% interval of one metric, n and n_eff at the end."""
    known = [column for column in columns if any(column[0] in values for values in methods.values())]
    head = ("method", *(label for _, label, _ in known))
    head += (f"{dict((c[0], c[1]) for c in columns)[interval]} 95% interval", "n", "n eff") if interval else ("n",)
    rows = [head]
    for method, values in methods.items():
        first = values[interval or known[0][0]]
        cells = [number(values[key]["mean"], digits) if key in values else "-" for key, _, digits in known]
        cells += [f"{number(first['low'])} to {number(first['high'])}"] if interval else []
        cells += [number(first["n"])] + ([number(first["n_eff"], 1)] if interval else [])
        rows.append((METHODS.get(method, method), *cells))
    return tuple(rows)


def _angles(section: Section, bed: str, rows: list[dict]) -> None:
    """IoU and full PSNR of model and nearest pose by the angle from the picture."""
    shown = [row for row in rows if row["method"] in ("model", "nearest", "others")]
    if not shown:
        return
    table = [("angle from the picture", "method", "IoU", "full PSNR", "fg PSNR", "views")]
    for row in shown:
        table.append(
            (
                f"{row['from']} to {row['to']}",
                METHODS[row["method"]],
                number(row["iou"], 3),
                number(row["full_psnr"]),
                number(row["fg_psnr"]),
                number(row["views"]),
            )
        )
    section.add("table", title=f"{bed}: error against angle", rows=tuple(table))
