"""Numbers of protocol S: means with intervals per test bed, error against angle, the paired difference from the nearest
filmed pose, collapse detectors, and one sentence that says whether it works."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pandas as pd
import torch

from mousefacelift.check.collapse import collapse_metrics, diagnose
from mousefacelift.check.config import EvaluateConfig
from mousefacelift.check.single_items import SingleItem, mean_keys
from mousefacelift.check.situation import COLUMNS
from mousefacelift.check.statistics import block_interval, describe, effective_count
from mousefacelift.core.images import composite, resize_rgba
from mousefacelift.core.spread import spread

LOWER_IS_BETTER = ("fg_l1", "lpips", "chamfer", "turn_error", "elevation_error", "scale_error")
ANGLES = (0, 45, 90, 135, 181)  # degrees from the picture's camera
BY_ANGLE = ("iou", "full_psnr", "fg_psnr")
PAIRED = ("iou", "full_psnr", "fg_psnr", "fg_ssim")
RIVAL = "nearest"
SMALL = 48  # pixels of a thumbnail
WATCHED = 5  # judging views per picture that the collapse detectors look at


class Thumbnails:
    """Small pictures of the model's answers and the truth, for detectors that compare frames with one another."""

    def __init__(self) -> None:
        self._kept: dict = defaultdict(list)

    def add(self, item: SingleItem, images: dict, means: dict, background: float) -> None:
        """Keep one picture's thumbnails; pictures of one camera belong together."""
        keys = mean_keys(item.row)
        views = spread(len(keys), WATCHED)
        small = {
            "prediction": [images["model"][v] for v in views],
            "target": [item.targets[v].rgba for v in views],
            "mean": [means[keys[v]] for v in views],
        }
        entry = {name: np.stack([_small(rgba) for rgba in pictures]) for name, pictures in small.items()}
        self._kept[item.row["camera"], len(views)].append(
            (entry | {"input": _small(item.picture.rgba)[None]}, background)
        )

    def detect(self) -> dict:
        """Collapse metrics and findings over the largest group of pictures of one camera."""
        if not self._kept or max(map(len, self._kept.values())) < 2:
            return {"judged": False, "why": "fewer than 2 pictures of one camera"}
        group = max(self._kept.values(), key=len)
        background = group[0][1]
        rgb, alpha = {}, {}
        for name in ("prediction", "target", "mean", "input"):
            rgba = np.stack([entry[name] for entry, _ in group])
            flat = composite(rgba, (background,) * 3).astype(np.float32)
            rgb[name] = torch.from_numpy(flat).permute(0, 1, 4, 2, 3)
            alpha[name] = torch.from_numpy(rgba[..., 3].copy())
        metrics = collapse_metrics(
            rgb["prediction"],
            rgb["target"],
            alpha["target"] > 0.5,
            alpha["prediction"],
            rgb["mean"][0],
            input_image=rgb["input"][:, 0],
        )
        return {"judged": True, "frames": len(group), "metrics": metrics, "findings": list(diagnose(metrics))}


def _small(rgba: np.ndarray) -> np.ndarray:
    return resize_rgba(rgba, SMALL, SMALL)


def summarise_bed(judged, items: list[dict], config: EvaluateConfig) -> dict:
    """Everything that is said about one test bed."""
    views, solids, cameras = (pd.DataFrame(rows) for rows in (judged.views, judged.solids, judged.cameras))
    known = views[views["knows_camera"]]
    entry = {
        "pictures": int(sum(row["knows_camera"] for row in items)),
        "subjects": len({row["subject"] for row in items}),
        "known": _by_method(known, config),
        "held_out_camera": _by_method(known[known["held_out"]], config) if not known["held_out"].all() else {},
        "unknown": _by_method(views[~views["knows_camera"]], config),
        "by_angle": _by_angle(known),
        "paired": _paired(known, config),
        "collapse": judged.thumbnails.detect(),
        "seconds": _seconds(items),
        "unusual": _unusual(items),
    }
    if len(solids):
        entry["solid"] = _by_method(solids[solids["knows_camera"]], config)
    if len(cameras):
        entry["estimates"] = _by_method(cameras.assign(subject="", frame=np.arange(len(cameras))), config)
    return entry


def _by_method(table: pd.DataFrame, config: EvaluateConfig) -> dict:
    """{method: {metric: numbers with n, n_eff and interval}}; n counts (subject, frame)."""
    if not len(table):
        return {}
    metrics = [name for name in table.columns if table[name].dtype.kind == "f" and name not in COLUMNS]
    return {
        method: {
            name: describe(
                rows[name].to_numpy(), _moment(rows), config.bootstrap, config.worst_share, name not in LOWER_IS_BETTER
            )
            for name in metrics
        }
        for method, rows in table.groupby("method", sort=False)
    }


def _moment(rows: pd.DataFrame) -> np.ndarray:
    """Time-ordered number of each row's (subject, frame)."""
    return rows.groupby(["subject", "frame"]).ngroup().to_numpy()


def _by_angle(table: pd.DataFrame) -> list[dict]:
    """Means of every method in bins of the angle from the picture's camera."""
    rows = []
    for low, high in zip(ANGLES[:-1], ANGLES[1:], strict=True):
        part = table[(table["angle"] >= low) & (table["angle"] < high)]
        for method, group in part.groupby("method", sort=False):
            means = {name: float(group[name].mean()) for name in BY_ANGLE}
            rows.append({"from": low, "to": min(high, 180), "method": method, "views": len(group), **means})
    return rows


def _paired(table: pd.DataFrame, config: EvaluateConfig) -> dict:
    """Model minus nearest filmed pose per moment (views averaged first), with block-bootstrap interval."""
    table = table.assign(moment=_moment(table))
    found = {}
    for name in PAIRED:
        means = table.pivot_table(index="moment", columns="method", values=name, aggfunc="mean")
        if RIVAL not in means or "model" not in means:
            continue
        series = (means["model"] - means[RIVAL]).dropna().to_numpy()
        low, high = block_interval(series, config.bootstrap)
        found[name] = {
            "mean": float(series.mean()),
            "low": low,
            "high": high,
            "n": len(series),
            "n_eff": effective_count(series),
        }
    return found


def _seconds(items: list[dict]) -> dict:
    """Median seconds of an answer per method."""
    times = defaultdict(list)
    for row in items:
        for method, facts in row["methods"].items():
            if facts["seconds"]:
                times[method].append(facts["seconds"])
    return {method: float(np.median(values)) for method, values in times.items()}


def _unusual(items: list[dict]) -> dict:
    """How far the pictures are from anything filmed, and which filmed poses were found most often."""
    facts = [row["methods"][RIVAL] for row in items if RIVAL in row["methods"]]
    if not facts:
        return {}
    return {
        "median": float(np.median([fact["usual"] for fact in facts])),
        "unlike_anything": int(sum(fact["usual"] >= 1.0 for fact in facts)),
        "pictures": len(facts),
        "poses": len(Counter(fact["pose"] for fact in facts)),
    }


def verdict(beds: dict) -> dict:
    """One sentence that says whether one picture gives a 3D mouse, and "yes", "no" or "undecided".

    Yes means: better than the nearest filmed pose in IoU on the filmed animal at new times, with an interval that
    excludes 0, and no collapse. The bed of virtual animals decides where no animal was filmed.
    """
    bed = next((name for name in ("frames", "animals", "mammal") if name in beds), None)
    if bed is None or "iou" not in beds[bed]["paired"]:
        return {
            "answer": "undecided",
            "text": "Not decided: there is no answer of the nearest filmed pose to compare with.",
        }
    entry = beds[bed]
    model, rival, gain = (
        entry["known"]["model"],
        entry["known"][RIVAL],
        entry["paired"]["iou"],
    )
    findings = entry["collapse"].get("findings", [])
    if gain["low"] > 0 and not findings:
        answer, start = "yes", "It works better than retrieval"
    elif gain["high"] < 0 or findings:
        answer, start = "no", "It does not work yet"
    else:
        answer, start = "undecided", "Whether it works is not decided"
    what = {"frames": "at new times", "animals": "of animals it never saw", "mammal": "of another body model"}[bed]
    interval = f"{gain['low']:+.2f} to {gain['high']:+.2f}" if np.isfinite(gain["low"]) else "too few moments"
    text = (
        f"{start}: from one picture {what}, the other views are met with IoU {model['iou']['mean']:.2f} and "
        f"{model['full_psnr']['mean']:.1f} dB (coverage {model['coverage']['mean']:.2f}); the nearest filmed pose "
        f"reaches {rival['iou']['mean']:.2f} and {rival['full_psnr']['mean']:.1f} dB (paired difference of IoU "
        f"{gain['mean']:+.2f}, 95% interval {interval}, {gain['n']} moments)"
        + (f"; collapse found: {', '.join(findings)}." if findings else ".")
    )
    return {"answer": answer, "text": text, "bed": bed}
