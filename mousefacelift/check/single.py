"""Protocol S: what one picture was turned into, judged from every other side, beside what it must beat.

    mousefacelift check single --predictions results/predict_single/*/index.json --dataset results/dataset
        --out results/evaluate_single

Reads predictions one at a time (`single_items`); writes views.parquet (a row per method and judging view),
solids.parquet (a row per method and virtual animal), summary.json, sheet.png and show.webp (picture, turntable, truth).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from mousefacelift.check import ladder
from mousefacelift.check.align import best_turn_and_scale, seen_as, turn_and_scale
from mousefacelift.check.config import EvaluateConfig
from mousefacelift.check.fidelity import per_image
from mousefacelift.check.single_items import SingleItem, mean_keys, read_items, resized
from mousefacelift.check.single_pictures import draw_row, draw_sheet, write_show
from mousefacelift.check.single_summary import Thumbnails, summarise_bed, verdict
from mousefacelift.check.situation import pose_of_views
from mousefacelift.check.solid import part_recall, surface_points, surface_scores, swaps, volume_iou
from mousefacelift.chunks import read_index
from mousefacelift.core.cameras import angle_between, azimuth_elevation, circular_difference
from mousefacelift.core.files import json_text, write_text
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.hull import hull_depth
from mousefacelift.core.images import composite, write_png
from mousefacelift.core.lpips import load_lpips
from mousefacelift.core.render import render_published
from mousefacelift.core.samples import read_sample
from mousefacelift.core.similarity import Similarity
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.errors import DataError, MissingWeights

RUNGS = ("one_silhouette", "mean_image", "white")
MEAN_FRAMES = 200  # training frames that a camera's mean image is averaged over


@dataclass
class Judged:
    """What was measured of one bed: rows per view, per animal and per estimated camera, and thumbnails for the collapse
    detectors."""

    views: list[dict] = field(default_factory=list)
    solids: list[dict] = field(default_factory=list)
    cameras: list[dict] = field(default_factory=list)
    thumbnails: Thumbnails = field(default_factory=Thumbnails)


class Judge:
    """Judges pictures of one bed; keeps numbers, not pictures.

    Args:
        means: judging camera -> mean image, see `mean_images`. perceptual: LPIPS, or None without its weights.
    """

    def __init__(self, means: dict, config: EvaluateConfig, perceptual) -> None:
        self.means, self.config, self.perceptual, self.judged = means, config, perceptual, Judged()

    def take(self, item: SingleItem) -> dict[str, np.ndarray]:
        """Judge one picture; returns what every method shows [T, H, W, 4] in the judging views."""
        images, splats = {}, {}
        for method in item.row["methods"]:
            gaussians, move = item.gaussians(method), Similarity()
            if not item.row["knows_camera"]:
                move = self._place(item, method, gaussians)
            cameras = [seen_as(view.camera, move) for view in item.targets]
            rgba, depth = render_published(gaussians, cameras)
            images[method], splats[method] = rgba, (depth, cameras, move)
        if item.row["knows_camera"]:
            images |= self._rungs(item)
        self._compare(item, images)
        if item.truth is not None:
            for method, (depth, cameras, move) in splats.items():
                self._compare_solid(item, method, images[method], depth, cameras, move)
        if item.row["knows_camera"]:
            self.judged.thumbnails.add(item, images, self.means, self.config.background)
        return images

    def _place(self, item: SingleItem, method: str, gaussians: Gaussians) -> Similarity:
        """The best turn and scale of a splat of an unknown camera; notes how far the method's estimate was off."""
        turn, scale = best_turn_and_scale(gaussians, item.targets)
        true, estimated = azimuth_elevation(item.picture.camera), azimuth_elevation(item.camera(method))
        self.judged.cameras.append(
            {
                "method": method,
                "turn_error": abs(float(circular_difference(turn + estimated[0], true[0]))),
                "elevation_error": abs(estimated[1] - true[1]),
                "scale_error": abs(float(np.log(scale))),
            }
        )
        return turn_and_scale(turn, scale)

    def _rungs(self, item: SingleItem) -> dict[str, np.ndarray]:
        cone, picture = ladder.silhouette_cone(item.picture), ladder.spread_colours(item.picture)
        cameras, near = [view.camera for view in item.targets], [hull_depth(cone, picture.camera)]
        return {
            "one_silhouette": np.stack([ladder.visual_hull(cone, [picture], camera, near) for camera in cameras]),
            "mean_image": np.stack([self.means[key] for key in mean_keys(item.row)]),
            "white": np.stack([ladder.white(camera) for camera in cameras]),
        }

    def _compare(self, item: SingleItem, images: dict[str, np.ndarray]) -> None:
        row, background = item.row, self.config.background
        truth = _stack([view.rgba for view in item.targets], background)
        mask = torch.from_numpy(np.stack([view.rgba[..., 3] > 0.5 for view in item.targets]))
        angles = [angle_between(item.picture.camera, view.camera) for view in item.targets]
        pose = pose_of_views((item.picture, *item.targets))
        for method, rgba in images.items():
            drawn = _stack(rgba, background)
            values = per_image(drawn, truth, mask, torch.from_numpy(rgba[..., 3].copy()))
            if self.perceptual is not None and method in row["methods"]:
                values["lpips"] = torch.stack([self.perceptual(a[None], b[None]) for a, b in zip(drawn, truth)])
            columns = {name: value.tolist() for name, value in values.items()}
            self.judged.views += [
                {
                    "method": method,
                    **{name: row[name] for name in ("subject", "frame", "camera", "knows_camera")},
                    "target": row["cameras"][i],
                    "held_out": row["held_out"][i],
                    "angle": angles[i],
                    **pose,
                    **{name: values[i] for name, values in columns.items()},
                }
                for i in range(len(item.targets))
            ]

    def _compare_solid(self, item, method, rgba, depth, cameras, move) -> None:
        own, true_alpha = item.truth.own, np.stack([view.rgba[..., 3] for view in item.targets])
        alpha = np.stack([cv2.resize(image, own.shape[2:0:-1], interpolation=cv2.INTER_AREA) for image in rgba[..., 3]])
        points = move.apply(surface_points(rgba[..., 3], depth, cameras))
        self.judged.solids.append(
            {
                "method": method,
                **{name: item.row[name] for name in ("subject", "frame", "knows_camera")},
                **part_recall(alpha, own),
                "volume_iou": volume_iou(rgba[..., 3], true_alpha, [view.camera for view in item.targets]),
                **surface_scores(points, item.truth.points),
                **swaps(points, item.truth),
            }
        )


def evaluate_single(predictions: list[Path], dataset: Path, out: Path, config: EvaluateConfig) -> dict:
    """Judge the predictions of every test bed and write tables, summary and pictures into `out`; returns the summary.

    Raises:
        DataError: predictions that cannot be read, or are empty.
    """
    perceptual, why = load_perceptual()
    summary: dict = {"lpips": why, "background": config.background, "beds": {}}
    out.mkdir(parents=True, exist_ok=True)
    views, solids, rows = [], [], []
    for index in predictions:
        document = read_index(index)
        bed, size = document["header"]["bed"], document["header"]["size"]
        judge = Judge(mean_images(index, dataset, size), config, perceptual)
        chosen = _evenly([row["name"] for row in document["items"] if row["knows_camera"]], config.sheet_rows)
        for item in tqdm(read_items(index), desc=f"judge {bed}", unit="picture", mininterval=1.0):
            images = judge.take(item)
            if item.row["name"] in chosen:
                rows.append(draw_row(item, images, config.background))
            if item.row["name"] == chosen[len(chosen) // 2]:
                write_show(out / f"show_{bed}.webp", item, config.background)
        summary["beds"][bed] = summarise_bed(judge.judged, document["items"], config)
        views += [row | {"bed": bed} for row in judge.judged.views]
        solids += [row | {"bed": bed} for row in judge.judged.solids]
    summary["verdict"] = verdict(summary["beds"])
    pd.DataFrame(views).to_parquet(out / "views.parquet")
    pd.DataFrame(solids).to_parquet(out / "solids.parquet")
    write_png(out / "sheet.png", draw_sheet(rows, config.background))
    write_text(out / "summary.json", json_text(summary, indent=1))
    return summary


def load_perceptual():
    """LPIPS and "reported", or None and the reason why not."""
    try:
        return load_lpips(), "reported"
    except MissingWeights as error:
        return None, f"not run: {error.hint}"


def mean_images(index: Path, dataset: Path, size: int) -> dict[tuple[str, int], np.ndarray]:
    """Key of `mean_keys` -> mean rgba [size, size, 4]: what an answer that ignores its picture would show.

    Of a filmed animal it is the mean of the camera's training frames; of virtual animals, which have none, the mean of
    the bed's own truth, which flatters this rung.
    """
    sums: dict[tuple[str, int], ladder.RunningMean] = defaultdict(ladder.RunningMean)
    rows = read_index(index)["items"]
    recordings = sorted({row["subject"] for row in rows if row["truth"] is None})
    if recordings:
        manifest = Manifest.open(dataset)
        pool, _ = manifest.pool("real", "train")
        names = manifest.samples["recording"].iloc[pool].astype(str).to_numpy()
        for recording in recordings:
            own = pool[names == recording]
            if not len(own):
                raise DataError(f"recording '{recording}' has no training frames to take the mean image of")
            for row in own[:: max(1, len(own) // MEAN_FRAMES)]:
                for view in read_sample(manifest.folder_of(row)).views:
                    sums[recording, view.facts.rig_camera].add(resized(view, size).rgba)
    for row in (row for row in rows if row["truth"] is not None and row["knows_camera"]):
        sample = read_sample(Path(index).parent / row["sample"], row["targets"])
        for key, view in zip(mean_keys(row), sample.views, strict=True):
            sums[key].add(resized(view, size).rgba)
    return {key: running.image() for key, running in sums.items()}


def _stack(images, background: float) -> torch.Tensor:
    """[T, 3, H, W] of rgba images over the evaluation's background."""
    flat = np.stack([composite(image, (background,) * 3) for image in images]).astype(np.float32)
    return torch.from_numpy(flat).permute(0, 3, 1, 2).contiguous()


def _evenly(names: list[str], count: int) -> list[str]:
    return [names[i] for i in sorted({int(i) for i in np.linspace(0, len(names) - 1, min(count, len(names))).round()})]
