"""Sections about where images come from: capture, splats, objects (distilled views: distill_section.py)."""

from __future__ import annotations

from pathlib import Path

from mousefacelift.chunks import read_index
from mousefacelift.core.coverage import say_coverage
from mousefacelift.core.json_parts import read_json_keys
from mousefacelift.report.config import ReportConfig
from mousefacelift.report.page import (
    Section,
    each_item,
    each_row,
    facts_table,
    item_table,
    number,
    png_uri,
    read_json,
    sample_folders,
    sheet_uri,
    spread,
    thumbnails,
)

TRACK = {  # what is said of a recording's track
    "frames": [int],
    "excluded?": dict,
    "cuts?": [int],
    "correlation_time_s?": (float, None),
    "zoom?": float,
    "scale?": float,
}
QUALITY = (
    "hull_iou",
    "ray_agreement",
    "center_offset",
    "area_share",
    "border_share",
    "blur",
)  # columns of quality.csv shown


def capture(results: Path, config: ReportConfig) -> Section:
    """Rig drawing, quality plot and canonical views of every recording."""
    section = Section("capture", "Recordings: audited rig, canonical views")
    folders = sorted(path.parent for path in (results / "capture").glob("*/rig.json"))
    if not folders:
        return section.not_run("capture")
    for folder in folders:
        _recording(section, folder, config)
    return section


def _recording(section: Section, folder: Path, config: ReportConfig) -> None:
    track = folder / "track.json"
    if track.is_file():
        facts = read_json_keys(track, TRACK, "track")
        excluded = facts.get("excluded", {})
        section.add(
            "text",
            text=f"{folder.name}: {len(facts['frames'])} frames used, {len(excluded)} excluded, correlation time "
            f"{number(facts.get('correlation_time_s'))} s, cuts {facts.get('cuts') or 'none'}; zoom "
            f"{number(facts.get('zoom'))}, {number(facts.get('scale'), 5)} units per mm.",
        )
    _cameras(section, folder.name, read_json(folder / "rig.json")["report"])
    for name, title in (("rig.png", "rig about the animal"), ("quality.png", "quality of every stored view")):
        if (folder / name).is_file():
            section.add("picture", title=f"{folder.name}: {title}", uri=png_uri(folder / name))
    samples = sample_folders(list(folder.glob("samples/*/index.json")))
    if samples:
        rows = [thumbnails(sample, config.thumbnail, 16) for sample in spread(samples, config.frames)]
        section.add(
            "picture",
            title=f"{folder.name}: canonical views (one frame a row, one camera a column)",
            uri=sheet_uri(rows),
        )
    quality = folder / "quality.csv"
    if quality.is_file():
        rows = ({name: float(row[name]) for name in QUALITY if row[name]} for row in each_row(quality))
        item_table(section, f"{folder.name}: quality", rows, "views")


def _cameras(section: Section, recording: str, report: dict) -> None:
    """What the audit found: convention, refinement, and a row per camera."""
    refinement = report["refinement"]
    section.add(
        "text",
        text=f"{recording}: {report['format']}, convention {report['convention']}, unit {report['unit']}; refinement: "
        f"{refinement['kind']} (disagreement on frames that were not used {number(refinement['held_out_before_px'])} "
        "px before, "
        f"{number(refinement['held_out_after_px'])} px after); ring order {' '.join(map(str, report['ring_order']))}.",
    )
    coverage = say_coverage([camera["azimuth"] for camera in report["cameras"]])
    if coverage:
        section.add("text", text=f"{recording}: {coverage}.")
    columns = ("azimuth", "elevation", "distance_mm", "hull_iou", "ray_agreement", "tangency_px")
    section.add(
        "table",
        title=f"{recording}: cameras about the animal",
        rows=(
            ("camera", *(name.replace("_", " ") for name in columns), "principal point shift px", "rotation degrees"),
            *(
                (
                    str(camera["name"]),
                    *(number(camera[name], 1 if name in columns[:3] else 3) for name in columns),
                    *(" ".join(number(value, 2) for value in camera[name]) for name in ("shift_px", "rotation_deg")),
                )
                for camera in report["cameras"]
            ),
        ),
    )


def splats(results: Path, config: ReportConfig) -> Section:
    """Fits against photos, in-between views, rings and trust."""
    section = Section("splats", "Splats: a 3D Gaussian fit per frame, and the views that no camera filmed")
    indexes = sorted((results / "splats").glob("*/samples/*/index.json"))
    fits = sorted((results / "splats").glob("*/fits/*/index.json"))
    if not fits:
        return section.not_run("splats")
    item_table(section, "fits", each_item(fits))
    for path in sorted((results / "splats").glob("*/trust.json")):
        facts_table(section, f"trust of {path.parent.name}", read_json(path))
    samples = sample_folders(indexes)
    if samples:
        rows = [thumbnails(sample, config.thumbnail, 12) for sample in spread(samples, config.frames)]
        section.add("picture", title="in-between views (one frame a row)", uri=sheet_uri(rows))
    rings = sample_folders(sorted((results / "splats").glob("*/ring/*/index.json")))
    if rings:
        section.add(
            "picture", title="ring of one frame", uri=sheet_uri([thumbnails(spread(rings, 1)[0], config.thumbnail, 8)])
        )
    return section


def objects(results: Path, config: ReportConfig) -> Section:
    """Rendered objects."""
    section = Section("objects", "Objects: exact renders of true 3D things")
    indexes = sorted((results / "objects").glob("samples/*/index.json"))
    samples = sample_folders(indexes)
    if not samples:
        return section.not_run("objects")
    items = [item for index in indexes for item in read_index(index)["items"]]
    counts = {
        status: sum(item.get("status", "done") == status for item in items) for status in ("done", "refused", "failed")
    }
    section.add("text", text=", ".join(f"{count} {status}" for status, count in counts.items()) + ".")
    shown = [thumbnails(sample, config.thumbnail, 4)[0] for sample in spread(samples, 2 * config.objects)]
    section.add(
        "picture",
        title="first views",
        uri=sheet_uri([shown[: config.objects], shown[config.objects :]] if len(shown) > config.objects else [shown]),
    )
    scans = sample_folders(sorted((results / "objects").glob("scans/**/index.json")))
    if scans:
        rows = [thumbnails(sample, config.thumbnail, 8) for sample in spread(scans, 2)]
        section.add("picture", title="scans (mesh sequences with known 3D truth)", uri=sheet_uri(rows))
    return section
