"""The splat viewer inside the page: one moment, as every arm sees it, turned by hand.

Splats come from predictions that kept theirs (several views), from protocol S (one picture), and from the per-frame
fits to all cameras, which stand for the truth of a filmed animal.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from mousefacelift.chunks import read_index
from mousefacelift.core.files import json_text
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.splat_files import read_ply
from mousefacelift.core.turntable import fitting_zoom
from mousefacelift.report.config import ReportConfig
from mousefacelift.report.pack import BYTES, pack_splat
from mousefacelift.report.page import Section, read_json, spread

FIT = "fit to all cameras"
Moment = tuple[str, int]
Splats = dict[str, dict[Moment, Callable[[], Gaussians]]]  # name of the arm -> moment -> how it is read


def viewer(results: Path, config: ReportConfig) -> Section:
    """Frames and arms to choose from."""
    section = Section("viewer", "Turn it yourself")
    found = _predicted(results) | _single(results)
    moments = _moments(found, config.viewer_frames)
    found[FIT] = _fits(results, moments)
    found = {arm: splats for arm, splats in found.items() if any(moment in splats for moment in moments)}
    if not moments:
        return section.not_run("a reconstruction that kept its splat (predict.splats_kept, protocol S)")
    chosen = [(arm, moment) for arm in found for moment in moments if moment in found[arm]]
    largest = min(config.viewer_gaussians, int(config.viewer_megabytes * 1e6 * 3 / 4 / BYTES / len(chosen)))
    gaussians = {key: found[key[0]][key[1]]() for key in chosen}
    document = {
        "zoom": min(fitting_zoom(splat) for splat in gaussians.values()),
        "moments": [f"{recording}, frame {frame}" for recording, frame in moments],
        "arms": list(found),
        "splats": {
            f"{list(found).index(arm)}/{moments.index(moment)}": pack_splat(splat, largest)
            for (arm, moment), splat in gaussians.items()
        },
    }
    section.add(
        "viewer",
        text=json_text(document).replace("</", "<\\/"),
        title="drag to turn, wheel or two fingers to zoom; arrow keys turn too",
    )
    return section


def _moments(found: Splats, count: int) -> list[Moment]:
    """At most `count` moments in time order: first those that several arms answered, evenly spread, then others."""
    counts = Counter(moment for arm in found.values() for moment in arm)
    shared = spread(sorted(moment for moment in counts if counts[moment] > 1), count)
    return sorted(shared + spread(sorted(set(counts) - set(shared)), count - len(shared)))


def _predicted(results: Path) -> Splats:
    """Splats that predictions of the trained arms kept."""
    found: Splats = {}
    for index in sorted((results / "evaluate").glob("*/predictions/index.json")):
        document = read_json(index)
        given = {
            (row["recording"], row["frame"]): (len(row["inputs"]), index.parent / row["name"] / "splat.ply")
            for row in document["items"]
            if row["kind"] == "target" and (index.parent / row["name"] / "splat.ply").is_file()
        }
        if given:
            count = max(number for number, _ in given.values())
            name = f"{index.parent.parent.name}, {count} pictures"
            found[name] = {moment: (lambda path=path: read_ply(path)) for moment, (_, path) in given.items()}
    return found


def _single(results: Path) -> Splats:
    """What a single picture of a filmed moment was turned into: of its first picture."""
    index = results / "predict_single" / "frames" / "index.json"
    if not index.is_file():
        return {}
    found: dict[Moment, Callable[[], Gaussians]] = {}
    for row in read_json(index)["items"]:
        path = index.parent / row["name"] / "model.npz"
        if row["knows_camera"] and path.is_file():
            found.setdefault((row["subject"], row["frame"]), lambda path=path: Gaussians.read(path))
    return {"one picture": found}


def _fits(results: Path, moments: list[Moment]) -> dict[Moment, Callable[[], Gaussians]]:
    """The per-frame fits of the moments, where there are any."""
    found = {}
    for index in sorted((results / "splats").glob("*/fits/*/index.json")):
        recording = index.parts[-4]
        first, last = map(int, re.fullmatch(r"(\d+)-(\d+)", index.parent.name).groups())
        wanted = {frame for name, frame in moments if name == recording and first <= frame <= last}
        for item in read_index(index)["items"] if wanted else []:
            path = index.parent / item["name"] / "splat.npz"
            if item.get("frame") in wanted and path.is_file():
                found[recording, item["frame"]] = lambda path=path: Gaussians.read(path)
    return found
