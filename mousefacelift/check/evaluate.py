"""Evaluation of one arm: predictions against truth, beside the baseline ladder, with collapse detectors, consistency,
health and, where the true surface is known, its distance.

Reads the predictions folder of `lrm predict` (see `predictions`) one prediction at a time, and the dataset; writes

    metrics.parquet    one row per (method, protocol, recording, frame, view), with its circumstances (`situation`)
    summary.json       per protocol: every method's numbers with n, n_eff and intervals; collapse; consistency; health;
                       surface; findings
    sheet.png          truth, prediction and ladder side by side

    mousefacelift check evaluate --predictions results/evaluate/80-20/predictions/index.json \
        --dataset results/dataset --out results/evaluate/80-20
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from mousefacelift.check import ladder
from mousefacelift.check.config import EvaluateConfig
from mousefacelift.check.fidelity import per_image
from mousefacelift.check.gather import CollapseGatherer, GeometryGatherer, stack
from mousefacelift.check.predictions import Item, Prediction, Predictions, read_predictions
from mousefacelift.check.situation import COLUMNS, nearest_angles, pose_of_views
from mousefacelift.check.statistics import describe
from mousefacelift.check.truth_mesh import TruthMeshes
from mousefacelift.core.files import write_text
from mousefacelift.core.hull import hull_depth
from mousefacelift.core.images import composite, contact_sheet, resize_rgba, shared_crop, write_png
from mousefacelift.core.parallel import in_order
from mousefacelift.core.samples import read_document, read_sample, sample_facts
from mousefacelift.core.splat_files import read_ply
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.errors import DataError

METHODS = ("model", *ladder.RUNGS)
LOWER_IS_BETTER = ("fg_l1",)
SHEET_SIZE = 256  # px at most of a picture in the sheet
WIDE = 256  # px; wider pictures are judged one prediction at a time: at 512 px each thread holds 120 MB
MEAN_FRAMES = 200  # training frames that the mean image is averaged over, evenly spaced

Means = dict[tuple[str, int], np.ndarray]


@dataclass(frozen=True)
class Protocol:
    """What is gathered of one protocol, and which of its predictions have their silhouettes measured."""

    collapse: CollapseGatherer
    geometry: GeometryGatherer
    measured: frozenset[str]


def evaluate_arm(
    predictions: Path, dataset: Path, out: Path, config: EvaluateConfig, threads: int | None = None
) -> dict:
    """Judge the predictions of one arm and write metrics.parquet, summary.json and sheet.png into `out`; returns the
    summary.

    `threads` predictions of pictures up to WIDE are judged at a time (None: as many as torch has), of wider ones one;
    the result does not depend on it.
    """
    opened = read_predictions(predictions)
    judged = [item for item in opened.items if item.kind == "target"]
    if not judged:
        raise DataError(f"predictions {predictions} hold nothing to judge", expected="items of kind 'target'")
    manifest = Manifest.open(dataset)
    means = mean_images(manifest, {item.recording for item in judged}, opened.header["size"])
    protocols = {name: _protocol(name, judged, means, config) for name in sorted({item.protocol for item in judged})}
    at_once = 1 if opened.header["size"] > WIDE else threads or torch.get_num_threads()
    rows, pictures = _stream(opened, judged, manifest, means, protocols, config, at_once)
    table = pd.DataFrame(rows).assign(arm=opened.header["arm"])
    summary = {
        "arm": opened.header["arm"],
        "predictions": opened.header,
        "background": config.background,
        "protocols": {
            name: summarise(table[table["protocol"] == name], config)
            | {
                "collapse": protocol.collapse.summary(),
                "consistency": protocol.geometry.summary("consistency") | {"frames": protocol.geometry.measured},
                "health": protocol.geometry.summary("health"),
                "surface": protocol.geometry.summary("surface"),
            }
            for name, protocol in protocols.items()
        },
    }
    out.mkdir(parents=True, exist_ok=True)
    table.to_parquet(out / "metrics.parquet")
    labels = ("truth", *(method.replace("_", " ") for method in METHODS))
    write_png(out / "sheet.png", contact_sheet(shared_crop(pictures, config.background), len(labels), labels=labels))
    write_text(out / "summary.json", json.dumps(summary, indent=1))
    return summary


def _protocol(name: str, judged: Sequence[Item], means: Means, config: EvaluateConfig) -> Protocol:
    own = [item for item in judged if item.protocol == name]
    measured = own[:: max(1, len(own) // config.consistency_frames)]
    collapse = CollapseGatherer(config.background, lambda recording, camera: means[recording, camera])
    return Protocol(collapse, GeometryGatherer(), frozenset(item.name for item in measured))


def _stream(
    opened: Predictions,
    judged: Sequence[Item],
    manifest: Manifest,
    means: Means,
    protocols: dict[str, Protocol],
    config: EvaluateConfig,
    threads: int,
) -> tuple[list[dict], list[np.ndarray]]:
    """Metric rows of every judged prediction and the pictures of the sheet; gathers what `protocols` need.

    `threads` predictions are in memory at a time, and one more that is being gathered.
    """
    rows, pictures, meshes = [], [], TruthMeshes(manifest)
    drawn = {item.name for item in judged[:: max(1, len(judged) // config.sheet_rows)][: config.sheet_rows]}

    def look(item: Item) -> tuple[Prediction, list[dict], list[np.ndarray]]:
        prediction = opened.load(item)
        return prediction, *judge(prediction, means, config, item.name in drawn)

    looks = in_order(look, judged, threads)
    for prediction, own, row in tqdm(looks, "evaluate", len(judged), unit="prediction", mininterval=1.0):
        item = prediction.item
        protocol = protocols[item.protocol]
        rows += own
        pictures += row
        protocol.collapse.add(prediction)
        protocol.geometry.add_health(prediction)
        if item.name in protocol.measured:
            protocol.geometry.add_views(prediction)
        _add_surface(opened.root, item, meshes, protocol.geometry)
    swaps = [item for item in opened.items if item.kind == "swap" and item.protocol in protocols]
    for item, rendered in zip(swaps, in_order(opened.rendered, swaps, threads)):
        protocols[item.protocol].collapse.add_swap(item, [view.rgba for view in rendered.views])
    return rows, pictures


def _add_surface(root: Path, item: Item, meshes: TruthMeshes, geometry: GeometryGatherer) -> None:
    """Distance of a kept splat from the true surface of its frame, where there is one."""
    splat = root / item.name / "splat.ply"
    if not splat.is_file():
        return
    folder = (root / item.targets[0].sample).resolve()
    found = meshes.points(sample_facts(read_document(folder), folder))
    if found is not None:
        geometry.add_surface(read_ply(splat), *found)


def mean_images(manifest: Manifest, recordings: Iterable[str], size: int) -> Means:
    """(recording, rig camera) -> mean rgba [size, size, 4] of its training frames.

    The held-out camera's mean uses its own training-time photos, which no network saw: the baseline is given the
    benefit.
    """
    rows, _ = manifest.pool("real", "train")
    table = manifest.samples.iloc[rows]
    sums: dict[tuple[str, int], ladder.RunningMean] = {}
    for recording in sorted(recordings):
        own = rows[(table["recording"] == recording).to_numpy()]
        if not len(own):
            raise DataError(
                f"recording '{recording}' has no training frames to take the mean image of",
                hint="check dataset.splits: without them nothing can be compared with the mean image",
            )
        for row in own[:: max(1, len(own) // MEAN_FRAMES)]:
            for view in read_sample(manifest.folder_of(row)).views:
                key = (recording, view.facts.rig_camera)
                sums.setdefault(key, ladder.RunningMean()).add(resize_rgba(view.rgba, size, size))
    return {key: running.image() for key, running in sums.items()}


def answers(prediction: Prediction, means: Means) -> Iterator[tuple[str, list[np.ndarray]]]:
    """(method, the rgba that it shows for each target), one method at a time."""
    yield "model", [view.rgba for view in prediction.rendered.views]
    hull = ladder.input_hull(prediction.inputs)
    depths = [hull_depth(hull, view.camera) for view in prediction.inputs]
    questions = [
        ladder.Question(view.camera, prediction.inputs, hull, means[prediction.item.recording, number], depths)
        for view, number in zip(prediction.truth, prediction.item.cameras, strict=True)
    ]
    for name, rung in ladder.RUNGS.items():
        yield name, [rung(question) for question in questions]


def judge(
    prediction: Prediction, means: Means, config: EvaluateConfig, drawn: bool
) -> tuple[list[dict], list[np.ndarray]]:
    """One row of fidelity metrics per method and target, and where it is `drawn` a row of the sheet: the first target
    that was no input, then what each method shows for it."""
    item, rows = prediction.item, []
    angles = nearest_angles([v.camera for v in prediction.inputs], [v.camera for v in prediction.truth])
    pose = pose_of_views(prediction.truth)
    truths = stack([view.rgba for view in prediction.truth], config.background)
    masks = [torch.from_numpy(view.rgba[..., 3] > 0.5) for view in prediction.truth]
    first = int(np.argmin(item.is_input))
    pictures = [_small(prediction.truth[first].rgba, config)] if drawn else []
    for method, images in answers(prediction, means):
        pictures += [_small(images[first], config)] if drawn else []
        for target, truth, mask, image, angle in zip(item.targets, truths, masks, images, angles, strict=True):
            picture, alpha = stack([image], config.background)[0], torch.from_numpy(image[..., 3])
            rows.append(
                {
                    "method": method,
                    "protocol": item.protocol,
                    "split": item.split,
                    "recording": item.recording,
                    "frame": item.frame,
                    "camera": target.camera,
                    "is_input": target.is_input,
                    "angle": angle,
                    **pose,
                    **{name: float(value) for name, value in per_image(picture, truth, mask, alpha).items()},
                }
            )
    return rows, pictures


def _small(rgba: np.ndarray, config: EvaluateConfig) -> np.ndarray:
    """A picture of the sheet."""
    small = resize_rgba(rgba, SHEET_SIZE, SHEET_SIZE) if rgba.shape[1] > SHEET_SIZE else rgba
    return composite(small, (config.background,) * 3)


def summarise(table: pd.DataFrame, config: EvaluateConfig) -> dict:
    """Numbers of every method on targets that were not inputs, and on inputs, of one protocol."""
    metrics = [c for c in table.columns if table[c].dtype.kind == "f" and c not in COLUMNS]
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
