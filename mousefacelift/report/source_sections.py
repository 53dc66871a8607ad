"""Sections about where images come from: capture, distill, splats, objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mousefacelift.chunks import read_index
from mousefacelift.core.cameras import azimuth_elevation
from mousefacelift.core.samples import read_cameras
from mousefacelift.report.config import ReportConfig
from mousefacelift.report.figures import histogram_uri
from mousefacelift.report.page import (
    Section,
    number,
    png_uri,
    read_json,
    read_rows,
    sample_folders,
    sheet_uri,
    spread,
    thumbnails,
)


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
        facts = read_json(track)
        excluded = facts.get("excluded", {})
        section.add("text", text=f"{folder.name}: {len(facts['frames'])} frames used, {len(excluded)} excluded, correlation time "
                    f"{number(facts.get('correlation_time_s'))} s, cuts {facts.get('cuts') or 'none'}.")
    for name, title in (("rig.png", "rig about the animal"), ("quality.png", "quality of every stored view")):
        if (folder / name).is_file():
            section.add("picture", title=f"{folder.name}: {title}", uri=png_uri(folder / name))
    samples = sample_folders(list(folder.glob("samples/*/index.json")))
    if samples:
        rows = [thumbnails(sample, config.thumbnail, 16) for sample in spread(samples, config.frames)]
        section.add("picture", title=f"{folder.name}: canonical views (one frame a row, one camera a column)", uri=sheet_uri(rows))
    quality = folder / "quality.csv"
    if quality.is_file():
        rows = read_rows(quality)
        columns = [name for name in ("hull_iou", "containment", "center_offset_px", "coverage", "blur") if rows and name in rows[0]]
        values = {name: np.array([float(row[name]) for row in rows if row[name] not in ("", "nan")]) for name in columns}
        values = {name: column for name, column in values.items() if len(column)}
        if values:
            section.add("table", title=f"{folder.name}: quality", rows=(("", *values), *(
                (label, *(number(float(function(column)), 3) for column in values.values()))
                for label, function in (("median", np.median), ("worst tenth", lambda c: np.quantile(c, 0.1)), ("largest", np.max)))))


def distill(results: Path, config: ReportConfig) -> Section:
    """Generator validation, accepted views, distinct angles and the gate's decisions."""
    section = Section("distill", "Distilled views: six painted from each photo, one kept per angle")
    indexes = sorted((results / "distill").glob("*/samples/*/index.json"))
    if not indexes:
        return section.not_run("distill")
    generator = results / "distill" / "generator"
    for path in sorted(generator.glob("*.png")):
        section.add("picture", title=f"generator: {path.stem}", uri=png_uri(path))
    if (generator / "generator.json").is_file():
        _facts(section, "generator", read_json(generator / "generator.json"))
    samples = sample_folders(indexes)
    if samples:
        rows = [thumbnails(sample, config.thumbnail, 8) for sample in spread(samples, config.frames)]
        section.add("picture", title="accepted generated views (one frame a row)", uri=sheet_uri(rows))
        angles = [azimuth_elevation(camera)[0] for sample in samples for camera in read_cameras(sample)]
        section.add("picture", title=f"azimuths of the {len(angles)} accepted views", uri=histogram_uri(angles, "azimuth, degrees", 36))
    items = [item for index in indexes for item in read_index(index)["items"]]
    _item_table(section, "per frame", items)
    return section


def splats(results: Path, config: ReportConfig) -> Section:
    """Fits against photos, in-between views, rings and trust."""
    section = Section("splats", "Splats: a 3D Gaussian fit per frame, and the views that no camera filmed")
    indexes = sorted((results / "splats").glob("*/samples/*/index.json"))
    fits = sorted((results / "splats").glob("*/fits/*/index.json"))
    if not fits:
        return section.not_run("splats")
    _item_table(section, "fits", [item for index in fits for item in read_index(index)["items"]])
    for path in sorted((results / "splats").glob("*/trust.json")):
        _facts(section, f"trust of {path.parent.name}", read_json(path))
    samples = sample_folders(indexes)
    if samples:
        rows = [thumbnails(sample, config.thumbnail, 12) for sample in spread(samples, config.frames)]
        section.add("picture", title="in-between views (one frame a row)", uri=sheet_uri(rows))
    rings = sample_folders(sorted((results / "splats").glob("*/ring/*/index.json")))
    if rings:
        section.add("picture", title="ring of one frame", uri=sheet_uri([thumbnails(spread(rings, 1)[0], config.thumbnail, 8)]))
    return section


def objects(results: Path, config: ReportConfig) -> Section:
    """Rendered objects."""
    section = Section("objects", "Objects: exact renders of true 3D things")
    indexes = sorted((results / "objects").glob("samples/*/index.json"))
    samples = sample_folders(indexes)
    if not samples:
        return section.not_run("objects")
    items = [item for index in indexes for item in read_index(index)["items"]]
    counts = {status: sum(item.get("status", "done") == status for item in items) for status in ("done", "refused", "failed")}
    section.add("text", text=", ".join(f"{count} {status}" for status, count in counts.items()) + ".")
    shown = [thumbnails(sample, config.thumbnail, 4)[0] for sample in spread(samples, 2 * config.objects)]
    section.add("picture", title="first views", uri=sheet_uri([shown[: config.objects], shown[config.objects:]]
                                                              if len(shown) > config.objects else [shown]))
    scans = sample_folders(sorted((results / "objects").glob("scans/**/index.json")))
    if scans:
        rows = [thumbnails(sample, config.thumbnail, 8) for sample in spread(scans, 2)]
        section.add("picture", title="scans (mesh sequences with known 3D truth)", uri=sheet_uri(rows))
    return section


def _facts(section: Section, title: str, document: dict) -> None:
    """A table of the plain numbers and words of a JSON object, one level of nesting flattened."""
    flat: dict[str, str] = {}
    for key, value in document.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        for name, entry in inner:
            if isinstance(entry, (int, float, str, bool)) and len(str(entry)) < 80:
                flat[f"{key} {name}".strip().replace("_", " ")] = number(entry, 3)
    if flat:
        section.add("table", title=title, rows=(("fact", "value"), *list(flat.items())[:40]))


def _item_table(section: Section, title: str, items: list[dict]) -> None:
    """Median, worst and best of every number that the items of chunks carry."""
    names = [name for name in (items[0] if items else {}) if isinstance(items[0][name], float)]
    rows = []
    for name in names:
        values = np.array([item[name] for item in items if isinstance(item.get(name), (int, float))], np.float64)
        values = values[np.isfinite(values)]
        if len(values):
            rows.append((name.replace("_", " "), *(number(float(f(values)), 3) for f in (np.min, np.median, np.max))))
    if rows:
        section.add("table", title=f"{title} ({len(items)} frames)", rows=(("", "least", "median", "most"), *rows))
