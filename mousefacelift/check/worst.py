"""The worst cases first: which views a model gets most wrong, and pictures of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mousefacelift.check import ladder
from mousefacelift.check.config import EvaluateConfig
from mousefacelift.check.predictions import read_predictions
from mousefacelift.check.single_items import read_items
from mousefacelift.core.images import composite, contact_sheet, resize_rgba, shared_crop, write_png
from mousefacelift.core.render import render_pictures

MODEL = "model"
NUMBERS = ("iou", "full_psnr", "fg_psnr", "coverage", "angle", "stretch", "pitch")
EDGE = 192  # px at most of a picture in the sheet


def worst_views(table: pd.DataFrame, count: int) -> list[dict]:
    """The view with the least IoU of each of the `count` worst moments, worst first, beside the rungs' IoU there."""
    model = table[table["method"] == MODEL]
    rows = model.loc[model.groupby(["recording", "frame"], observed=True)["iou"].idxmin()].nsmallest(count, "iou")
    keys = [name for name in ("recording", "frame", "camera", "picture_camera") if name in table]
    found = []
    for _, row in rows.iterrows():
        same = np.logical_and.reduce([table[key] == row[key] for key in keys])
        rungs = {r["method"]: float(r["iou"]) for _, r in table[same].iterrows() if r["method"] != MODEL}
        where = {key: row[key] if key == "recording" else int(row[key]) for key in keys}
        found.append(where | {name: float(row[name]) for name in NUMBERS} | {"rungs": rungs})
    return found


def draw_worst_arm(path: Path, run: Path, worst: list[dict], config: EvaluateConfig) -> None:
    """Sheet of the worst views of a run: nearest given picture, truth, model, visual hull. Nothing without its
    predictions."""
    index = run / "predictions" / "index.json"
    if not worst or not index.is_file():
        return
    opened, pictures = read_predictions(index), []
    moments = {(row["recording"], row["frame"]) for row in worst}
    chosen = [b for b in opened.briefs if b.kind == "target" and (b.recording, b.frame) in moments]
    items = {(i.recording, i.frame, c): (i, k) for i in map(opened.item, chosen) for k, c in _unseen(i)}
    for row in worst:
        item, place = items[row["recording"], row["frame"], row["camera"]]
        prediction = opened.load(item)
        camera = prediction.truth[place].camera
        hull = ladder.input_hull(prediction.inputs)
        pictures += [
            ladder.nearest_input(prediction.inputs, camera),
            prediction.truth[place].rgba,
            prediction.rendered.views[place].rgba,
            ladder.visual_hull(hull, prediction.inputs, camera),
        ]
    _write_sheet(path, pictures, ("nearest picture", "truth", "model", "visual hull"), config)


def _unseen(item) -> list[tuple[int, int]]:
    """(place among the targets, rig camera) of the targets that were not given."""
    return [(place, target.camera) for place, target in enumerate(item.targets) if not target.is_input]


def draw_worst_single(path: Path, results: Path, decision: dict, config: EvaluateConfig) -> None:
    """Sheet of the worst views of protocol S: picture, truth, model, nearest filmed pose."""
    index = results / "predict_single" / decision["bed"] / "index.json"
    if not decision["worst"] or not index.is_file():
        return
    wanted = {(r["recording"], r["frame"], r["picture_camera"]): r["camera"] for r in decision["worst"]}

    def is_wanted(row: dict) -> bool:
        return row["knows_camera"] and (row["subject"], row["frame"], row["camera"]) in wanted

    drawn = {}
    for item in read_items(index, is_wanted):
        key = (item.row["subject"], item.row["frame"], item.row["camera"])
        target = item.targets[item.row["cameras"].index(wanted[key])]
        splats = [item.gaussians(name) for name in (MODEL, "nearest")]
        shown = [render_pictures(gaussians, [target.camera])[0] for gaussians in splats]
        drawn[key] = [item.picture.rgba, target.rgba, *shown]
    _write_sheet(path, [p for key in wanted for p in drawn[key]], ("picture", "truth", "model", "nearest pose"), config)


def _write_sheet(path: Path, pictures: list[np.ndarray], labels: tuple[str, ...], config: EvaluateConfig) -> None:
    small = [resize_rgba(p, EDGE, EDGE) if p.shape[1] > EDGE else p for p in pictures]
    flat = [composite(picture, (config.background,) * 3) for picture in small]
    write_png(path, contact_sheet(shared_crop(flat, config.background), len(labels), labels=labels))
