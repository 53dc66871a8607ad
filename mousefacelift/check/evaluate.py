"""Evaluation of one arm: predictions against truth, beside the baseline ladder, with collapse detectors and
consistency.

Reads the predictions folder of `lrm predict` (see `predictions`) and the dataset; writes

    metrics.parquet    one row per (method, protocol, recording, frame, view)
    summary.json       per protocol: every method's numbers with n, n_eff and intervals; collapse; consistency; findings
    sheet.png          truth, prediction and ladder side by side

    mousefacelift check evaluate --predictions results/evaluate/80-20/predictions/index.json \
        --dataset results/dataset --out results/evaluate/80-20
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from mousefacelift.check import ladder
from mousefacelift.check.collapse import collapse_metrics, diagnose
from mousefacelift.check.config import EvaluateConfig
from mousefacelift.check.fidelity import per_image
from mousefacelift.check.predictions import Prediction, read_predictions
from mousefacelift.check.statistics import describe
from mousefacelift.core.hull import silhouette_scores
from mousefacelift.core.images import composite, contact_sheet, resize_rgba, shared_crop, write_png, write_text
from mousefacelift.core.samples import read_sample
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.errors import DataError

METHODS = ("model", *ladder.METHODS)
LOWER_IS_BETTER = ("fg_l1",)
MEAN_FRAMES = 200  # training frames that the mean image is averaged over, evenly spaced


def evaluate_arm(predictions: Path, dataset: Path, out: Path, config: EvaluateConfig) -> dict:
    """Judge the predictions of one arm and write metrics.parquet, summary.json and sheet.png into `out`; returns the
    summary."""
    header, items = read_predictions(predictions)
    judged = [item for item in items if item.kind == "target"]
    if not judged:
        raise DataError(f"predictions {predictions} hold nothing to judge", expected="items of kind 'target'")
    means = mean_images(Manifest.open(dataset), judged)
    rows, shown = [], {}
    for item in tqdm(judged, desc="evaluate", unit="prediction", mininterval=1.0):
        shown[item.name] = answers(item, means)
        rows += judge(item, shown[item.name], config)
    table = pd.DataFrame(rows).assign(arm=header["arm"])
    summary = {
        "arm": header["arm"],
        "predictions": header,
        "background": config.background,
        "protocols": {p: summarise(table[table["protocol"] == p], config) for p in sorted(table["protocol"].unique())},
    }
    for protocol, entry in summary["protocols"].items():
        chosen = [item for item in judged if item.protocol == protocol]
        entry["collapse"] = collapse_of(
            chosen, [i for i in items if i.kind == "swap" and i.protocol == protocol], means, config
        )
        entry["consistency"] = consistency_of(chosen[:: max(1, len(chosen) // config.consistency_frames)])
    out.mkdir(parents=True, exist_ok=True)
    table.to_parquet(out / "metrics.parquet")
    write_png(out / "sheet.png", sheet(judged, shown, config))
    write_text(out / "summary.json", json.dumps(summary, indent=1))
    return summary


def mean_images(manifest: Manifest, judged: list[Prediction]) -> dict[tuple[str, int], np.ndarray]:
    """(recording, rig camera) -> mean rgba of its training frames, at the size of the predictions.

    The held-out camera's mean uses its own training-time photos, which no network saw: the baseline is given the
    benefit.
    """
    size = judged[0].rendered.views[0].rgba.shape[0]
    rows, _ = manifest.pool("real", "train")
    table, collected = manifest.samples.iloc[rows], defaultdict(list)
    for recording in sorted({item.recording for item in judged}):
        own = rows[(table["recording"] == recording).to_numpy()]
        if not len(own):
            raise DataError(
                f"recording '{recording}' has no training frames to take the mean image of",
                hint="check dataset.splits: without them nothing can be compared with the mean image",
            )
        for row in own[:: max(1, len(own) // MEAN_FRAMES)]:
            for view in read_sample(manifest.folder_of(row)).views:
                collected[recording, int(view.meta["camera"])].append(resize_rgba(view.rgba, size, size))
    return {key: ladder.mean_image(images) for key, images in collected.items()}


def answers(item: Prediction, means: dict) -> dict[str, list[np.ndarray]]:
    """Method -> the rgba that it shows for each target of the item."""
    hull = ladder.input_hull(item.inputs)
    cameras = [view.camera for view in item.truth]
    return {
        "model": [view.rgba for view in item.rendered.views],
        "white": [ladder.white(camera) for camera in cameras],
        "mean_image": [means[item.recording, number] for number in item.cameras],
        "nearest_input": [ladder.nearest_input(item.inputs, camera) for camera in cameras],
        "visual_hull": [ladder.visual_hull(hull, item.inputs, camera) for camera in cameras],
    }


def judge(item: Prediction, shown: dict[str, list[np.ndarray]], config: EvaluateConfig) -> list[dict]:
    """One row of fidelity metrics per method and target."""
    truth = _stack([view.rgba for view in item.truth], config)
    mask = torch.from_numpy(np.stack([view.rgba[..., 3] > 0.5 for view in item.truth]))
    rows = []
    for method, images in shown.items():
        alpha = torch.from_numpy(np.stack([image[..., 3] for image in images]))
        metrics = {
            name: values.tolist() for name, values in per_image(_stack(images, config), truth, mask, alpha).items()
        }
        rows += [
            {
                "method": method,
                "protocol": item.protocol,
                "split": item.split,
                "recording": item.recording,
                "frame": item.frame,
                "camera": camera,
                "is_input": bool(item.is_input[i]),
                **{name: values[i] for name, values in metrics.items()},
            }
            for i, camera in enumerate(item.cameras)
        ]
    return rows


def summarise(table: pd.DataFrame, config: EvaluateConfig) -> dict:
    """Numbers of every method on targets that were not inputs, and on inputs, of one protocol."""
    metrics = [c for c in table.columns if table[c].dtype.kind == "f"]
    entry: dict = {"cameras": sorted(int(c) for c in table.loc[~table["is_input"], "camera"].unique())}
    for part, chosen in (("held_out", table[~table["is_input"]]), ("inputs", table[table["is_input"]])):
        entry[part] = {
            method: {
                name: describe(
                    rows[name].to_numpy(),
                    _frame_key(rows),
                    config.bootstrap,
                    config.worst_share,
                    name not in LOWER_IS_BETTER,
                )
                for name in metrics
            }
            for method, rows in chosen.groupby("method", sort=False)
        }
    return entry


def _frame_key(rows: pd.DataFrame) -> np.ndarray:
    """Time-ordered number of each row's (recording, frame)."""
    return rows.groupby(["recording", "frame"]).ngroup().to_numpy()


def collapse_of(items: list[Prediction], swaps: list[Prediction], means: dict, config: EvaluateConfig) -> dict:
    """Collapse metrics and findings on the targets that were not inputs; what could not be judged says why."""
    views = [tuple(c for c, shown in zip(item.cameras, item.is_input) if not shown) for item in items]
    common = max(set(views), key=views.count)
    items = [item for item, cameras in zip(items, views) if cameras == common]
    if len(items) < 2 or not common:
        return {"judged": False, "why": f"{len(items)} frames with the same held-out views; at least 2 are needed"}
    targets = torch.stack([_held_out([v.rgba for v in item.truth], item, config) for item in items])
    predicted = torch.stack([_held_out([v.rgba for v in item.rendered.views], item, config) for item in items])
    mask, shape = (
        torch.stack([_held_out_alpha(views_of(item), item) for item in items])
        for views_of in (lambda i: i.truth, lambda i: i.rendered.views)
    )
    mean = _stack([means[items[0].recording, camera] for camera in common], config)
    nearest = torch.stack(
        [_held_out([ladder.nearest_input(item.inputs, v.camera) for v in item.truth], item, config) for item in items]
    )
    swapped = _swapped(items, swaps, common, config)
    values = collapse_metrics(predicted, targets, mask, shape, mean, input_image=nearest, swapped=swapped)
    return {
        "judged": True,
        "frames": len(items),
        "cameras": list(common),
        "metrics": values,
        "findings": list(diagnose(values)),
    }


def _swapped(items, swaps, common, config):
    """(swapped renders, truth of the input's frame, truth of the camera's frame), each [N, V, 3, H, W]; None without
    swaps."""
    by_frame = {(item.recording, item.frame): item for item in items}
    chosen = [s for s in swaps if (s.recording, s.swap_frame) in by_frame and set(common) <= set(s.cameras)]
    if not chosen:
        return None

    def views(item, images):
        return _stack([images[item.cameras.index(camera)].rgba for camera in common], config)

    return (
        torch.stack([views(s, s.rendered.views) for s in chosen]),
        torch.stack(
            [views(by_frame[s.recording, s.swap_frame], by_frame[s.recording, s.swap_frame].truth) for s in chosen]
        ),
        torch.stack([views(s, s.truth) for s in chosen]),
    )


def consistency_of(items: list[Prediction]) -> dict:
    """Mean silhouette containment and hull IoU over the rendered views, and the same numbers of the true views."""
    values = defaultdict(list)
    for item in items:
        for name, views in (("model", item.rendered.views), ("truth", item.truth)):
            masks = [view.rgba[..., 3] > 0.5 for view in views]
            if len(masks) < 3 or not all(mask.any() for mask in masks):
                values[f"{name}_empty"].append(1.0)
                continue
            scores = silhouette_scores(masks, [view.camera for view in views], np.zeros(3), ladder.HALF_EXTENT)
            values[f"{name}_containment"].append(float(scores["containment"].mean()))
            values[f"{name}_hull_iou"].append(float(scores["hull_iou"].mean()))
    summary = {name: float(np.sum(v) if name.endswith("_empty") else np.mean(v)) for name, v in values.items()}
    return summary | {"frames": len(items)}


def sheet(items: list[Prediction], shown: dict, config: EvaluateConfig) -> np.ndarray:
    """Picture with one row per prediction: truth, model, then the ladder, of its first target that was no input."""
    pictures, step = [], max(1, len(items) // config.sheet_rows)
    for item in items[::step][: config.sheet_rows]:
        target = int(np.argmin(item.is_input))
        images = [item.truth[target].rgba, *(shown[item.name][method][target] for method in METHODS)]
        pictures += [composite(image, (config.background,) * 3) for image in images]
    labels = ("truth", *(method.replace("_", " ") for method in METHODS))
    return contact_sheet(shared_crop(pictures, config.background), len(labels), labels=labels)


def _stack(images: list[np.ndarray], config: EvaluateConfig) -> torch.Tensor:
    """[V, 3, H, W] of rgba images over the evaluation's background."""
    flat = np.stack([composite(image, (config.background,) * 3) for image in images])
    return torch.from_numpy(flat.astype(np.float32)).permute(0, 3, 1, 2).contiguous()


def _held_out(images: list[np.ndarray], item: Prediction, config: EvaluateConfig) -> torch.Tensor:
    return _stack([image for image, given in zip(images, item.is_input) if not given], config)


def _held_out_alpha(views, item: Prediction) -> torch.Tensor:
    return torch.from_numpy(np.stack([v.rgba[..., 3] for v, given in zip(views, item.is_input) if not given]))
