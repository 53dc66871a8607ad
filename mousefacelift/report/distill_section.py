"""The section about distilled views: what the generator can do, what was kept, what the gate refused and why."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mousefacelift.chunks import read_index
from mousefacelift.core.cameras import azimuth_elevation
from mousefacelift.core.samples import read_cameras
from mousefacelift.report.config import ReportConfig
from mousefacelift.report.figures import counts_uri, histogram_uri
from mousefacelift.report.page import (
    Section,
    each_item,
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

CHOICES_READ = 400  # frames whose recorded choices are counted, evenly spread


def distill(results: Path, config: ReportConfig) -> Section:
    """Generator validation, accepted views, distinct angles and the gate's decisions."""
    section = Section("distill", "Distilled views: six painted from each photo, one kept per angle")
    indexes = sorted((results / "distill").glob("*/samples/*/index.json"))
    if not indexes:
        return section.not_run("distill")
    _generator(section, results / "distill" / "generator")
    samples = sample_folders(indexes)
    if samples:
        rows = [thumbnails(sample, config.thumbnail, 8) for sample in spread(samples, config.frames)]
        section.add("picture", title="accepted generated views (one frame a row)", uri=sheet_uri(rows))
        angles = [azimuth_elevation(camera)[0] for sample in samples for camera in read_cameras(sample)]
        section.add(
            "picture",
            title=f"azimuths of the {len(angles)} accepted views",
            uri=histogram_uri(angles, "azimuth, degrees", 36),
        )
    item_table(section, "per frame", each_item(indexes))
    _choices(section, indexes)
    return section


def _generator(section: Section, folder: Path) -> None:
    for path in sorted(folder.glob("*.png")):
        section.add("picture", title=f"generator: {path.stem}", uri=png_uri(path))
    if (folder / "generator.json").is_file():
        document = read_json(folder / "generator.json")
        scores = {
            name: row for name, row in document.get("validation", {}).items() if isinstance(row, dict) and "psnr" in row
        }
        if scores:
            section.add(
                "table",
                title="generator on frames that it was not trained on, beside copying the photo and the mean image",
                rows=(
                    ("", "foreground PSNR, dB", "IoU"),
                    *((name, number(row["psnr"]), number(row["iou"], 3)) for name, row in scores.items()),
                ),
            )
        for alarm in document.get("validation", {}).get("alarms", []):
            section.add("alarm", text=f"generator: {alarm}")
        facts_table(section, "generator", document)
    if (folder.parent / "gate.json").is_file():
        gate = read_json(folder.parent / "gate.json")
        low, median = gate["facts"].get("low", {}), gate["facts"].get("median", {})
        section.add(
            "table",
            title=f"gate: thresholds learnt from {gate['facts'].get('views')} held-out photos of this rig",
            rows=(
                ("score", "refused below", "photos: first percentile", "photos: median"),
                *(
                    (name.replace("_", " "), *(number(source.get(name), 3) for source in (gate["values"], low, median)))
                    for name in gate["values"]
                ),
            ),
        )


def _choices(section: Section, indexes: list[Path]) -> None:
    """Distinct angles per frame, what became of the candidates, and the reasons of the refusals."""
    files = [
        index.parent / item["name"] / "candidates.json" for index in indexes for item in read_index(index)["items"]
    ]
    frames = [
        read_json(path)["candidates"] for path in spread([path for path in files if path.is_file()], CHOICES_READ)
    ]
    if not frames:
        return
    for path in spread([path.with_suffix(".png") for path in files if path.with_suffix(".png").is_file()], 2):
        section.add(
            "picture",
            title=f"candidates of frame {path.parent.name}, one input photo a row: accepted (green), duplicate (grey), "
            "a photo is there (blue), refused (red)",
            uri=png_uri(path),
        )
    distinct = Counter(len({candidate["cluster"] for candidate in frame}) for frame in frames)
    section.add(
        "picture",
        title="distinct angles among the candidates of a frame",
        uri=counts_uri(distinct, "distinct angles", "frames"),
    )
    status = Counter(candidate["status"] for frame in frames for candidate in frame)
    reasons = Counter(
        (candidate.get("reason") or "").split(" ")[0]
        for frame in frames
        for candidate in frame
        if candidate["status"] == "refused"
    )
    for title, counts in (("what became of the candidates", status), ("refused because of", reasons)):
        if counts:
            section.add(
                "table",
                title=f"{title} ({len(frames)} frames)",
                rows=(("", "views"), *((name.replace("_", " "), str(count)) for name, count in counts.most_common())),
            )
