"""What the trained arms are worth, every number. The model never stands without the ladder."""

from __future__ import annotations

from pathlib import Path

from mousefacelift.report.config import ReportConfig
from mousefacelift.report.page import Section, number, png_uri, read_json, read_rows

SHOWN = (
    ("fg_psnr", "fg PSNR", 2),
    ("fg_psnr_shared", "fg PSNR, shared pixels", 2),
    ("full_psnr", "full PSNR", 2),
    ("fg_ssim", "fg SSIM", 3),
    ("iou", "IoU", 3),
    ("coverage", "coverage", 2),
)
GEOMETRY = {  # part of an entry -> title
    "consistency": "silhouette consistency of the rendered views, and of the photos themselves",
    "health": "health of the Gaussians (docs/metrics.md)",
    "surface": "distance of the splat from the true surface, millimetres",
}
PROTOCOLS = {"A": "new time, seen cameras", "B": "held-out camera, training time", "C": "held-out camera, new time"}


def evaluation(results: Path, config: ReportConfig) -> Section:
    """Every evaluated arm: collapse findings, ladder per protocol, consistency, pictures."""
    section = Section("evaluation", "Several pictures: every number")
    summaries = sorted((results / "evaluate").glob("*/summary.json"))
    if not summaries:
        return section.not_run("evaluation (snakemake results/evaluate/80-20/summary.json)")
    _arms(section, results / "evaluate" / "sweep_arms.csv")
    for path in summaries:
        for protocol, entry in read_json(path)["protocols"].items():
            _protocol(section, path.parent.name, protocol, entry)
        sheet = path.parent / "sheet.png"
        if sheet.is_file():
            section.add(
                "picture", title=f"arm {path.parent.name}: views that the network was not shown", uri=png_uri(sheet)
            )
    return section


def _arms(section: Section, path: Path) -> None:
    """The sweep, if there was one: every arm's mean over its seeds, and how far they lie apart."""
    if not path.is_file():
        return
    names = ("fg_psnr", "full_psnr", "iou", "coverage")
    labels = {name: (label, digits) for name, label, digits in SHOWN}
    rows = [("arm", "protocol", "seeds", *(labels[name][0] for name in names), "collapsed runs")]
    for row in read_rows(path):
        numbers = [
            f"{number(float(row[name]), labels[name][1])}"
            + (f" ± {number(float(row[f'{name}_sd']), labels[name][1])}" if row[f"{name}_sd"] else "")
            for name in names
        ]
        rows.append((row["arm"], row["protocol"], row["seeds"], *numbers, row["collapsed_runs"]))
    section.add(
        "table",
        title="the arms of the sweep: mean and standard deviation over seeds, views not shown",
        rows=tuple(rows),
    )


def _protocol(section: Section, arm: str, protocol: str, entry: dict) -> None:
    collapse = entry["collapse"]
    where = f"arm {arm}, protocol {protocol} ({PROTOCOLS.get(protocol, protocol)})"
    if not collapse["judged"]:
        section.add("text", text=f"{where}: collapse not judged, {collapse['why']}.")
    elif collapse["findings"]:
        section.add("alarm", text=f"{where}: collapse found: {', '.join(collapse['findings'])}.")
    part = "held_out" if entry["held_out"] else "inputs"
    for name, label in (("held_out", "views the network was not shown"), ("inputs", "views it was shown")):
        if not entry[name]:
            continue
        rows = [("method", *(text for _, text, _ in SHOWN), "fg PSNR 95% interval", "worst tenth", "frames", "n eff")]
        for method, values in entry[name].items():
            fg = values["fg_psnr"]
            rows.append(
                (
                    method.replace("_", " "),
                    *(number(values[key]["mean"], digits) for key, _, digits in SHOWN if key in values),
                    f"{number(fg['low'])} to {number(fg['high'])}",
                    number(fg["worst"]),
                    number(fg["n"]),
                    number(fg["n_eff"], 1),
                )
            )
        section.add("table", title=f"{where}: {label}", rows=tuple(rows))
    if collapse["judged"] and part == "held_out":
        names = (
            "skill_over_mean",
            "skill_over_white",
            "variance_ratio",
            "anomaly_correlation",
            "retrieval_at_1",
            "retrieval_chance",
            "view_copy",
            "input_swap",
            "sharpness_ratio",
            "rank_ratio",
        )
        metrics = [(name, collapse["metrics"][name]) for name in names if name in collapse["metrics"]]
        section.add(
            "table",
            title=f"{where}: collapse detectors ({collapse['frames']} frames)",
            rows=(tuple(name.replace("_", " ") for name, _ in metrics), tuple(number(value) for _, value in metrics)),
        )
    for name, title in GEOMETRY.items():
        numbers = [(key, value) for key, value in entry[name].items() if key != "frames"]
        if numbers:
            section.add(
                "table",
                title=f"{where}: {title}",
                rows=(tuple(key.replace("_", " ") for key, _ in numbers), tuple(number(v, 3) for _, v in numbers)),
            )
