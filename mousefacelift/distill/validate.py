"""Honest validation of a generator: real views it has not seen, beside "copy the input" and "mean image", and alarms.

A generator that learnt from random reference views without being told the pose once copied its input; a high full-frame
score cannot see that because background dominates. Scores here are over the foreground of the true view.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from mousefacelift.core.images import composite, mask_iou
from mousefacelift.core.psnr import foreground_psnr
from mousefacelift.core.samples import View
from mousefacelift.core.spread import spread
from mousefacelift.distill.generators.protocol import change_camera
from mousefacelift.distill.photos import FrameStore

Paint = Callable[[View, Sequence], list[View]]  # (input photo, absolute cameras) -> views at these cameras


def psnr_on_white(rgba: np.ndarray, truth: np.ndarray) -> float:
    """PSNR in dB over the true foreground, both composited on white."""
    images = (torch.from_numpy(composite(image).astype(np.float32)).permute(2, 0, 1) for image in (rgba, truth))
    return float(foreground_psnr(*images, torch.from_numpy(truth[..., 3] > 0.5)))


def score(rgba: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Foreground PSNR and mask IoU."""
    return psnr_on_white(rgba, truth), mask_iou(rgba[..., 3] > 0.5, truth[..., 3] > 0.5)


def mean_views(store: FrameStore, camera_of: Callable, frames: int = 60) -> dict:
    """{camera name or number: mean premultiplied-on-white image} over the train frames: what a collapsed model
    shows."""
    sums: dict = {}
    for index in spread(len(store), frames):
        for number, view in enumerate(store.views(int(index))):
            camera = camera_of(view.camera)
            rgba = change_camera(view.rgba, view.camera, camera)
            total, count = sums.get(_name(view, number), (0.0, 0))
            sums[_name(view, number)] = total + np.concatenate([composite(rgba), rgba[..., 3:]], -1), count + 1
    return {name: (total / count).astype(np.float32) for name, (total, count) in sums.items()}


def _name(view: View, number: int):
    return number if view.facts.camera is None else view.facts.camera


def validate(paint: Paint, camera_of: Callable, train: FrameStore, held: FrameStore) -> dict:
    """Scores of a generator on held frames: each photo in turn is the input, all others are wanted.

    Args:
        paint: the generator. camera_of: Camera -> camera with the generator's field of view and size.
        train: frames that the mean image is made of. held: frames that are scored.
    Returns:
        {"generator" | "copy" | "mean": {"psnr", "iou"}, "copy_score", "pairs", "frames", "alarms": [...]}; copy_score
        is the mean of PSNR(view, input) - PSNR(view, truth), above 0 when the output is nearer to its input than to the
        truth.
    """
    means = mean_views(train, camera_of)
    rows: dict[str, list] = {"generator": [], "copy": [], "mean": []}
    copying = []
    for index in range(len(held)):
        views = held.views(index)
        truths = [change_camera(view.rgba, view.camera, camera_of(view.camera)) for view in views]
        for source, photo in enumerate(views):
            others = [v for v in range(len(views)) if v != source]
            for v, made in zip(others, paint(photo, [views[v].camera for v in others]), strict=True):
                rows["generator"].append(score(made.rgba, truths[v]))
                rows["copy"].append(score(truths[source], truths[v]))
                rows["mean"].append(score(means[_name(views[v], v)], truths[v]))
                copying.append(psnr_on_white(made.rgba, truths[source]) - rows["generator"][-1][0])
    report = {
        name: dict(zip(("psnr", "iou"), np.mean(values, 0).tolist(), strict=True)) for name, values in rows.items()
    }
    report |= {"copy_score": float(np.mean(copying)), "pairs": len(copying), "frames": len(held)}
    return report | {"alarms": alarms(report)}


def alarms(report: dict) -> list[str]:
    """What is wrong with a generator, from its validation report; empty when nothing is."""
    found = []
    psnr = {name: report[name]["psnr"] for name in ("generator", "copy", "mean")}
    if report["copy_score"] > 0:
        found.append(
            f"copies its input: outputs are {report['copy_score']:.2f} dB nearer to the input than to the truth"
        )
    if psnr["generator"] <= psnr["copy"]:
        found.append(f"no better than copying the input ({psnr['generator']:.2f} against {psnr['copy']:.2f} dB)")
    if psnr["generator"] <= psnr["mean"]:
        found.append(f"no better than the mean image ({psnr['generator']:.2f} against {psnr['mean']:.2f} dB)")
    return found
