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

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from mousefacelift.check import ladder
from mousefacelift.check.config import EvaluateConfig
from mousefacelift.check.fidelity import per_image
from mousefacelift.check.gather import CollapseGatherer, Frame, GeometryGatherer, stack
from mousefacelift.check.metric_table import MetricTable
from mousefacelift.check.predictions import Brief, Item, Prediction, Predictions, read_predictions
from mousefacelift.check.situation import nearest_angles, pose_of_views
from mousefacelift.check.truth_mesh import TruthMeshes
from mousefacelift.core.files import json_text, via, write_text
from mousefacelift.core.hull import hull_depth
from mousefacelift.core.images import composite, contact_sheet, resize_rgba, shared_crop, write_png
from mousefacelift.core.parallel import in_order
from mousefacelift.core.samples import read_document, read_sample, sample_facts
from mousefacelift.core.splat_files import read_ply
from mousefacelift.core.spread import spread
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.errors import DataError

METHODS = ("model", *ladder.RUNGS)
SHEET_SIZE = 256  # px at most of a picture in the sheet
WIDE = 256  # px; wider pictures are judged one prediction at a time: at 512 px each thread holds 120 MB
WATCHED = 200  # frames of a protocol that collapse is judged on; distances of all pairs of them are held
MEAN_FRAMES = 200  # training frames that the mean image is averaged over, evenly spaced

Means = dict[tuple[str, int], np.ndarray]


@dataclass(frozen=True)
class Protocol:
    """What is gathered of one protocol, which of its predictions have their silhouettes measured, and which frames of
    (recording, frame) are watched for collapse."""

    collapse: CollapseGatherer
    geometry: GeometryGatherer
    measured: frozenset[str]
    watched: frozenset[Frame]

    def summary(self) -> dict:
        """What the detectors say; asked once."""
        return {
            "collapse": self.collapse.summary(),
            "consistency": self.geometry.summary("consistency") | {"frames": self.geometry.measured},
            "health": self.geometry.summary("health"),
            "surface": self.geometry.summary("surface"),
        }


def evaluate_arm(
    predictions: Path, dataset: Path, out: Path, config: EvaluateConfig, threads: int | None = None
) -> dict:
    """Judge the predictions of one arm and write metrics.parquet, summary.json and sheet.png into `out`; returns the
    summary.

    `threads` predictions of pictures up to WIDE are judged at a time (None: as many as torch has), of wider ones one;
    the result does not depend on it.
    """
    opened = read_predictions(predictions)
    judged = [brief for brief in opened.briefs if brief.kind == "target"]
    if not judged:
        raise DataError(f"predictions {predictions} hold nothing to judge", expected="items of kind 'target'")
    manifest = Manifest.open(dataset)
    means = mean_images(manifest, {brief.recording for brief in judged}, opened.header["size"])
    protocols = {
        name: _protocol([brief for brief in opened.briefs if brief.protocol == name], means, config)
        for name in sorted({brief.protocol for brief in judged})
    }
    at_once = 1 if opened.header["size"] > WIDE else threads or torch.get_num_threads()
    with via(out / "metrics.parquet", "metrics") as temporary:
        table = MetricTable(temporary, opened.header["arm"])
        pictures = _stream(opened, judged, manifest, means, protocols, config, at_once, table)
        table.close()
        summary = {
            "arm": opened.header["arm"],
            "predictions": opened.header,
            "background": config.background,
            "protocols": {
                name: table.summarise(name, config) | protocol.summary() for name, protocol in protocols.items()
            },
        }
    labels = ("truth", *(method.replace("_", " ") for method in METHODS))
    write_png(out / "sheet.png", contact_sheet(shared_crop(pictures, config.background), len(labels), labels=labels))
    write_text(out / "summary.json", json_text(summary, indent=1))
    return summary


def _protocol(items: Sequence[Brief], means: Means, config: EvaluateConfig) -> Protocol:
    own = [item.name for item in items if item.kind == "target"]
    measured = frozenset(own[i] for i in spread(len(own), config.consistency_frames))
    collapse = CollapseGatherer(config.background, lambda recording, camera: means[recording, camera])
    return Protocol(collapse, GeometryGatherer(), measured, watched_frames(items))


def watched_frames(items: Sequence[Brief]) -> frozenset[Frame]:
    """Frames of a protocol that collapse is judged on: all up to WATCHED, else so many, evenly spread, half of them
    chosen and the others those whose pictures were shown with their cameras."""
    own = [(item.recording, item.frame) for item in items if item.kind == "target"]
    if len(own) <= WATCHED:
        return frozenset(own)
    shown = {
        (item.recording, item.frame): (item.recording, item.swap_frame) for item in items if item.swap_frame is not None
    }
    chosen = [own[i] for i in spread(len(own), WATCHED // 2 if shown else WATCHED)]
    return frozenset(chosen) | {shown[frame] for frame in chosen if frame in shown}


def _stream(
    opened: Predictions,
    judged: Sequence[Brief],
    manifest: Manifest,
    means: Means,
    protocols: dict[str, Protocol],
    config: EvaluateConfig,
    threads: int,
    table: MetricTable,
) -> list[np.ndarray]:
    """The pictures of the sheet; rows of every judged prediction go to `table`, and what `protocols` need is gathered.

    `threads` predictions are in memory at a time, and one more that is being gathered.
    """
    pictures, meshes = [], TruthMeshes(manifest)
    drawn = {judged[i].name for i in spread(len(judged), config.sheet_rows)}

    def look(brief: Brief) -> tuple[Prediction, list[dict], list[np.ndarray]]:
        prediction = opened.load(opened.item(brief))
        return prediction, *judge(prediction, means, config, brief.name in drawn)

    looks = in_order(look, judged, threads)
    for prediction, own, row in tqdm(looks, "evaluate", len(judged), unit="prediction", mininterval=1.0):
        item = prediction.item
        protocol = protocols[item.protocol]
        table.add(own)
        pictures += row
        if (item.recording, item.frame) in protocol.watched:
            protocol.collapse.add(prediction)
        protocol.geometry.add_health(prediction)
        if item.name in protocol.measured:
            protocol.geometry.add_views(prediction)
        _add_surface(opened.root, item, meshes, protocol.geometry)
    swaps = [brief for brief in opened.briefs if _is_watched(brief, protocols)]
    for item, rendered in in_order(lambda brief: (opened.item(brief), opened.rendered(brief)), swaps, threads):
        protocols[item.protocol].collapse.add_swap(item, [view.rgba for view in rendered.views])
    return pictures


def _is_watched(item: Brief, protocols: dict[str, Protocol]) -> bool:
    """Whether an item is a swap between frames that are watched for collapse."""
    if item.kind != "swap" or item.protocol not in protocols:
        return False
    return {(item.recording, item.frame), (item.recording, item.swap_frame)} <= protocols[item.protocol].watched


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
        for row in own[spread(len(own), MEAN_FRAMES)]:
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
