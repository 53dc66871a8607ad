"""A chunk of in-between or ring views, rendered from a chunk of fits."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Literal

from mousefacelift.chunks import chunk_folder, read_index, run_chunk
from mousefacelift.config import config_hash
from mousefacelift.core.files import read_json, relative_path
from mousefacelift.errors import DataError
from mousefacelift.splats.chunk import read_fit
from mousefacelift.splats.config import NovelConfig
from mousefacelift.splats.novel import plan_ring, plan_views, write_views
from mousefacelift.splats.trust_calibration import read_trust


def render_chunk(
    fits: Path,
    trust_path: Path,
    out: Path,
    config: NovelConfig,
    kind: Literal["novel", "ring"],
    samples: Path | None = None,
    device: str = "cpu",
) -> dict:
    """Render the in-between views or the ring of every frame with a good fit.

    Nothing is refitted: the outputs depend on the fits, the calibration and `config` alone. Frames whose fit
    failed or was flagged as an outlier are named in the header and not rendered.

    Args:
        samples: index of the real samples; when given, fits of older samples are refused.
    """
    trust = read_trust(trust_path)
    entries = read_index(fits)["items"]
    if samples is not None:
        _check_parents(entries, Path(fits).parent, Path(samples))
    left_out = {item["name"]: why for item in entries if (why := _why_not(item))}
    items = [item for item in entries if item["name"] not in left_out]
    key = config_hash(
        {"kind": kind, "novel": asdict(config), "trust": trust.to_dict(), "fits": [i["hash"] for i in items]}
    )
    plan = plan_ring if kind == "ring" else plan_views

    def make(name: str, folder: Path, target: Path) -> dict:
        scene, record, cameras = read_fit(folder)
        return write_views(target, scene, plan(cameras, config), trust, record, config, device)

    named = [(item["name"], Path(fits).parent / item["name"]) for item in items]
    fits_folder = relative_path(Path(fits).parent, chunk_folder(out))
    header = {"stage": f"splats {kind}", "source": "splat", "left_out": left_out, "fits": fits_folder}
    return run_chunk(out, key, named, make, header, label="frames")


def _why_not(item: dict) -> str | None:
    if item.get("failed"):
        return item["failed"]
    if item["how"] == "flagged":
        return (
            f"error {item['scores']['error']:.3f} on the fitted cameras: an outlier of the recording even after a "
            "second try"
        )
    return None


def _check_parents(entries: list[dict], folder: Path, samples: Path) -> None:
    known = {item["name"]: set(item.get("hashes", [])) for item in read_index(samples)["items"]}
    for item in entries:
        parents = read_json(folder / item["name"] / "fit.json", {"parents": [str]}, "fit")["parents"]
        if known.get(item["name"]) and not set(parents) <= known[item["name"]]:
            raise DataError(
                f"the fit of frame '{item['name']}' was made from other images than {samples.parent} holds",
                likely="the samples were made again after the fit",
                hint="mousefacelift splats fit",
            )
